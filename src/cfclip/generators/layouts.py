"""The tensor layouts of other programs: rosinality's stylegan2-pytorch and NVIDIA's ADA version.

Their state dicts (`g_ema` in a `.pt` file, `G_ema` in a `.pkl` file) have the tensors of
`StyleGAN2` under other names. Sizes are read from the shapes.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from cfclip.errors import CheckpointError, InputError
from cfclip.generators.modulated_conv import fir_filter
from cfclip.generators.stylegan2 import (
    MAPPING_LR_MULTIPLIER,
    MAX_MAPPING_LAYERS,
    START_RESOLUTION,
    StyleGAN2,
    StyleGAN2Config,
    build_generator,
)
from cfclip.io import check_tensors, shapes_of

NOISE_SEED = 0
"""Of the noise of a file that holds none: the program that wrote it drew it anew for each picture,
or when it was started."""
_NOISE = "noises.noise_"

AVERAGE_SAMPLES = 10_000
"""Of z, for a mean of W that a file does not hold; as many as e4e takes."""
_AVERAGE_BATCH = 1_000
_AVERAGE_SEED = 0

_W_AVG = "w_avg"
_NVIDIA_W_AVG = "mapping.w_avg"
_NVIDIA_CLASSES = "mapping.embed.weight"
_MOST_DOUBLINGS = 16
"""Beyond any generator's; how many are too many is known to `StyleGAN2Config`."""

_CONV_PARTS = {
    "weight": "conv.weight",
    "affine.weight": "conv.modulation.weight",
    "affine.bias": "conv.modulation.bias",
    "bias": "activate.bias",
    "noise_strength": "noise.weight",
}
_RGB_PARTS = _CONV_PARTS | {"bias": "bias"}

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """How another program names and shapes the tensors of a generator, all but `w_avg`."""

    source: str
    """What its state dicts are called in messages."""
    place: Callable[[str, Shape], tuple[str, Shape]]
    """Our tensor's name and shape to its name and shape there: the same up to axes of length one,
    of which those of a weight come first."""
    filters: re.Pattern[str]
    """The whole names of filter buffers."""


def _rosinality_place(name: str, shape: Shape) -> tuple[str, Shape]:
    if name == "const":
        return "input.input", (1, *shape)
    group, number, part = name.split(".", 2)
    index = int(number)
    if group == "mapping_layers":  # it numbers the mapping's normalisation 0
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


def _nvidia_place(name: str, shape: Shape) -> tuple[str, Shape]:
    if name == "const":
        return f"synthesis.b{START_RESOLUTION}.const", shape
    group, number, part = name.split(".", 2)
    index = int(number)
    if group == "mapping_layers":
        return f"mapping.fc{index}.{part}", shape
    if group == "to_rgbs":
        return f"synthesis.b{START_RESOLUTION << index}.torgb.{part}", shape
    # Our convolutions are numbered through: one at 4x4 (their conv1), two per doubling.
    level, second = divmod(index + 1, 2)
    return f"synthesis.b{START_RESOLUTION << level}.conv{second}.{part}", shape


ROSINALITY = Layout(
    "rosinality checkpoint",
    _rosinality_place,
    re.compile(r"convs\.\d+\.conv\.blur\.kernel|to_rgbs\.\d+\.upsample\.kernel"),
)
NVIDIA = Layout(
    "NVIDIA checkpoint",
    _nvidia_place,
    re.compile(r"synthesis\.b\d+\.(conv[01]\.)?resample_filter"),
)


def lacks_noise(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict is of a program from before noise was kept, as the 256 px model's is."""
    return not any(name.startswith(_NOISE) for name in state)


def from_rosinality(state: Mapping[str, Tensor], latent_avg: Tensor | None = None) -> StyleGAN2:
    """The generator in a rosinality `state` dict, its sizes read from the tensors' shapes.

    `state` is the checkpoint's `g_ema`, `latent_avg` its mean of W, `(w_dim,)`; without one it is
    measured over `AVERAGE_SAMPLES` draws, always the same. The result is float32, in eval mode and
    without gradients. Filter buffers may be left out; where present they must hold the [1, 3, 3, 1]
    filter. Where `lacks_noise`, the noise of `NOISE_SEED` is taken. Raises `CheckpointError` naming
    every unknown, missing or misshapen tensor, or the kind of generator where it is conditional or
    its pictures are not square.
    """
    weights = _weights(state, ROSINALITY)
    config = _config(weights, ROSINALITY)
    # Both are one size in that program; the code of a class is appended to z.
    if config.z_dim > config.w_dim:
        reason = f"its mapping takes {config.z_dim} numbers, not {config.w_dim}"
        raise _conditional(ROSINALITY.source, reason)
    if lacks_noise(weights):
        weights |= _drawn_noise(config)
    if latent_avg is not None:
        return _built(config, weights, latent_avg, ROSINALITY)
    return _with_average(_built(config, weights, torch.zeros(config.w_dim), ROSINALITY))


def from_nvidia(
    state: Mapping[str, Tensor], mapping_lr_multiplier: float = MAPPING_LR_MULTIPLIER
) -> StyleGAN2:
    """The generator in an NVIDIA `state` dict, otherwise as `from_rosinality`.

    `state` is the state dict of `G_ema` (names `mapping.*`, `synthesis.*`), unconditional, of the
    `skip` architecture; no tensor tells `mapping_lr_multiplier`, the learning-rate multiplier of
    its mapping network.
    """
    weights = _weights(state, NVIDIA)
    if _NVIDIA_CLASSES in weights:
        raise _conditional(NVIDIA.source, f"it has {_NVIDIA_CLASSES}")
    config = _config(weights, NVIDIA, mapping_lr_multiplier)
    if _NVIDIA_W_AVG not in weights:
        raise CheckpointError(f"{NVIDIA.source} does not fit a StyleGAN2: missing {_NVIDIA_W_AVG}")
    w_avg = weights.pop(_NVIDIA_W_AVG)
    return _built(config, weights, w_avg, NVIDIA)


def _weights(state: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """A state dict without its filter buffers, which must be the [1, 3, 3, 1] filter up to a
    factor: a model trained with another would be loaded wrongly. Its pictures must be square."""
    weights = dict(state)
    for name in filter(layout.filters.fullmatch, state):
        kernel, expected = weights.pop(name).float().cpu(), fir_filter()
        if kernel.shape != expected.shape or not torch.allclose(kernel / kernel.sum(), expected):
            raise CheckpointError(
                f"{layout.source}: filter {name} is not [1, 3, 3, 1]; other filters are not "
                "supported"
            )
    const, _ = layout.place("const", ())
    shape = tuple(weights[const].shape) if const in weights else ()
    if len(shape) > 1 and shape[-2] != shape[-1]:
        raise CheckpointError(
            f"{layout.source} is of a non-square generator, which starts from "
            f"{shape[-1]}x{shape[-2]} ({const}); only square pictures can be edited, give a "
            "generator of such"
        )
    return weights


def _config(
    weights: Mapping[str, Tensor],
    layout: Layout,
    mapping_lr_multiplier: float = MAPPING_LR_MULTIPLIER,
) -> StyleGAN2Config:
    """The sizes of a generator. What is then missing in between is named when it is built."""

    def size(ours: str, axis: int) -> int:
        name, leading = layout.place(ours, ())
        axis += len(leading)
        if name not in weights:
            raise CheckpointError(f"{layout.source} does not fit a StyleGAN2: missing {name}")
        if weights[name].ndim <= axis:
            shape = tuple(weights[name].shape)
            raise CheckpointError(
                f"{layout.source} does not fit a StyleGAN2: {name} has shape {shape}"
            )
        return weights[name].shape[axis]

    def has(ours: str) -> bool:
        return layout.place(ours, ())[0] in weights

    numbers = range(MAX_MAPPING_LAYERS + 1)
    mapping = [number for number in numbers if has(f"mapping_layers.{number}.weight")]
    convs = [number for number in range(1, 2 * _MOST_DOUBLINGS) if has(f"convs.{number}.weight")]
    doublings = (max(convs, default=0) + 1) // 2
    try:
        return StyleGAN2Config(
            z_dim=size("mapping_layers.0.weight", 1),
            w_dim=size("mapping_layers.0.weight", 0),
            mapping_layers=max(mapping) + 1,
            mapping_lr_multiplier=mapping_lr_multiplier,
            resolution=START_RESOLUTION << doublings,
            channels=(
                size("const", 0),
                *(size(f"convs.{2 * level}.weight", 0) for level in range(1, doublings + 1)),
            ),
            img_channels=size("to_rgbs.0.weight", 0),
        )
    except InputError as error:
        raise CheckpointError(f"{layout.source} is not a usable StyleGAN2: {error}") from error


def _built(
    config: StyleGAN2Config, weights: Mapping[str, Tensor], w_avg: Tensor, layout: Layout
) -> StyleGAN2:
    """As `build_generator`, of tensors in a layout, by whose names they are told of in errors."""
    own = shapes_of(lambda: StyleGAN2(config), layout.source)
    del own[_W_AVG]
    theirs = {name: layout.place(name, shape) for name, shape in own.items()}
    check_tensors(dict(theirs.values()), weights, layout.source)
    tensors = {name: weights[theirs[name][0]].reshape(shape) for name, shape in own.items()}
    return build_generator(config, tensors | {_W_AVG: w_avg}, layout.source)


def _drawn_noise(config: StyleGAN2Config) -> dict[str, Tensor]:
    draws = torch.Generator().manual_seed(NOISE_SEED)
    sides = [side for side in config.resolutions for _ in range(2)][1:]  # one at 4x4
    return {
        f"{_NOISE}{index}": torch.randn(1, 1, side, side, generator=draws)
        for index, side in enumerate(sides)
    }


def _with_average(generator: StyleGAN2) -> StyleGAN2:
    draws = torch.Generator().manual_seed(_AVERAGE_SEED)
    z = torch.randn(AVERAGE_SAMPLES, generator.z_dim, generator=draws)
    with torch.no_grad():
        means = [generator.mapping(part)[:, 0].mean(0) for part in z.split(_AVERAGE_BATCH)]
        generator.w_avg.copy_(torch.stack(means).mean(0))
    return generator


def _conditional(source: str, reason: str) -> CheckpointError:
    """The error for a generator that needs to be told a class."""
    return CheckpointError(
        f"{source} is of a conditional generator, of several classes ({reason}); only "
        "unconditional ones can be edited, give such a one"
    )
