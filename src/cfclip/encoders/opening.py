"""Encoders on disk: files of this project, and the checkpoints of pSp and e4e."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

from cfclip.encoders import latent_encoder, style_encoder
from cfclip.encoders.encoder import Encoder
from cfclip.encoders.latent_encoder import LatentEncoder, LatentEncoderConfig
from cfclip.encoders.style_encoder import (
    StyleEncoder,
    StyleEncoderConfig,
    StyleEncoderKind,
    build_style_encoder,
    style_encoder_from_released,
)
from cfclip.errors import CheckpointError
from cfclip.foreign import read_torch_file
from cfclip.io import build, build_with, is_model_file, read_format, read_model, save_model


def load_encoder(
    path: str | Path,
    device: str | torch.device = "cpu",
    kind: StyleEncoderKind | None = None,
) -> Encoder:
    """The encoder in a file of this project, or in a pSp or e4e checkpoint.

    Args:
        path: what it is follows from its content, never from its name.
        device: where the encoder shall be; it is float32, in eval mode and without gradients.
        kind: whether a checkpoint without options is e4e's or pSp's.

    Raises:
        CheckpointError: the file is missing, damaged, of another kind, or holds unknown, missing,
            misshapen or non-finite tensors, which it names.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"there is no encoder file at {path}")
    if not is_model_file(path):
        source = f"encoder checkpoint {path}"
        return style_encoder_from_released(read_torch_file(path), source, kind).to(device)
    return load_encoder_file(path).to(device)


def load_encoder_file(path: str | Path) -> Encoder:
    """The encoder in a file of this project, as packs hold it; otherwise as `load_encoder`."""
    if read_format(path, style_encoder.FORMAT.noun) == style_encoder.FORMAT.tag:
        style, tensors = read_model(path, style_encoder.FORMAT, partial(build, StyleEncoderConfig))
        return build_style_encoder(style, tensors, str(path))
    config, tensors = read_model(path, latent_encoder.FORMAT, partial(build, LatentEncoderConfig))
    encoder = build_with(lambda: LatentEncoder(config), tensors, str(path))
    return encoder.eval().requires_grad_(False)


def save_encoder(
    encoder: Encoder,
    path: str | Path,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write weights and configuration to one safetensors file, atomically, as packs hold them.

    Matrices and kernels are stored as `dtype`, of which float16 halves the file; vectors (biases,
    norms and their running statistics) stay float32, since half precision would lose small
    variances. Raises `InputError` for a reserved metadata key, `CheckpointError` when a weight is
    not finite as stored, or for an encoder that has no format.
    """
    if isinstance(encoder, StyleEncoder):
        save_model(encoder, asdict(encoder.config), style_encoder.FORMAT, path, metadata, dtype)
    elif isinstance(encoder, LatentEncoder):
        save_model(encoder, asdict(encoder.config), latent_encoder.FORMAT, path, metadata, dtype)
    else:
        raise CheckpointError(
            f"a {type(encoder).__name__} has no file format; give another encoder"
        )
