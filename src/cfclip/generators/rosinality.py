"""The checkpoint layout of rosinality's stylegan2-pytorch (`.pt` files: `g_ema`, `latent_avg`)."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from cfclip.errors import CheckpointError, InputError
from cfclip.generators.checkpoints import (
    build_from_layout,
    check_square,
    conditional,
    drop_fir_filters,
    size_of,
)
from cfclip.generators.stylegan2 import START_RESOLUTION, StyleGAN2, StyleGAN2Config

_SOURCE = "rosinality checkpoint"
_FILTERS = re.compile(r"convs\.\d+\.conv\.blur\.kernel|to_rgbs\.\d+\.upsample\.kernel")
_CONST = "input.input"
_MAPPING_LAYER = re.compile(r"style\.(\d{1,3})\.weight")
_CONV = re.compile(r"convs\.(\d{1,3})\.conv\.weight")
_CONV_PARTS = {
    "weight": "conv.weight",
    "affine.weight": "conv.modulation.weight",
    "affine.bias": "conv.modulation.bias",
    "bias": "activate.bias",
    "noise_strength": "noise.weight",
}
_RGB_PARTS = _CONV_PARTS | {"bias": "bias"}
_NOISE = "noises.noise_"
NOISE_SEED = 0
"""Of the noise of a file that holds none: the program that wrote it drew it anew for each picture,
or when it was started."""


def lacks_noise(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict is of a program from before noise was kept, as the 256 px model's is."""
    return not any(name.startswith(_NOISE) for name in state)


def from_rosinality(state: Mapping[str, Tensor], latent_avg: Tensor) -> StyleGAN2:
    """The generator in a rosinality `state` dict, its sizes read from the tensors' shapes.

    `state` is the checkpoint's `g_ema`, `latent_avg` its mean of W, `(w_dim,)`. The result is
    float32, in eval mode and without gradients. Filter buffers may be left out; where present they
    must hold the [1, 3, 3, 1] filter. Where `lacks_noise`, the noise of `NOISE_SEED` is taken.
    Raises `CheckpointError` naming every unknown, missing or misshapen tensor, or the kind of
    generator where it is conditional or its pictures are not square.
    """
    weights = drop_fir_filters(state, _FILTERS, _SOURCE)
    check_square(weights, _CONST, _SOURCE)
    config = _infer_config(weights)
    # Both are one size in that program; the code of a class is appended to z.
    if config.z_dim > config.w_dim:
        raise conditional(_SOURCE, f"its mapping takes {config.z_dim} numbers, not {config.w_dim}")
    if lacks_noise(weights):
        weights |= _drawn_noise(config)
    return build_from_layout(config, _layout, weights, latent_avg, _SOURCE)


def _drawn_noise(config: StyleGAN2Config) -> dict[str, Tensor]:
    draws = torch.Generator().manual_seed(NOISE_SEED)
    sides = [side for side in config.resolutions for _ in range(2)][1:]  # one at 4x4
    return {
        f"{_NOISE}{index}": torch.randn(1, 1, side, side, generator=draws)
        for index, side in enumerate(sides)
    }


def _infer_config(weights: Mapping[str, Tensor]) -> StyleGAN2Config:
    def size(name: str, axis: int) -> int:
        return size_of(weights, name, axis, _SOURCE)

    # The state numbers the mapping's normalisation 0, and the convolutions from 8x8 on, in pairs.
    mapping = [int(match[1]) for name in weights if (match := _MAPPING_LAYER.fullmatch(name))]
    convs = [int(match[1]) for name in weights if (match := _CONV.fullmatch(name))]
    doublings = max(convs, default=-1) // 2 + 1
    try:
        return StyleGAN2Config(
            resolution=START_RESOLUTION << doublings,
            channels=(
                size(_CONST, 1),
                *(size(f"convs.{2 * level + 1}.conv.weight", 1) for level in range(doublings)),
            ),
            z_dim=size("style.1.weight", 1),
            w_dim=size("style.1.weight", 0),
            mapping_layers=max(mapping),
            img_channels=size("to_rgb1.conv.weight", 1),
        )
    except InputError as error:
        raise CheckpointError(f"{_SOURCE} is not a usable StyleGAN2: {error}") from error


def _layout(name: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    if name == "const":
        return _CONST, (1, *shape)
    group, number, part = name.split(".", 2)
    index = int(number)
    if group == "mapping_layers":
        return f"style.{index + 1}.{part}", shape
    if part == "noise_const":
        return f"{_NOISE}{index}", (1, 1, *shape)
    if group == "convs":
        owner = f"convs.{index - 1}" if index else "conv1"
        theirs = f"{owner}.{_CONV_PARTS[part]}"
    else:
        owner = f"to_rgbs.{index - 1}" if index else "to_rgb1"
        theirs = f"{owner}.{_RGB_PARTS[part]}"
        if part == "bias":
            return theirs, (1, *shape, 1, 1)
    # Convolution weights have a leading axis for the batch; the noise strength is a vector of one.
    return theirs, (1, *shape) if part in ("weight", "noise_strength") else shape
