"""Inverting image tensors with the models of a pack."""

import torch
from torch import Tensor

from cfclip.encoders.projection import Inversion, project
from cfclip.encoders.projection_config import ProjectionConfig
from cfclip.optim.descent import INTERRUPTED, Callback
from cfclip.packs.pack import Pack


def invert_images(
    pack: Pack,
    images: Tensor,
    config: ProjectionConfig,
    device: torch.device,
    callback: Callback | None = None,
) -> Inversion:
    """The inversion of an image tensor `(N, 3, R, R)` at the resolution of the pack.

    The projection starts at what the pack's encoder makes of the images, or without one at the
    generator's mean. Raises `KeyboardInterrupt` if Ctrl-C ended it.
    """
    generator, images = pack.generator(device), images.to(device)
    if pack.has_encoder:
        start = pack.encoder(device).encode(images)
    else:
        start = generator.w_avg.expand(len(images), generator.num_ws, -1).clone()
    inversion = project(generator, pack.embedder(device), images, start, config, callback)
    if INTERRUPTED in inversion.stop_reasons:
        raise KeyboardInterrupt
    return inversion
