"""Where a CLIP is: a folder, a file, a name of OpenAI's or open_clip's, the Hugging Face hub.

A source is found, and fetched if it has to be, without torch: a name that cannot be used, or that
cannot be fetched now, is told at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cfclip.embedders.clip_config import checked_model_config
from cfclip.embedders.clip_folders import (
    CONFIG_FILE,
    MERGES_FILE,
    PREPROCESSOR_FILE,
    TRANSFORMERS_CONFIG_FILE,
    TRANSFORMERS_WEIGHTS_FILES,
    WEIGHTS_FILES,
    check_folder,
)
from cfclip.embedders.hub import fetched_file, kept_file
from cfclip.errors import CheckpointError, DownloadError, InputError

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
        source: see `cfclip.embedders.opening.open_clip_model`.

    Raises:
        InputError: a source of no known form, a name that is not known, or that of a CLIP that
            cannot be used.
        CheckpointError: a folder of a CLIP that cannot be used.
        DownloadError: what cannot be fetched.
    """
    path, text = Path(source), str(source)
    if _is(Path.is_dir, path):
        check_folder(path)
        return ClipSource(path, path.resolve().name)
    if _is(Path.is_file, path):
        return ClipSource(path, path.name)
    if text.startswith(HUB_PREFIX):
        return _on_the_hub(text.removeprefix(HUB_PREFIX))
    name, colon, rest = text.partition(":")
    name = _open_clip_name(name)
    if name and rest and _is(Path.is_file, Path(rest)):
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


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    """`kind(path)`; False for what cannot be a path, such as too long a name."""
    try:
        return kind(path)
    except (OSError, ValueError):
        return False


def _open_clip_name(name: str) -> str:
    """open_clip's spelling of a name that may have OpenAI's, such as ViT-L/14@336px."""
    return name.replace("/", "-").replace("@336px", "-336")


def _of_collection(name: str, tag: str) -> ClipSource:
    origin = f"{name}:{tag} of open_clip"
    files: tuple[str, ...] = WEIGHTS_FILES
    if tag == OPENAI_TAG and (known := OPENAI_REPOSITORIES.get(name.removesuffix(_QUICK))):
        repository = known  # without open_clip, which takes seconds to import
    else:
        told = pretrained_config(name, tag)
        named_config(name)
        repository, _, file = told.get("hf_hub", "").rpartition("/")
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
