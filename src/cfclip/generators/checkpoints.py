"""Generators on disk: one safetensors file that holds the tensors and the sizes they fit."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from cfclip.errors import CheckpointError
from cfclip.generators.ops import fir_filter
from cfclip.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from cfclip.io.typed_fields import build
from cfclip.io.weights import (
    ModelFormat,
    build_with,
    check_tensors,
    read_config,
    read_model,
    save_model,
    shapes_of,
)

FORMAT = ModelFormat("cfclip.stylegan2.v1", "generator")

_W_AVG = "w_avg"

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
    save_model(generator, asdict(generator.config), FORMAT, path, metadata, dtype)


def load_generator_file(path: str | Path, device: str | torch.device = "cpu") -> StyleGAN2:
    """Read a generator that `save_generator` wrote, as packs hold it: float32, eval mode, frozen.

    Raises `CheckpointError` when the file is missing, damaged, of another kind, or holds unknown,
    missing, misshapen or non-finite tensors (it names them).
    """
    config, tensors = read_model(path, FORMAT, partial(build, StyleGAN2Config))
    return build_generator(config, tensors, str(path)).to(device)


def read_generator_config(path: str | Path) -> StyleGAN2Config:
    """The sizes in a file of `save_generator`, without reading the tensors.

    Raises `CheckpointError` when it is missing, damaged or of another kind.
    """
    return read_config(path, FORMAT, partial(build, StyleGAN2Config))


def build_generator(
    config: StyleGAN2Config, tensors: Mapping[str, Tensor], source: str
) -> StyleGAN2:
    """A `StyleGAN2` with these tensors, by its own names: float32, eval mode, no gradients.

    Raises `CheckpointError` that starts with `source` unless names and shapes match exactly and
    all values are finite.
    """
    generator = build_with(lambda: StyleGAN2(config), tensors, source)
    if whole := [name for name, value in tensors.items() if not value.is_floating_point()]:
        raise CheckpointError(
            f"{source} holds {tensors[whole[0]].dtype} in {whole[0]}, expected floating point "
            "numbers; save it anew"
        )
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
    own = shapes_of(lambda: StyleGAN2(config), source)
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


def check_square(weights: Mapping[str, Tensor], const: str, source: str) -> None:
    """Raise `CheckpointError` if the map that a generator starts from is of another shape."""
    shape = tuple(weights[const].shape) if const in weights else ()
    if len(shape) > 1 and shape[-2] != shape[-1]:
        raise CheckpointError(
            f"{source} is of a non-square generator, which starts from {shape[-1]}x{shape[-2]} "
            f"({const}); only square pictures can be edited, give a generator of such"
        )


def conditional(source: str, reason: str) -> CheckpointError:
    """The error for a generator that needs to be told a class."""
    return CheckpointError(
        f"{source} is of a conditional generator, of several classes ({reason}); only "
        "unconditional ones can be edited, give such a one"
    )
