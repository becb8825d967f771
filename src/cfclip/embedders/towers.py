"""Small image towers for CLIPs of aligned pictures; free of timm, whose names they have in configs.

open_clip's own residual tower pools by attention, which learns slowly where things are; on aligned
avatars it reached in a minute 40 % of hair colours where this tower, which flattens its last map,
reached 97 %. A config names it as `"timm_model_name": "cfclip_compact_resnet"` with empty
`timm_pool` and `timm_proj`. `cfclip_compact_plain` has no shortcuts and other widths: for a second
CLIP that is to err in other ways than the first.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from cfclip.embedders.clip_config import TOWERS

_NAME, _ = TOWERS
_WIDTHS = (16, 48, 96, 160)
_PLAIN_WIDTHS = (24, 64, 128, 192)
_POOLED_SIDE = 4
_NECK = 512


def conv_norm_relu(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class HalvingBlock(nn.Module):
    """Residual block that halves the map; its shortcut averages, so that thin lines survive."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = conv_norm_relu(inputs, outputs, 2)
        self.second = nn.Sequential(
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, maps: Tensor) -> Tensor:
        shortcut = self.shortcut(functional.avg_pool2d(maps, 2))
        return functional.relu(self.second(self.first(maps)) + shortcut)


class CompactNet(nn.Module):
    """Strided stem, halving blocks, a last strided convolution, a flattened 4x4 map.

    `forward` takes normalised images `(batch, 3, side, side)`, side a multiple of 16, and gives
    `(batch, num_classes)`.

    Args:
        num_classes: width of the output.
        widths: channels of the stem and of each block.
        block: makes a block that halves the map from its numbers of input and output channels.
    """

    def __init__(
        self, num_classes: int, widths: tuple[int, ...], block: Callable[[int, int], nn.Module]
    ) -> None:
        super().__init__()
        self.num_features = _NECK
        self.stem = conv_norm_relu(3, widths[0], 2)
        self.blocks = nn.ModuleList(block(a, b) for a, b in pairwise(widths))
        self.last = conv_norm_relu(widths[-1], widths[-1], 2)
        self.neck = nn.Linear(widths[-1] * _POOLED_SIDE**2, _NECK)
        self.head = nn.Linear(_NECK, num_classes)

    @property
    def map_count(self) -> int:
        """Number of feature maps that `forward_intermediates` can give."""
        return len(self.blocks) + 1

    def _maps(self, images: Tensor) -> list[Tensor]:
        maps = [self.stem(images)]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return [*maps, self.last(maps[-1])]

    def features(self, images: Tensor) -> Tensor:
        """What the linear `head` reads: `(batch, num_features)`."""
        pooled = functional.adaptive_avg_pool2d(self._maps(images)[-1], _POOLED_SIDE)
        return functional.relu(self.neck(pooled.flatten(1)))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))

    def forward_intermediates(
        self,
        x: Tensor,
        indices: list[int] | int | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """timm's interface to the maps: the blocks' outputs and the last one's, or `indices`."""
        del norm, stop_early
        if output_fmt != "NCHW":
            raise ValueError(f"output_fmt is {output_fmt!r}, only NCHW is supported")
        maps = self._maps(x)[1:]
        if isinstance(indices, int):
            chosen = maps[-indices:]
        else:
            chosen = maps if indices is None else [maps[index] for index in indices]
        return chosen if intermediates_only else (maps[-1], chosen)


def make_tower(name: str, num_classes: int) -> CompactNet:
    """The tower of a name of `TOWERS`, untrained, with so many outputs."""
    if name == _NAME:
        return CompactNet(num_classes, _WIDTHS, HalvingBlock)
    return CompactNet(num_classes, _PLAIN_WIDTHS, _plain_block)


def _plain_block(inputs: int, outputs: int) -> nn.Sequential:
    return conv_norm_relu(inputs, outputs, 2)
