"""IR-SE50: the residual network with squeeze-and-excitation that faces are recognised by.

Source: Deng et al., "ArcFace" (CVPR 2019), section 3.1 (improved residual units); Hu et al.,
"Squeeze-and-Excitation Networks" (CVPR 2018). The tensors are named as in the files that are shared
(`model_ir_se50.pth` and the encoders that grew from it), so that these load as they are.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from cfclip.errors import CheckpointError
from cfclip.io import check_tensors, meta_device, shapes_of
from cfclip.tensors import RGB_CHANNELS

STAGES = (3, 4, 14, 3)
"""Units of each stage; the first of each halves the map, and doubles the channels after stage 0."""

EXPANSION = 2 ** (len(STAGES) - 1)
"""Channels of the last stage for each of the first."""

LAST_UNITS = tuple(sum(STAGES[: stage + 1]) - 1 for stage in range(len(STAGES)))
"""The number of the last unit of each stage."""

_SQUEEZE = 16
_MOST_WIDTH = 4096
"""Far above any network: the sizes that a file claims are refused before one is made."""
_COUNTER = ".num_batches_tracked"

Model = TypeVar("Model", bound=nn.Module)


class _SqueezeExcitation(nn.Module):
    """Weighs each channel by a number between 0 and 1 that follows from the means of all."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // _SQUEEZE, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // _SQUEEZE, channels, 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        means = maps.mean((2, 3), keepdim=True)
        weights: Tensor = self.fc2(self.fc1(means).relu()).sigmoid()
        return maps * weights


class _Unit(nn.Module):
    """An improved residual unit: norm, two 3x3 convolutions of which the second may halve."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.shortcut_layer: nn.Module | None = None
        if in_channels != channels:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.Conv2d(in_channels, channels, 3, 1, 1, bias=False),
            nn.PReLU(channels),
            nn.Conv2d(channels, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
            _SqueezeExcitation(channels),
        )

    def forward(self, maps: Tensor) -> Tensor:
        if self.shortcut_layer is None:
            kept = maps[:, :, :: self.stride, :: self.stride]
        else:
            kept = self.shortcut_layer(maps)
        return kept + self.res_layer(maps)


def stem_of(width: int) -> nn.Sequential:
    """The layer from RGB to `width` channels, which the files call `input_layer`."""
    return nn.Sequential(
        nn.Conv2d(RGB_CHANNELS, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width)
    )


def units_of(width: int) -> nn.Sequential:
    """All units, which the files call `body`: `width` channels to `width * EXPANSION`.

    Each stage halves the map, the first one included.
    """
    units: list[nn.Module] = []
    channels = width
    for stage, count in enumerate(STAGES):
        for index in range(count):
            units.append(_Unit(channels, width << stage, 1 if index else 2))
            channels = width << stage
    return nn.Sequential(*units)


def width_of(tensors: Mapping[str, Tensor], source: str) -> int:
    """The `width` that a state dict was made with, 64 in all that are shared.

    Raises `CheckpointError` when it is of another network, or too narrow.
    """
    return first_width(tensors, "input_layer.0.weight", "an IR-SE50", source, _SQUEEZE)


def first_width(
    tensors: Mapping[str, Tensor], name: str, network: str, source: str, least: int = 1
) -> int:
    """The channels that the kernel `name` gives.

    Raises `CheckpointError` for a state dict that is not of `network`, or of other widths than one
    has.
    """
    if name not in tensors or tensors[name].ndim != 4:
        raise CheckpointError(f"{source} is not {network}: no kernel {name}; give another file")
    width = tensors[name].shape[0]
    if not least <= width <= _MOST_WIDTH:
        raise CheckpointError(
            f"{source} has {name} of {width} channels, expected {least} to {_MOST_WIDTH}"
        )
    return width


def load_normed(make: Callable[[], Model], tensors: Mapping[str, Tensor], source: str) -> Model:
    """The network of `make` with `tensors`, loaded strictly, in CPU memory.

    All that it has must be in its state dict: memory is not initialised. The batch norms' counters,
    which nothing reads, may be left out. The result is in eval mode without gradients. Raises
    `CheckpointError` naming what is missing, unknown, misshapen or not finite.
    """
    own = shapes_of(make, source)
    left_out = {name for name in own if name.endswith(_COUNTER) and name not in tensors}
    shapes = {name: shape for name, shape in own.items() if name not in left_out}
    check_tensors(shapes, tensors, source)
    with meta_device():
        model = make()
    model.to_empty(device="cpu")
    model.load_state_dict({**tensors, **{name: torch.zeros(own[name]) for name in left_out}})
    return model.eval().requires_grad_(False)
