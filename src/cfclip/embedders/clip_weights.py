"""CLIPs in files of weights alone: OpenAI's archives, and weights for a named configuration.

OpenAI published TorchScript archives, which are read without running what they hold.
`torch.jit.save` writes a zip file: `code/` (a program), `data.pkl` (the modules with their values)
and a file in `data/` for each storage. `torch.jit.load` compiles the program. Here only `data.pkl`
is read, as data (`cfclip.foreign.pickles`), where modules become inert, and tensors what they are.

An archive brings no configuration. Sizes follow from the shapes of its tensors, whose names
open_clip keeps; the number of attention heads and the activation do not, and OpenAI's are taken:
heads 64 wide, QuickGELU.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from cfclip.embedders.clip import OpenedClip, assembled
from cfclip.embedders.clip_config import RESIDUAL_REDUCTION
from cfclip.embedders.clip_files import clip_with_weights, state_dict_in
from cfclip.embedders.clip_sources import ClipSource, named_config, pretrained_config
from cfclip.errors import CheckpointError, InputError, reason_of
from cfclip.foreign import (
    Budget,
    Function,
    PickleReader,
    Storages,
    map_file,
    state_dict_of,
    tensor_names,
    torch_archive,
)
from cfclip.io import is_model_file, read_tensors

OPENAI_HEAD_WIDTH = 64
"""Channels of an attention head in every CLIP of OpenAI (Radford et al. 2021, table 19)."""

_RESIDUAL_STAGES = (1, 2, 3, 4)

_MARKS = ("input_resolution", "context_length", "vocab_size")
_MASK = re.compile(r"(.+\.)?attn_mask")


_MOST_VALUES = 500_000
_MOST_TENSORS = 10_000
"""By their names: modules may be shared, and their tensors with them."""
_LONGEST_NAME = 1000
_PROGRAM = "__torch__."
_LISTS = "torch.jit._pickle."


def open_weights(found: ClipSource) -> OpenedClip:
    """The CLIP of a file of weights, float32, on the CPU, its weights loaded strictly.

    Raises:
        InputError: weights by another than OpenAI without the name of their configuration, or a
            name that open_clip does not know.
        CheckpointError: a file that is missing or damaged, weights that do not fit.
    """
    path, source, by_openai = found.path, str(found.path), False
    if is_torchscript(path):
        tensors = read_torchscript(path)
        by_openai, tensors = is_openai(tensors), without_constants(tensors)
    else:
        tensors = read_tensors(path, "CLIP")[0] if is_model_file(path) else state_dict_in(path)
    statistics: dict[str, list[float]] = {}
    if found.name is None and not by_openai:
        raise InputError(
            f"{path} is no archive of OpenAI's, and weights alone do not tell their activation; "
            f"give MODEL:FILE with the configuration they were trained with, such as "
            f"ViT-B-32-quickgelu:{path}"
        )
    model_cfg = openai_config(tensors, source) if found.name is None else named_config(found.name)
    reason = f"open_clip's configuration {found.name} says so"
    if found.name is not None and found.tag is not None:
        published = pretrained_config(found.name, found.tag)
        model_cfg["quick_gelu"] = bool(published.get("quick_gelu", False))
        statistics = {each: list(published[each]) for each in ("mean", "std") if each in published}
        reason = f"open_clip lists the weights {found.tag} so"
    elif by_openai:
        model_cfg["quick_gelu"] = True
        reason = "it is one of OpenAI's archives"
    model = clip_with_weights(model_cfg, tensors, source)
    config = {"model_cfg": model_cfg, "preprocess_cfg": statistics}
    return assembled(model, config, source, found.origin, reason)


def is_openai(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the tensors of an archive are OpenAI's: theirs keep three sizes among the weights."""
    return all(name in tensors for name in _MARKS)


def without_constants(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` without those that OpenAI's archives keep beside the weights: sizes and masks."""
    return {
        name: value
        for name, value in tensors.items()
        if name not in _MARKS and not _MASK.fullmatch(name)
    }


def openai_config(tensors: Mapping[str, Tensor], source: str) -> dict[str, Any]:
    """The `model_cfg` of open_clip for the weights of a CLIP of OpenAI's, QuickGELU included.

    Raises `CheckpointError` that starts with `source` for tensors of another kind of model.
    """

    def side(name: str, axis: int) -> int:
        if name not in tensors or tensors[name].ndim <= axis:
            raise CheckpointError(
                f"{source} is not a CLIP as OpenAI's: no tensor {name} of {axis + 1} or more axes; "
                "give MODEL:FILE with the name of its open_clip configuration"
            )
        if not tensors[name].shape[axis]:
            raise CheckpointError(f"{source}: its tensor {name} is empty; get the file again")
        return tensors[name].shape[axis]

    width = side("ln_final.weight", 0)
    text = {
        "context_length": side("positional_embedding", 0),
        "vocab_size": side("token_embedding.weight", 0),
        "width": width,
        "heads": max(1, width // OPENAI_HEAD_WIDTH),
        "layers": _count(tensors, r"transformer\.resblocks\.(\d+)\."),
    }
    if "visual.proj" in tensors:
        patch = side("visual.conv1.weight", 3)
        cells = side("visual.positional_embedding", 0) - 1
        vision: dict[str, Any] = {
            "image_size": patch * _root(cells, source),
            "patch_size": patch,
            "width": side("visual.conv1.weight", 0),
            "layers": _count(tensors, r"visual\.transformer\.resblocks\.(\d+)\."),
            "head_width": OPENAI_HEAD_WIDTH,
        }
    else:
        cells = side("visual.attnpool.positional_embedding", 0) - 1
        vision = {
            "image_size": RESIDUAL_REDUCTION * _root(cells, source),
            "width": side("visual.layer1.0.conv1.weight", 0),
            "layers": [
                _count(tensors, rf"visual\.layer{stage}\.(\d+)\.") for stage in _RESIDUAL_STAGES
            ],
        }
    return {
        "embed_dim": side("text_projection", 1),
        "quick_gelu": True,
        "vision_cfg": vision,
        "text_cfg": text,
    }


def _count(tensors: Mapping[str, Tensor], numbered: str) -> int:
    pattern = re.compile(numbered)
    return len({match[1] for name in tensors if (match := pattern.match(name))})


def _root(cells: int, source: str) -> int:
    side = round(max(cells, 0) ** 0.5)
    if not side or side * side != cells:
        raise CheckpointError(f"{source}: its image encoder reads {cells} patches, not a square")
    return side


def is_torchscript(path: str | Path) -> bool:
    """Whether a file is a TorchScript archive, told by its content; False if it cannot be read."""
    try:
        return torch_archive(map_file(Path(path))).is_program
    except (OSError, ValueError, CheckpointError):
        return False


def read_torchscript(path: str | Path) -> dict[str, Tensor]:
    """Every tensor of an archive by its dotted name, on the CPU, in the type it is stored in.

    Parameters, buffers and tensors that are plain attributes come alike: the archive does not tell
    them apart. Raises `CheckpointError` when the file is missing, damaged, no such archive, or asks
    for anything but modules and tensors.
    """
    try:
        return _read(map_file(Path(path), private=True))
    except MemoryError:
        raise
    except Exception as error:  # a damaged archive makes the readers stumble over anything
        raise CheckpointError(
            f"{path} is not a readable TorchScript archive (nothing in it was run); get the file "
            f"again, or save its state dict with torch.save: {reason_of(error)}"
        ) from error


class _Module:
    """A module of the archive, without what it can do: its attributes are in `values`."""

    def __init__(self) -> None:
        self.values: dict[Any, Any] = {}

    def set_state(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise CheckpointError("it has a module without named attributes")
        self.values = state


class _Names(dict[str, Any]):
    """Those of tensors, and by their first parts those of modules and of lists with a type."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or str(name).startswith((_PROGRAM, _LISTS))

    def __missing__(self, name: str) -> Function:
        return Function(_Module if name.startswith(_PROGRAM) else _plain)


def _plain(value: Any, *_: Any) -> Any:
    return value


def _read(data: memoryview) -> dict[str, Tensor]:
    archive = torch_archive(data)
    if not archive.is_program:
        raise CheckpointError("it has no program, so it is not of torch.jit.save")
    budget = Budget()
    names = _Names(tensor_names(budget))
    root = PickleReader(archive.pickle, names, budget, Storages(archive.values)).read_last()
    tensors: dict[str, Tensor] = {}
    for name, tensor in _tensors(root):
        if len(tensors) == _MOST_TENSORS:
            raise CheckpointError(f"it has more than {_MOST_TENSORS} tensors")
        tensors[name] = tensor
    return state_dict_of(tensors, "its modules")


def _tensors(root: Any) -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested modules by its dotted name."""
    waiting, seen = [("", root)], 0
    while waiting:
        name, value = waiting.pop()
        # Modules may be shared, so that a small file could ask for any number of names.
        seen += 1
        if seen > _MOST_VALUES or len(name) > _LONGEST_NAME:
            raise CheckpointError("it has modules that are nested without end")
        if isinstance(value, Tensor):
            yield name, value
        elif isinstance(value, _Module):
            inside = [(f"{name}.{key}" if name else str(key), v) for key, v in value.values.items()]
            waiting += reversed(inside)
