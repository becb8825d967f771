"""Weights on disk: safetensors files that are written whole or not at all, and read strictly.

A *model file* holds the tensors of one model and, in the file's metadata, the name of its format
and the configuration that builds the model. Nothing here ever leaves a part of a model random.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from cfclip.errors import (
    CfclipError,
    CheckpointError,
    InputError,
    failing_to,
    reason_of,
    shown_name,
)
from cfclip.io.files import atomic_write
from cfclip.io.text_formats import parse_json, table_of

_WRAPPERS = re.compile(r"^(?:module\.|_orig_mod\.)+")
"""What training on several devices and `torch.compile` put before the names of tensors."""

FORMAT_KEY = "format"
CONFIG_KEY = "config"
"""Keys of a model file's metadata that its caller cannot use."""

_NAMES_SHOWN = 8
_LONGEST_PROBLEMS = 250
_LENGTH_BYTES = 8
"""Of the header of a safetensors file, before it."""
_MAX_HEADER_BYTES = 4 << 20
_MAX_TENSORS = 10_000
"""Large models have some thousands, each of about 150 bytes in the header."""
_NUMBERS = {torch.float64, torch.float32, torch.float16, torch.bfloat16}
_COUNTS = {torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool}

Config = TypeVar("Config")
Value = TypeVar("Value")


@dataclass(frozen=True)
class ModelFormat:
    """What a model file says of itself."""

    tag: str
    """Name and version, such as "cfclip.stylegan2.v1"."""
    noun: str
    """What the model is called in messages, such as "generator"."""


def save_tensors(
    state: Mapping[str, Tensor],
    path: str | Path,
    noun: str,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a state dict to a safetensors file, atomically.

    Matrices and kernels are stored as `dtype`, of which float16 halves the file; vectors (biases,
    norms and their running statistics) and scalars keep their type, since half precision would
    lose small variances. Raises `CheckpointError`, calling the model `noun`, when a tensor is not
    finite as stored.
    """
    stored: dict[str, Tensor] = {}
    for name, value in state.items():
        tensor = value.detach().to("cpu", dtype if value.ndim > 1 else None).contiguous()
        if not _is_finite(tensor):
            raise CheckpointError(
                f"{noun} tensor {name} is not finite as {tensor.dtype}; nothing was written"
            )
        stored[name] = tensor
    with atomic_write(path) as temporary:
        save_file(stored, temporary, metadata=dict(metadata) if metadata else None)


def read_tensors(path: str | Path, noun: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file, on the CPU, and its metadata.

    Raises `CheckpointError`, calling the model `noun`, when the file is missing or damaged.
    """
    with _opened(path, noun) as handle:
        tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
        return tensors, handle.metadata() or {}


def save_model(
    model: nn.Module,
    config: Mapping[str, Any],
    model_format: ModelFormat,
    path: str | Path,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a model file: `model`'s state as `save_tensors` does, with the `config` that builds it.

    `metadata` is kept beside them for whoever reads the file. Raises `InputError` for a reserved
    metadata key, `CheckpointError` when a weight is not finite as stored.
    """
    reserved = {FORMAT_KEY, CONFIG_KEY} & set(metadata or {})
    if reserved:
        raise InputError(f"metadata uses the reserved keys {sorted(reserved)}; rename them")
    own = {FORMAT_KEY: model_format.tag, CONFIG_KEY: json.dumps(dict(config))}
    header = {**(metadata or {}), **own}
    save_tensors(model.state_dict(), path, model_format.noun, header, dtype)


def read_model(
    path: str | Path, model_format: ModelFormat, parse: Callable[[dict[str, Any]], Config]
) -> tuple[Config, dict[str, Tensor]]:
    """The configuration of a model file, made by `parse` from its JSON object, and its tensors.

    Raises `CheckpointError` when the file is missing, damaged or of another format, or when
    `parse` refuses its configuration (by KeyError, TypeError, ValueError, RuntimeError or an error
    of cfclip).
    """
    tensors, header = read_tensors(path, model_format.noun)
    return _config(path, header, model_format, parse), tensors


def read_config(
    path: str | Path, model_format: ModelFormat, parse: Callable[[dict[str, Any]], Config]
) -> Config:
    """The configuration alone, without reading the tensors; otherwise as `read_model`."""
    return _config(path, _header(path, model_format.noun), model_format, parse)


def _config(
    path: str | Path,
    header: Mapping[str, str],
    model_format: ModelFormat,
    parse: Callable[[dict[str, Any]], Config],
) -> Config:
    _check_format(header, model_format, path)
    try:
        return parse(_table_in(header, CONFIG_KEY))
    except (KeyError, TypeError, ValueError, RuntimeError, CfclipError) as error:
        raise CheckpointError(
            f"{path} has no usable {model_format.noun} configuration: {reason_of(error)}"
        ) from error


def read_metadata(path: str | Path, model_format: ModelFormat) -> dict[str, str]:
    """The metadata that `save_model` was given, without reading the tensors.

    Raises `CheckpointError` when the file is missing, damaged or of another format.
    """
    header = _header(path, model_format.noun)
    _check_format(header, model_format, path)
    return {key: value for key, value in header.items() if key not in (FORMAT_KEY, CONFIG_KEY)}


def facts_metadata(key: str, facts: Mapping[str, Any]) -> dict[str, str]:
    """Facts about a model, in JSON values, as `metadata` of `save_model` under one key.

    Raises `InputError` for other values.
    """
    try:
        return {key: json.dumps(dict(facts), allow_nan=False)}
    except (TypeError, ValueError) as error:
        raise InputError(f"facts about a model cannot be written as JSON: {error}") from error


def read_facts(path: str | Path, model_format: ModelFormat, key: str) -> dict[str, Any]:
    """What `facts_metadata` was given, without reading the tensors.

    Raises `CheckpointError` when the file is missing, damaged, of another format or tells none.
    """
    try:
        return _table_in(read_metadata(path, model_format), key)
    except (KeyError, InputError) as error:
        raise CheckpointError(
            f"{path} tells no usable facts about its {model_format.noun}: {reason_of(error)}"
        ) from error


def _table_in(header: Mapping[str, str], key: str) -> dict[str, Any]:
    return dict(table_of(parse_json(header[key]), key))


def read_format(path: str | Path, noun: str) -> str | None:
    """The `ModelFormat.tag` of a model file, None where it tells none.

    Raises `CheckpointError`, calling the model `noun`, when the file is missing or damaged.
    """
    return _header(path, noun).get(FORMAT_KEY)


def load_tensors(model: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Load all of `tensors` into `model`, which keeps its own types.

    Raises `CheckpointError` as `check_tensors` does, before anything is loaded.
    """
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    check_tensors(shapes, tensors, source)
    model.load_state_dict(dict(tensors))


def check_tensors(
    shapes: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Tensor], source: str
) -> None:
    """Raise `CheckpointError` naming what is missing, unknown, misshapen, no number or not finite.

    `shapes` gives every expected name with its shape; `source` says what was read.
    """
    problems = [f"missing {name}" for name in shapes if name not in tensors]
    problems += [f"unknown {shown_name(name)}" for name in tensors if name not in shapes]
    for name, shape in shapes.items():
        if name not in tensors:
            continue
        found = tuple(tensors[name].shape)
        if found != shape:
            problems.append(f"{name} has shape {found}, expected {shape}")
        elif tensors[name].dtype not in _NUMBERS | _COUNTS:
            problems.append(f"{name} holds {tensors[name].dtype}, expected numbers of 16 bits on")
        elif not _is_finite(tensors[name]):
            problems.append(f"{name} holds values that are not finite")
    if problems:
        lengths = accumulate(map(len, problems[:_NAMES_SHOWN]))
        count = max(1, sum(length <= _LONGEST_PROBLEMS for length in lengths))
        shown = "; ".join(problems[:count])
        more = f"; and {len(problems) - count} more" if len(problems) > count else ""
        raise CheckpointError(
            f"{source} does not fit its configuration, use the weights and the configuration of "
            f"one model: {shown}{more}"
        )


def unwrapped(state: Mapping[str, Value]) -> dict[str, Value]:
    """A state dict by the names that it has where neither several devices nor compiling add to
    them; as it is, where two tensors would then share one."""
    bare = {_WRAPPERS.sub("", name): value for name, value in state.items()}
    return bare if len(bare) == len(state) else dict(state)


def is_model_file(path: str | Path) -> bool:
    """Whether a file begins as a safetensors file does: a length, then a JSON object.

    Raises `CheckpointError` when it cannot be read.
    """
    with failing_to(f"read {path}", "give a file", kind=CheckpointError), open(path, "rb") as file:
        return file.read(_LENGTH_BYTES + 1)[_LENGTH_BYTES:] == b"{"


def _header(path: str | Path, noun: str) -> dict[str, str]:
    with _opened(path, noun) as handle:
        return handle.metadata() or {}


@contextmanager
def _opened(path: str | Path, noun: str) -> Iterator[Any]:
    """A safetensors file; `CheckpointError` when it is missing, or found damaged while read."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no {noun} file at {path}")
    try:
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if size > _MAX_HEADER_BYTES:  # which would take long to read
            raise CheckpointError(
                f"{path} is not a readable safetensors file: its header of {size} bytes is larger "
                f"than {_MAX_HEADER_BYTES}, which no {noun} needs"
            )
        with safe_open(path, framework="pt") as handle:
            if (count := len(handle.keys())) > _MAX_TENSORS:
                raise CheckpointError(
                    f"{path} has {count} tensors, at most {_MAX_TENSORS} are read; no {noun} has "
                    "as many"
                )
            yield handle
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a readable safetensors file: {reason_of(error)}; get it again"
        ) from error


def _check_format(header: Mapping[str, str], model_format: ModelFormat, path: str | Path) -> None:
    found, noun = header.get(FORMAT_KEY), model_format.noun
    if found != model_format.tag:
        article = "an" if noun[0] in "aeiou" else "a"
        raise CheckpointError(
            f"{path} is not {article} {noun}: its format is {shown_name(repr(found))}, expected "
            f"{model_format.tag!r}"
        )


def _is_finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())
