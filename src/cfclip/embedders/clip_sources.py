"""Where a CLIP is: a folder, a file, a name of OpenAI's or open_clip's, the Hugging Face hub.

A source is found, and fetched if it has to be, without torch: a name that cannot be used, or that
cannot be fetched now, is told at once. The client of the Hugging Face hub tries for minutes where
nothing answers; whether a file is there is asked first.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cfclip.embedders.clip_config import (
    CONFIG_FILE,
    MERGES_FILE,
    PREPROCESSOR_FILE,
    TRANSFORMERS_CONFIG_FILE,
    TRANSFORMERS_WEIGHTS_FILES,
    WEIGHTS_FILES,
    check_folder,
    checked_model_config,
)
from cfclip.errors import CheckpointError, DownloadError, InputError, reason_of
from cfclip.io import SECONDS, soon

HUB_PREFIX = "hf-hub:"
OPENAI_TAG = "openai"

OPENAI_REPOSITORIES = {
    "RN50": "timm/resnet50_clip.openai",
    "RN101": "timm/resnet101_clip.openai",
    "RN50x4": "timm/resnet50x4_clip.openai",
    "RN50x16": "timm/resnet50x16_clip.openai",
    "RN50x64": "timm/resnet50x64_clip.openai",
    "ViT-B-32": "timm/vit_base_patch32_clip_224.openai",
    "ViT-B-16": "timm/vit_base_patch16_clip_224.openai",
    "ViT-L-14": "timm/vit_large_patch14_clip_224.openai",
    "ViT-L-14-336": "timm/vit_large_patch14_clip_336.openai",
}
"""The CLIPs that OpenAI published, as open_clip names them, and where on the hub it has them."""

_FORMS = (
    "a folder, OpenAI's .pt archive, one of OpenAI's names (such as ViT-B/32), MODEL:TAG of "
    f"open_clip, MODEL:FILE with weights of your own, or {HUB_PREFIX}OWNER/NAME"
)
_QUICK = "-quickgelu"


@dataclass(frozen=True)
class ClipSource:
    """A CLIP on this machine."""

    path: Path
    """A folder, or a file of weights."""
    origin: str
    """Where it came from, in a few words that are the same on other machines."""
    name: str | None = None
    """The configuration of open_clip that weights are for."""
    tag: str | None = None
    """What open_clip calls the weights."""


def find_clip(source: str | Path) -> ClipSource:
    """Where the CLIP of a source is, fetched if it is not on this machine yet.

    Args:
        source: see `cfclip.embedders.clip.open_clip_model`.

    Raises:
        InputError: a source of no known form, a name that is not known, or that of a CLIP that
            cannot be used.
        CheckpointError: a folder of a CLIP that cannot be used.
        DownloadError: what cannot be fetched.
    """
    path, text = Path(source), str(source)
    if os.path.isdir(path):
        check_folder(path)
        return ClipSource(path, path.resolve().name)
    if os.path.isfile(path):
        return ClipSource(path, path.name)
    if text.startswith(HUB_PREFIX):
        return _on_the_hub(text.removeprefix(HUB_PREFIX))
    name, colon, rest = text.partition(":")
    name = _open_clip_name(name)
    if name and rest and os.path.isfile(rest):
        named_config(name)
        return ClipSource(Path(rest), Path(rest).name, name)
    if name and rest and "/" not in rest:
        return _of_collection(name, rest)
    if not colon and name in OPENAI_REPOSITORIES:
        return _of_collection(name, OPENAI_TAG)
    raise InputError(f"{text!r} is no CLIP that can be opened; give {_FORMS}")


def named_config(name: str) -> dict[str, Any]:
    """The `model_cfg` of a configuration of open_clip.

    Raises `InputError` for a name that is not known, and for a CLIP that cannot be used.
    """
    import open_clip

    config = open_clip.get_model_config(name)
    if config is None:
        raise InputError(
            f"open_clip has no configuration {name!r}; see open_clip.list_models() for the names"
        )
    try:
        return checked_model_config(config)
    except InputError as error:
        raise InputError(f"the CLIP {name} cannot be used: {error}") from error


def pretrained_config(name: str, tag: str) -> dict[str, Any]:
    """What open_clip tells of weights in its collection. Raises `InputError` if there are none."""
    import open_clip

    found: dict[str, Any] = open_clip.get_pretrained_cfg(name, tag)
    if not found:
        tags = open_clip.list_pretrained_tags_by_model(name)
        remedy = f"its tags are {', '.join(tags)}" if tags else "see open_clip.list_pretrained()"
        raise InputError(f"open_clip has no model {name!r} with weights {tag!r}; {remedy}")
    # A config that disagrees with the weights about the activation gives wrong features, silently.
    if name.endswith(_QUICK) and not found.get("quick_gelu", False):
        raise InputError(
            f"the weights {tag!r} were not trained with QuickGELU; use "
            f"{name.removesuffix(_QUICK)}:{tag}"
        )
    return found


def _open_clip_name(name: str) -> str:
    """open_clip's spelling of a name that may have OpenAI's, such as ViT-L/14@336px."""
    return name.replace("/", "-").replace("@336px", "-336")


def _of_collection(name: str, tag: str) -> ClipSource:
    origin = f"{name}:{tag} of open_clip"
    files: tuple[str, ...] = WEIGHTS_FILES
    if tag == OPENAI_TAG and (known := OPENAI_REPOSITORIES.get(name.removesuffix(_QUICK))):
        repository = known  # without open_clip, which takes seconds to import
    else:
        published = pretrained_config(name, tag)
        named_config(name)
        repository, _, file = published.get("hf_hub", "").rpartition("/")
        if file:
            files = (str(Path(file).with_suffix(".safetensors")), file)
    if not repository:
        raise InputError(
            f"{name}:{tag} is not on the Hugging Face hub; fetch its file yourself, and give "
            f"{name}:FILE"
        )
    try:
        path = fetched_file(repository, files)
    except DownloadError as error:
        raise DownloadError(f"{name}:{tag}: {error}") from error
    if path is None:
        raise DownloadError(f"{name}:{tag}: {repository} has no {files[0]}; give another CLIP")
    return ClipSource(path, origin, name, tag)


def _on_the_hub(repository: str) -> ClipSource:
    """The configuration comes first: of a CLIP that cannot be used no weights are fetched."""
    config = fetched_file(repository, (CONFIG_FILE, TRANSFORMERS_CONFIG_FILE))
    if config is not None:
        folder = config.parent
        check_folder(folder)
        if config.name == TRANSFORMERS_CONFIG_FILE:
            fetched_file(repository, (PREPROCESSOR_FILE,))
            weights = fetched_file(repository, TRANSFORMERS_WEIGHTS_FILES)
        else:
            if kept_file(repository, WEIGHTS_FILES) is None:  # else all there is was fetched before
                fetched_file(repository, (MERGES_FILE,))
            weights = fetched_file(repository, WEIGHTS_FILES)
        if weights is not None:
            return ClipSource(folder, f"{repository} of the Hugging Face hub")
    raise CheckpointError(
        f"{HUB_PREFIX}{repository} is no CLIP of open_clip or transformers; give another"
    )


def kept_file(repository: str, names: Iterable[str]) -> Path | None:
    """The first of several files that an earlier download has left on this machine.

    Raises `InputError` for what is no name of a repository.
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = (try_to_load_from_cache(repository, name) for name in names)
        return next((Path(path) for path in found if isinstance(path, str)), None)
    except HFValidationError as error:
        raise InputError(f"{repository!r} is no name on the hub; give OWNER/NAME") from error


def fetched_file(repository: str, names: Iterable[str]) -> Path | None:
    """The first of several files that a repository has, which is kept; None if it has none of them.

    Raises:
        InputError: what is no name of a repository.
        DownloadError: nothing answers, or what answers does not give the file.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    names = tuple(names)
    if (path := kept_file(repository, names)) is not None:
        return path
    try:
        for name in names:
            address = hf_hub_url(repository, name)
            try:
                soon(partial(get_hf_file_metadata, address, timeout=SECONDS))
                return Path(hf_hub_download(repository, name))
            except LocalEntryNotFoundError:  # means that nothing answered
                raise
            except EntryNotFoundError:
                continue
    except MemoryError:
        raise
    except Exception as error:  # its client has a dozen kinds of its own, and those of others
        # What it says of a file that is not kept either hides why there was no other.
        cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else None
        first_line = str(cause or error).strip().partition("\n")[0] or type(error).__name__
        raise _not_fetched(repository, reason_of(Exception(first_line))) from error
    return None


def _not_fetched(repository: str, reason: str) -> DownloadError:
    from huggingface_hub import constants

    host = urlsplit(constants.ENDPOINT).hostname or "the Hugging Face hub"
    return DownloadError(
        f"{repository} could not be fetched from {host} ({reason}); connect to the internet once, "
        "or give a CLIP that is on this machine (a folder, or OpenAI's .pt file)"
    )
