"""The discriminator of the adversarial stage.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (2020): residual
blocks, equalised learning rates, and the standard deviation over the minibatch as a last feature
(Karras et al. 2018). Maps are halved by averaging, which costs least on a CPU.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from cfclip.generators import START_RESOLUTION, EqualLinear, StyleGAN2Config, scaled_leaky_relu

GROUP = 4
"""Images over which the standard deviation is taken."""
_EPS = 1e-8


class _EqualConv(nn.Module):
    """Convolution with the equalised learning rate that keeps the side of its input."""

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.gain = 1.0 / math.sqrt(inputs * kernel * kernel)
        self.padding = kernel // 2

    def forward(self, maps: Tensor) -> Tensor:
        return functional.conv2d(maps, self.weight * self.gain, self.bias, padding=self.padding)


class _HalvingBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = _EqualConv(inputs, inputs, 3)
        self.second = _EqualConv(inputs, outputs, 3)
        self.shortcut = _EqualConv(inputs, outputs, 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        shortcut = self.shortcut(functional.avg_pool2d(maps, 2))
        maps = functional.avg_pool2d(scaled_leaky_relu(self.first(maps)), 2)
        # Both have unit variance, and so has their sum.
        return (scaled_leaky_relu(self.second(maps)) + shortcut) * math.sqrt(0.5)


def minibatch_deviation(maps: Tensor) -> Tensor:
    """Standard deviation over groups of images, mean over all features: `(batch, 1, H, W)`.

    Image i belongs to the group of i modulo the number of groups; groups have `GROUP` images, or
    as many as there are.

    >>> minibatch_deviation(torch.tensor([1.0, 3.0]).reshape(2, 1, 1, 1)).flatten()
    tensor([1., 1.])
    """
    batch, _, height, width = maps.shape
    groups = maps.unflatten(0, (min(GROUP, batch), -1))
    deviation = (groups.var(0, correction=0) + _EPS).sqrt().mean((1, 2, 3))
    return deviation.repeat(batch // len(deviation))[:, None, None, None].expand(
        -1, 1, height, width
    )


class Discriminator(nn.Module):
    """Tell real images from generated ones.

    `forward` takes an image tensor `(batch, 3, resolution, resolution)`, batch a multiple of
    `GROUP` or less than it, and gives logits `(batch,)`, high for real.

    Args:
        sizes: of the generator, whose widths are taken in reverse.
    """

    def __init__(self, sizes: StyleGAN2Config) -> None:
        super().__init__()
        widths = sizes.channels[::-1]
        last = widths[-1]
        self.from_rgb = _EqualConv(sizes.img_channels, widths[0], 1)
        self.blocks = nn.ModuleList(_HalvingBlock(a, b) for a, b in pairwise(widths))
        self.mixed = _EqualConv(last + 1, last, 3)
        self.hidden = EqualLinear(last * START_RESOLUTION**2, last)
        self.logit = EqualLinear(last, 1)

    def forward(self, images: Tensor) -> Tensor:
        maps = scaled_leaky_relu(self.from_rgb(images))
        for block in self.blocks:
            maps = block(maps)
        maps = scaled_leaky_relu(self.mixed(torch.cat([maps, minibatch_deviation(maps)], 1)))
        logits: Tensor = self.logit(scaled_leaky_relu(self.hidden(maps.flatten(1)))).squeeze(1)
        return logits
