"""Opening any encoder file, by its content."""

from pathlib import Path

import torch

from cfclip.encoders import latent_encoder, style_encoder
from cfclip.encoders.encoder import Encoder
from cfclip.encoders.latent_encoder import LatentEncoder
from cfclip.encoders.style_encoder import (
    StyleEncoder,
    StyleEncoderKind,
    style_encoder_from_released,
)
from cfclip.errors import CheckpointError
from cfclip.foreign.torch_files import read_torch_file
from cfclip.io.weights import is_model_file, read_format


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
    return load_encoder_file(path, device)


def load_encoder_file(path: str | Path, device: str | torch.device = "cpu") -> Encoder:
    """The encoder in a file of this project, as packs hold it; otherwise as `load_encoder`."""
    encoder: Encoder
    if read_format(path, style_encoder.FORMAT.noun) == style_encoder.FORMAT.tag:
        encoder = style_encoder.load_style_encoder(path)
    else:
        encoder = latent_encoder.load_encoder(path)
    return encoder.to(device)


def save_encoder_file(encoder: Encoder, path: str | Path) -> None:
    """Write an encoder as packs hold it, atomically.

    Raises `CheckpointError` when a weight is not finite, or for an encoder that has no format.
    """
    if isinstance(encoder, StyleEncoder):
        style_encoder.save_style_encoder(encoder, path)
    elif isinstance(encoder, LatentEncoder):
        latent_encoder.save_encoder(encoder, path)
    else:
        raise CheckpointError(
            f"a {type(encoder).__name__} has no file format; give another encoder"
        )
