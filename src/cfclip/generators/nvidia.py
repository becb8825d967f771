"""The tensor layout of NVIDIA's stylegan2-ada-pytorch generators (`G_ema` in a `.pkl` file)."""

import re
from collections.abc import Mapping

from torch import Tensor

from cfclip.errors import CheckpointError, InputError
from cfclip.generators.checkpoints import (
    build_from_layout,
    check_square,
    conditional,
    drop_fir_filters,
    size_of,
)
from cfclip.generators.stylegan2 import (
    MAPPING_LR_MULTIPLIER,
    START_RESOLUTION,
    StyleGAN2,
    StyleGAN2Config,
)

_SOURCE = "NVIDIA checkpoint"
_FILTERS = re.compile(r"synthesis\.b\d+\.(conv[01]\.)?resample_filter")
_MAPPING_LAYER = re.compile(r"mapping\.fc(\d{1,3})\.weight")
_BLOCK = re.compile(r"synthesis\.b(\d{1,4})\..*")
_W_AVG = "mapping.w_avg"
_CLASSES = "mapping.embed.weight"
_CONST = f"synthesis.b{START_RESOLUTION}.const"


def from_nvidia(
    state: Mapping[str, Tensor], mapping_lr_multiplier: float = MAPPING_LR_MULTIPLIER
) -> StyleGAN2:
    """The generator in an NVIDIA `state` dict, its sizes read from the tensors' shapes.

    `state` is the state dict of `G_ema` (names `mapping.*`, `synthesis.*`), unconditional, of the
    `skip` architecture; no tensor tells `mapping_lr_multiplier`, the learning-rate multiplier of
    its mapping network. The result is float32, in eval mode and without gradients. Filter buffers
    may be left out; where present they must hold the [1, 3, 3, 1] filter. Raises `CheckpointError`
    naming every unknown, missing or misshapen tensor, or the kind of generator where it is
    conditional or its pictures are not square.
    """
    weights = drop_fir_filters(state, _FILTERS, _SOURCE)
    check_square(weights, _CONST, _SOURCE)
    if _CLASSES in weights:
        raise conditional(_SOURCE, f"it has {_CLASSES}")
    config = _infer_config(weights, mapping_lr_multiplier)
    if _W_AVG not in weights:
        raise CheckpointError(f"{_SOURCE} does not fit a StyleGAN2: missing {_W_AVG}")
    w_avg = weights.pop(_W_AVG)
    return build_from_layout(config, _layout, weights, w_avg, _SOURCE)


def _infer_config(weights: Mapping[str, Tensor], mapping_lr_multiplier: float) -> StyleGAN2Config:
    def size(name: str, axis: int) -> int:
        return size_of(weights, name, axis, _SOURCE)

    mapping = [int(match[1]) for name in weights if (match := _MAPPING_LAYER.fullmatch(name))]
    blocks = {int(match[1]) for name in weights if (match := _BLOCK.fullmatch(name))}
    resolution = max(blocks, default=START_RESOLUTION)
    try:
        return StyleGAN2Config(
            resolution=resolution,
            channels=tuple(
                size(f"synthesis.b{START_RESOLUTION << level}.conv1.weight", 0)
                for level in range((resolution // START_RESOLUTION).bit_length())
            ),
            z_dim=size("mapping.fc0.weight", 1),
            w_dim=size("mapping.fc0.weight", 0),
            mapping_layers=max(mapping) + 1,
            mapping_lr_multiplier=mapping_lr_multiplier,
            img_channels=size(f"synthesis.b{START_RESOLUTION}.torgb.weight", 0),
        )
    except InputError as error:
        raise CheckpointError(f"{_SOURCE} is not a usable StyleGAN2: {error}") from error


def _layout(name: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    if name == "const":
        return _CONST, shape
    group, number, part = name.split(".", 2)
    index = int(number)
    if group == "mapping_layers":
        return f"mapping.fc{index}.{part}", shape
    if group == "to_rgbs":
        return f"synthesis.b{START_RESOLUTION << index}.torgb.{part}", shape
    # Our convolutions are numbered through: one at 4x4 (their conv1), two per doubling.
    level, second = divmod(index + 1, 2)
    return f"synthesis.b{START_RESOLUTION << level}.conv{second}.{part}", shape
