"""Opens a CLIP of any known origin: open_clip's collection, folders, OpenAI's archives.

The activation is decided by where the weights are from, never by a default: the same weights with
the other one give features that look right and are wrong.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from cfclip.embedders.bpe import load_tokenizer
from cfclip.embedders.clip_files import (
    CONFIG_FILE,
    HUB_WEIGHTS_FILES,
    MERGES_FILE,
    WEIGHTS_FILE,
    clip_with_weights,
    read_clip,
    state_dict_in,
)
from cfclip.embedders.clip_layouts import is_openai, openai_config, without_constants
from cfclip.embedders.huggingface_clip import is_huggingface_folder, read_huggingface_clip
from cfclip.embedders.torchscript import is_torchscript, read_torchscript
from cfclip.errors import CheckpointError, InputError, reason_of
from cfclip.weights import is_model_file, read_tensors

HUB_PREFIX = "hf-hub:"

_FORMS = (
    "a folder, OpenAI's .pt archive, MODEL:TAG of open_clip (such as ViT-B-32-quickgelu:openai), "
    f"MODEL:FILE with weights of your own, or {HUB_PREFIX}OWNER/NAME"
)
_OPENAI = "it is one of OpenAI's archives"


@dataclass(frozen=True)
class OpenedClip:
    """A CLIP as it was opened: float32, on the CPU."""

    model: nn.Module
    config: dict[str, Any]
    """`model_cfg` and `preprocess_cfg` (with `mean` and `std`), which build it again."""
    tokenizer: Any
    """One of open_clip's tokenizers."""
    origin: str
    """Where it came from, in a few words that are the same on other machines."""
    activation: str
    """Which activation it has, and who says so."""
    merges: Path | None = None
    """The file of a vocabulary of its own; None for the tokenizer of its kind."""


def open_clip_model(source: str | Path) -> OpenedClip:
    """The CLIP of a source, its weights loaded strictly. Nothing in a file is executed.

    Args:
        source: one of

            - a folder as open_clip keeps them (`cfclip.embedders.clip_files`), or of
              transformers with a `CLIPModel` in it;
            - a `.pt` file that OpenAI published (a TorchScript archive);
            - `"MODEL:TAG"` of open_clip's collection, which open_clip downloads once;
            - `"MODEL:FILE"`, weights for a configuration of open_clip;
            - `"hf-hub:OWNER/NAME"`, downloaded once by huggingface_hub.

    Raises:
        InputError: a source of none of these forms, or a name that open_clip does not know.
        CheckpointError: files that are missing or damaged, weights that do not fit.
    """
    path = Path(source)
    if _is(Path.is_dir, path):
        return _from_folder(path, path.resolve().name)
    if _is(Path.is_file, path):
        return _from_file(path)
    name, colon, rest = str(source).partition(":")
    if str(source).startswith(HUB_PREFIX):
        return _from_hub(rest)
    if colon and name and rest:
        if _is(Path.is_file, Path(rest)):
            return _from_named_file(name, Path(rest))
        if "/" not in str(source):
            return _from_collection(name, rest)
    raise InputError(f"{str(source)!r} is no CLIP that can be opened; give {_FORMS}")


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    """`kind(path)`; False for what cannot be a path, such as too long a name."""
    try:
        return kind(path)
    except OSError:
        return False


def _from_folder(folder: Path, origin: str) -> OpenedClip:
    if not (folder / CONFIG_FILE).is_file() and is_huggingface_folder(folder):
        tensors, config = read_huggingface_clip(folder)
        model = clip_with_weights(config["model_cfg"], tensors, str(folder))
        text_cfg = config["model_cfg"]["text_cfg"]
        tokenizer = _openai_tokenizer(text_cfg, str(folder))
        reason = "hidden_act in its config.json says so"
        return OpenedClip(model, config, tokenizer, origin, _activation(config, reason))
    model, config = read_clip(folder)
    config["preprocess_cfg"] = _preprocessing(config.get("preprocess_cfg", {}), folder)
    tokenizer = _folder_tokenizer(folder, config["model_cfg"]["text_cfg"])
    merges = folder / MERGES_FILE
    return OpenedClip(
        model,
        config,
        tokenizer,
        origin,
        _activation(config, f"its {CONFIG_FILE} says so"),
        merges if merges.is_file() else None,
    )


def _from_file(path: Path) -> OpenedClip:
    tensors, by_openai = _file_tensors(path)
    if not by_openai:
        raise InputError(
            f"{path} is no archive of OpenAI's, and weights alone do not tell their activation; "
            f"give MODEL:FILE with the configuration they were trained with, such as "
            f"ViT-B-32-quickgelu:{path}"
        )
    return _built(openai_config(tensors, str(path)), tensors, path, _OPENAI)


def _from_named_file(name: str, path: Path) -> OpenedClip:
    model_cfg = _named_config(name)
    tensors, by_openai = _file_tensors(path)
    if by_openai:
        return _built({**model_cfg, "quick_gelu": True}, tensors, path, _OPENAI)
    return _built(model_cfg, tensors, path, f"open_clip's configuration {name} says so")


def _file_tensors(path: Path) -> tuple[dict[str, Tensor], bool]:
    """The weights in a file, and whether it is one of OpenAI's archives."""
    if is_torchscript(path):
        tensors = read_torchscript(path)
        return without_constants(tensors), is_openai(tensors)
    if is_model_file(path):
        return read_tensors(path, "CLIP")[0], False
    return state_dict_in(path), False


def _built(
    model_cfg: dict[str, Any], tensors: Mapping[str, Tensor], path: Path, reason: str
) -> OpenedClip:
    model = clip_with_weights(model_cfg, tensors, str(path))
    config = {"model_cfg": model_cfg, "preprocess_cfg": _usual_preprocessing()}
    tokenizer = _openai_tokenizer(model_cfg["text_cfg"], str(path))
    return OpenedClip(model, config, tokenizer, path.name, _activation(config, reason))


def _from_collection(name: str, tag: str) -> OpenedClip:
    import open_clip

    pretrained = open_clip.get_pretrained_cfg(name, tag)
    if not pretrained:
        tags = open_clip.list_pretrained_tags_by_model(name)
        remedy = f"its tags are {', '.join(tags)}" if tags else "see open_clip.list_pretrained()"
        raise InputError(f"open_clip has no model {name!r} with weights {tag!r}; {remedy}")
    model_cfg = _named_config(name)
    # A config that disagrees with the weights about the activation gives wrong features, silently.
    quick_gelu = bool(pretrained.get("quick_gelu", False))
    if model_cfg.get("quick_gelu", False) and not quick_gelu:
        raise InputError(
            f"the weights {tag!r} were not trained with QuickGELU; use "
            f"{name.replace('-quickgelu', '')}:{tag}"
        )
    try:
        model = open_clip.create_model(
            name,
            pretrained=tag,
            precision="fp32",
            force_quick_gelu=quick_gelu,
            require_pretrained=True,
        )
        tokenizer = open_clip.get_tokenizer(name)
    except (RuntimeError, OSError, ValueError) as error:
        raise CheckpointError(
            f"the weights of {name}:{tag} could not be loaded ({error}); connect to the internet "
            "once, or give a folder"
        ) from error
    statistics = open_clip.get_model_preprocess_cfg(model)
    config = {
        "model_cfg": {**model_cfg, "quick_gelu": quick_gelu},
        "preprocess_cfg": {each: list(statistics[each]) for each in ("mean", "std")},
    }
    activation = _activation(config, f"open_clip lists the weights {tag} so")
    return OpenedClip(model, config, tokenizer, f"{name}:{tag} of open_clip", activation)


def _from_hub(repository: str) -> OpenedClip:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    wanted = [WEIGHTS_FILE, *HUB_WEIGHTS_FILES, "*.json", "*.txt"]
    try:
        folder = snapshot_download(repository, allow_patterns=wanted)
    except HFValidationError as error:
        raise InputError(f"{repository!r} is no name on the hub; give OWNER/NAME") from error
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(
            f"{HUB_PREFIX}{repository} could not be downloaded ({reason}); connect to the "
            "internet once, or give a folder"
        ) from error
    return _from_folder(Path(folder), f"{repository} of the Hugging Face hub")


def _named_config(name: str) -> dict[str, Any]:
    import open_clip

    config = open_clip.get_model_config(name)
    if config is None:
        raise InputError(
            f"open_clip has no configuration {name!r}; see open_clip.list_models() for the names"
        )
    return dict(config)


def _usual_preprocessing() -> dict[str, Any]:
    from open_clip.transform import PreprocessCfg

    return {"mean": list(PreprocessCfg.mean), "std": list(PreprocessCfg.std)}


def _preprocessing(given: Any, folder: Path) -> dict[str, Any]:
    """What a configuration says of pictures, and the usual statistics where it has none."""
    preprocessing = {**_usual_preprocessing(), **given} if isinstance(given, dict) else {}
    for name in ("mean", "std"):
        values = preprocessing.get(name)
        if not isinstance(values, list) or not all(isinstance(v, int | float) for v in values):
            raise CheckpointError(
                f"{folder / CONFIG_FILE} has no preprocess_cfg with numbers for {name}; get it "
                "again"
            )
    return preprocessing


def _openai_tokenizer(text_cfg: Mapping[str, Any], source: str) -> Any:
    from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH, SimpleTokenizer

    tokenizer = SimpleTokenizer(
        context_length=text_cfg.get("context_length", DEFAULT_CONTEXT_LENGTH)
    )
    if text_cfg.get("vocab_size", tokenizer.vocab_size) != tokenizer.vocab_size:
        raise CheckpointError(
            f"the text encoder in {source} has {text_cfg['vocab_size']} tokens and CLIP's "
            f"tokenizer {tokenizer.vocab_size}; give a folder with {MERGES_FILE}"
        )
    return tokenizer


def _folder_tokenizer(folder: Path, text_cfg: Mapping[str, Any]) -> Any:
    from open_clip import get_tokenizer
    from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH

    merges = folder / MERGES_FILE
    if merges.is_file():
        tokenizer = load_tokenizer(merges, text_cfg.get("context_length", DEFAULT_CONTEXT_LENGTH))
    else:
        # One of another library is made from files of the folder, which may ask to run their code.
        safely = {"trust_remote_code": False} if text_cfg.get("hf_tokenizer_name") else {}
        try:
            tokenizer = get_tokenizer(f"local-dir:{folder}", **safely)
        except (ImportError, OSError, ValueError, TypeError, RuntimeError, EOFError) as error:
            raise CheckpointError(
                f"the tokenizer in {folder} cannot be opened: {reason_of(error)}"
            ) from error
    wanted, size = text_cfg.get("vocab_size"), getattr(tokenizer, "vocab_size", None)
    if wanted is not None and size is not None and wanted != size:
        raise CheckpointError(
            f"the text encoder in {folder} has {wanted} tokens and its tokenizer {size}; "
            f"{merges.name} is {'of another model' if merges.is_file() else 'missing'}, restore it"
        )
    return tokenizer


def _activation(config: Mapping[str, Any], reason: str) -> str:
    name = "QuickGELU" if config["model_cfg"].get("quick_gelu", False) else "GELU"
    return f"{name}: {reason}"
