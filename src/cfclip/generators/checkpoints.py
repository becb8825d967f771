"""Generators on disk: one safetensors file that holds the tensors and the sizes they fit."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cfclip.errors import CheckpointError, InputError
from cfclip.files import atomic_write
from cfclip.generators.ops import fir_filter
from cfclip.generators.stylegan2 import StyleGAN2, StyleGAN2Config

FORMAT = "cfclip.stylegan2.v1"
"""Name and version of the format, in the file's metadata."""

_FORMAT_KEY = "format"
_CONFIG_KEY = "config"
_W_AVG = "w_avg"
_NAMES_SHOWN = 8

Layout = Callable[[str, tuple[int, ...]], tuple[str, tuple[int, ...]]]
"""Our tensor's name and shape to its name and shape in another program."""


def save_generator(
    generator: StyleGAN2,
    path: str | Path,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write weights and configuration to one safetensors file, atomically.

    Matrices and kernels are stored as `dtype`, of which float16 halves the file; vectors and
    scalars stay as they are. `metadata` is kept beside them for whoever reads the file.
    Raises `InputError` for a reserved metadata key, `CheckpointError` when a weight is not finite
    as stored.
    """
    reserved = {_FORMAT_KEY, _CONFIG_KEY} & set(metadata or {})
    if reserved:
        raise InputError(f"metadata uses the reserved keys {sorted(reserved)}; rename them")
    tensors: dict[str, Tensor] = {}
    for name, value in generator.state_dict().items():
        stored = value.detach().cpu()
        if stored.ndim > 1:
            stored = stored.to(dtype)
        if not bool(torch.isfinite(stored).all()):
            raise CheckpointError(
                f"generator tensor {name} is not finite as {stored.dtype}; nothing was written"
            )
        tensors[name] = stored.contiguous()
    header = {
        **(metadata or {}),
        _FORMAT_KEY: FORMAT,
        _CONFIG_KEY: json.dumps(asdict(generator.config)),
    }
    with atomic_write(path) as temporary:
        save_file(tensors, temporary, metadata=header)


def load_generator(path: str | Path, device: str | torch.device = "cpu") -> StyleGAN2:
    """Read a generator that `save_generator` wrote: float32, eval mode, no gradients.

    Raises `CheckpointError` when the file is missing, damaged, of another kind, or holds unknown,
    missing, misshapen or non-finite tensors (it names them).
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no generator file at {path}")
    try:
        with safe_open(path, framework="pt") as handle:
            header = handle.metadata() or {}
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a readable safetensors file: {error}") from error
    if header.get(_FORMAT_KEY) != FORMAT:
        raise CheckpointError(
            f"{path} is not a generator: its format is {header.get(_FORMAT_KEY)!r}, "
            f"expected {FORMAT!r}"
        )
    return build_generator(_config_from_header(header, path), tensors, str(path)).to(device)


def build_generator(
    config: StyleGAN2Config, tensors: Mapping[str, Tensor], source: str
) -> StyleGAN2:
    """A `StyleGAN2` with these tensors, by its own names: float32, eval mode, no gradients.

    Raises `CheckpointError` that starts with `source` unless names and shapes match exactly and
    all values are finite.
    """
    generator = StyleGAN2(config)
    shapes = {name: tuple(value.shape) for name, value in generator.state_dict().items()}
    check_tensors(shapes, tensors, source)
    generator.load_state_dict({name: value.float() for name, value in tensors.items()})
    return generator.eval().requires_grad_(False)


def build_from_layout(
    config: StyleGAN2Config,
    layout: Layout,
    weights: Mapping[str, Tensor],
    w_avg: Tensor,
    source: str,
) -> StyleGAN2:
    """A `StyleGAN2` from tensors that are named and shaped as another program does it.

    `layout` says for one of our tensors, by name and shape, what the other program calls it and
    which shape it has there: the same up to axes of length one. `w_avg` is apart, since some
    formats keep it elsewhere. Raises `CheckpointError` as `build_generator` does, in the other
    program's names.
    """
    with torch.device("meta"):
        own = {name: tuple(value.shape) for name, value in StyleGAN2(config).state_dict().items()}
    del own[_W_AVG]
    theirs = {name: layout(name, shape) for name, shape in own.items()}
    check_tensors(dict(theirs.values()), weights, source)
    tensors = {name: weights[theirs[name][0]].reshape(shape) for name, shape in own.items()}
    return build_generator(config, tensors | {_W_AVG: w_avg}, source)


def drop_fir_filters(
    state: Mapping[str, Tensor], names: re.Pattern[str], source: str
) -> dict[str, Tensor]:
    """`state` without its filter buffers, those whose whole name matches `names`.

    Raises `CheckpointError` for one that is not the [1, 3, 3, 1] filter up to a factor: a model
    trained with another filter would be loaded wrongly.
    """
    kept = dict(state)
    for name in state:
        if not names.fullmatch(name):
            continue
        kernel = kept.pop(name).float().cpu()
        expected = fir_filter()
        if kernel.shape != expected.shape or not torch.allclose(kernel / kernel.sum(), expected):
            raise CheckpointError(
                f"{source}: filter {name} is not [1, 3, 3, 1]; other filters are not supported"
            )
    return kept


def size_of(weights: Mapping[str, Tensor], name: str, axis: int, source: str) -> int:
    """Length of one axis of a tensor; `CheckpointError` when it has no such tensor or axis."""
    if name not in weights:
        raise CheckpointError(f"{source} does not fit a StyleGAN2: missing {name}")
    if weights[name].ndim <= axis:
        raise CheckpointError(
            f"{source} does not fit a StyleGAN2: {name} has shape {tuple(weights[name].shape)}"
        )
    return weights[name].shape[axis]


def check_tensors(
    shapes: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Tensor], source: str
) -> None:
    """Raise `CheckpointError` naming what is missing, unknown, misshapen or not finite.

    `shapes` gives every expected name with its shape; `source` says what was read.
    """
    problems = [f"missing {name}" for name in shapes if name not in tensors]
    problems += [f"unknown {name}" for name in tensors if name not in shapes]
    for name, shape in shapes.items():
        if name not in tensors:
            continue
        value = tensors[name]
        if tuple(value.shape) != shape:
            problems.append(f"{name} has shape {tuple(value.shape)}, expected {shape}")
        elif not bool(torch.isfinite(value).all()):
            problems.append(f"{name} holds values that are not finite")
    if problems:
        shown = "; ".join(problems[:_NAMES_SHOWN])
        rest = len(problems) - _NAMES_SHOWN
        more = f"; and {rest} more" if rest > 0 else ""
        raise CheckpointError(f"{source} does not fit a StyleGAN2 of its sizes: {shown}{more}")


def _config_from_header(header: Mapping[str, str], path: Path) -> StyleGAN2Config:
    try:
        values: dict[str, Any] = json.loads(header[_CONFIG_KEY])
        values["channels"] = tuple(values["channels"])
        return StyleGAN2Config(**values)
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise CheckpointError(f"{path} has no usable generator configuration: {error}") from error
