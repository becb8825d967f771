"""Generators on disk: one safetensors file that holds the tensors and the sizes they fit."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from cfclip.errors import CheckpointError
from cfclip.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from cfclip.io.text_formats import build
from cfclip.io.weights import (
    ModelFormat,
    build_with,
    read_config,
    read_model,
    save_model,
)

FORMAT = ModelFormat("cfclip.stylegan2.v1", "generator")


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
