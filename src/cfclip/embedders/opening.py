"""Opens a CLIP of any known origin: open_clip's collection, folders, OpenAI's archives.

The activation is decided by where the weights are from, never by a default: the same weights with
the other one give features that look right and are wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from cfclip.embedders.bpe import load_tokenizer
from cfclip.embedders.clip_config import checked_statistics
from cfclip.embedders.clip_files import clip_with_weights, read_clip, state_dict_in
from cfclip.embedders.clip_folders import CONFIG_FILE, MERGES_FILE, file_in, is_of_transformers
from cfclip.embedders.clip_layouts import is_openai, openai_config, without_constants
from cfclip.embedders.clip_sources import ClipSource, find_clip, named_config, pretrained_config
from cfclip.embedders.huggingface_clip import read_huggingface_clip
from cfclip.embedders.torchscript import is_torchscript, read_torchscript
from cfclip.errors import CheckpointError, InputError
from cfclip.io.weights import is_model_file, read_tensors

_OPENAI = "it is one of OpenAI's archives"
_USUAL_VOCABULARY = 49408
"""Tokens of a text encoder whose configuration does not say."""


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
            - a name of OpenAI's, such as `"ViT-B/32"`;
            - `"MODEL:TAG"` of open_clip's collection;
            - `"MODEL:FILE"`, weights for a configuration of open_clip;
            - `"hf-hub:OWNER/NAME"`.

            What names stand for is downloaded once, by huggingface_hub.

    Raises:
        InputError: a source of none of these forms, a name that open_clip does not know, or that
            of a CLIP that cannot be used.
        CheckpointError: files that are missing or damaged, weights that do not fit, a CLIP that
            cannot be used.
        DownloadError: what cannot be downloaded.
    """
    found = find_clip(source)
    if found.path.is_dir():
        return _from_folder(found)
    if found.name is None:
        return _from_file(found.path)
    if found.tag is None:
        return _from_named_file(found.name, found.path)
    return _from_collection(found, found.name, found.tag)


def _from_folder(found: ClipSource) -> OpenedClip:
    folder, merges = found.path, None
    if is_of_transformers(folder):
        tensors, config = read_huggingface_clip(folder)
        model = clip_with_weights(config["model_cfg"], tensors, str(folder))
        activation = _activation(config, "hidden_act in its config.json says so")
    else:
        model, config = read_clip(folder)
        try:
            own = checked_statistics(config.get("preprocess_cfg", {}))
        except InputError as error:
            raise CheckpointError(f"{folder / CONFIG_FILE}: {error}; get it again") from error
        config["preprocess_cfg"] = {**_usual_preprocessing(), **own}
        activation = _activation(config, f"its {CONFIG_FILE} says so")
        merges = file_in(folder, MERGES_FILE)
    tokenizer = _tokenizer(config["model_cfg"]["text_cfg"], str(folder), merges)
    return OpenedClip(model, config, tokenizer, found.origin, activation, merges)


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
    model_cfg = named_config(name)
    tensors, by_openai = _file_tensors(path)
    if by_openai:
        return _built({**model_cfg, "quick_gelu": True}, tensors, path, _OPENAI)
    return _built(model_cfg, tensors, path, f"open_clip's configuration {name} says so")


def _from_collection(found: ClipSource, name: str, tag: str) -> OpenedClip:
    told = pretrained_config(name, tag)
    model_cfg = {**named_config(name), "quick_gelu": bool(told.get("quick_gelu", False))}
    tensors, _ = _file_tensors(found.path)
    opened = _built(model_cfg, tensors, found.path, f"open_clip lists the weights {tag} so")
    statistics = {each: list(told[each]) for each in ("mean", "std") if each in told}
    preprocessing = {**opened.config["preprocess_cfg"], **statistics}
    config = {**opened.config, "preprocess_cfg": preprocessing}
    return replace(opened, config=config, origin=found.origin)


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
    tokenizer = _tokenizer(model_cfg["text_cfg"], str(path))
    return OpenedClip(model, config, tokenizer, path.name, _activation(config, reason))


def _usual_preprocessing() -> dict[str, Any]:
    from open_clip.transform import PreprocessCfg

    return {"mean": list(PreprocessCfg.mean), "std": list(PreprocessCfg.std)}


def _tokenizer(text_cfg: Mapping[str, Any], source: str, merges: Path | None = None) -> Any:
    """CLIP's tokenizer, with the merges of a file if there is one, for a text encoder."""
    from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH, SimpleTokenizer

    context_length = text_cfg.get("context_length", DEFAULT_CONTEXT_LENGTH)
    if merges is None:
        tokenizer = SimpleTokenizer(context_length=context_length)
    else:
        tokenizer = load_tokenizer(merges, context_length)
    size = text_cfg.get("vocab_size", _USUAL_VOCABULARY)
    if size != tokenizer.vocab_size:
        state = "missing" if merges is None else "of another model"
        raise CheckpointError(
            f"the text encoder in {source} has {size} tokens and its tokenizer "
            f"{tokenizer.vocab_size}; {MERGES_FILE} is {state}, restore it"
        )
    return tokenizer


def _activation(config: Mapping[str, Any], reason: str) -> str:
    name = "QuickGELU" if config["model_cfg"].get("quick_gelu", False) else "GELU"
    return f"{name}: {reason}"
