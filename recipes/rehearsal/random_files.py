"""Writes the files that a rehearsal begins with, each as the program does that it is known from."""

import sys
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

from recipes.rehearsal.forms import network_part, nvidia_pickle, write_archive
from recipes.rehearsal.random_weights import (
    REDUCED,
    Sizes,
    clip_weights,
    encoder_weights,
    identity_weights,
    nvidia_weights,
    rosinality_weights,
)
from recipes.rehearsal.stages import CLIP, ENCODER, IDENTITY, NVIDIA, ROSINALITY


def write_files(folder: Path, sizes: Sizes) -> None:
    """Write all of them, one at a time; `folder` is made."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = torch.Generator().manual_seed(0)
    average = torch.randn(sizes.latent, generator=draw) * 0.1
    generator = rosinality_weights(sizes, draw)
    torch.save({"g_ema": generator, "latent_avg": average}, folder / ROSINALITY)
    state = {f"encoder.{name}": value for name, value in encoder_weights(sizes, draw).items()}
    state |= {f"decoder.{name}": value for name, value in generator.items()}
    content = {
        "state_dict": OrderedDict(state),
        "latent_avg": average.repeat(sizes.rows, 1),
        "opts": Namespace(
            encoder_type="Encoder4Editing",
            stylegan_size=sizes.resolution,
            start_from_latent_avg=True,
            device="cuda:0",
        ),
    }
    torch.save(content, folder / ENCODER)
    del state, content, generator
    torch.save(identity_weights(sizes, draw), folder / IDENTITY)
    marks = {"input_resolution": sizes.image_size, "context_length": 77, "vocab_size": 49_408}
    write_archive(folder / CLIP, clip_weights(sizes, draw), marks)
    # A snapshot also holds the generator in training and the discriminator, of about its size.
    others: dict[str, Any] = {
        name: network_part(nvidia_weights(sizes, draw)) for name in ("G", "D")
    }
    (folder / NVIDIA).write_bytes(nvidia_pickle(nvidia_weights(sizes, draw), 3, **others))


if __name__ == "__main__":
    write_files(Path(sys.argv[1]), REDUCED if sys.argv[2:] == ["reduced"] else Sizes())
