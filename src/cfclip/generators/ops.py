"""The operations of StyleGAN2, as pure torch on any device.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (2020).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

LEAK = 0.2
ACTIVATION_GAIN = math.sqrt(2.0)
"""Keeps the second moment of a leaky ReLU's output at about one."""

_SECOND_MOMENT_EPS = 1e-8
_FIR_TAPS = (1.0, 3.0, 3.0, 1.0)
_UPSAMPLING = 2
_FAR, _NEAR = 0.25, 0.75


def full_precision(device: torch.device) -> torch.autocast:
    """A block in which autocast is off: styles and demodulation need float32."""
    return torch.autocast(device.type, enabled=False)


def normalise_second_moment(vectors: Tensor) -> Tensor:
    """`v / sqrt(mean(v^2))` over the last dimension.

    >>> normalise_second_moment(torch.tensor([[3.0, 4.0, 0.0, 0.0]]))
    tensor([[1.2000, 1.6000, 0.0000, 0.0000]])
    """
    moment = vectors.square().mean(-1, keepdim=True)
    return vectors * torch.rsqrt(moment + _SECOND_MOMENT_EPS)


def scaled_leaky_relu(values: Tensor) -> Tensor:
    """`sqrt(2) * leaky_relu(values, 0.2)`, elementwise."""
    # Both slopes are positive, so the gain may as well be applied first.
    return functional.leaky_relu(values * ACTIVATION_GAIN, LEAK)


def fir_filter() -> Tensor:
    """The outer product of [1, 3, 3, 1] with itself, `(4, 4)`, summing to 1."""
    taps = torch.tensor(_FIR_TAPS)
    return torch.outer(taps, taps) / taps.sum().square()


def upsample_image(images: Tensor) -> Tensor:
    """Twice the side: zeros between the pixels, then the [1, 3, 3, 1] filter with gain 4.

    `(batch, channels, side, side)` to `(batch, channels, 2 * side, 2 * side)`; outside of the image
    are zeros.

    >>> upsample_image(torch.tensor([[[[4.0]]]]))
    tensor([[[[2.2500, 2.2500],
              [2.2500, 2.2500]]]])
    """
    return _upsample(_upsample(images, -1), -2)


def _upsample(images: Tensor, axis: int) -> Tensor:
    """One axis of `upsample_image`: the filter's two phases are (1, 3) / 4 and (3, 1) / 4."""
    side = images.shape[axis]
    frame = (1, 1) if axis == -1 else (0, 0, 1, 1)
    framed = functional.pad(images, frame)
    near = images * _NEAR
    before = framed.narrow(axis, 0, side)
    after = framed.narrow(axis, _UPSAMPLING, side)
    phases = (torch.add(near, before, alpha=_FAR), torch.add(near, after, alpha=_FAR))
    # A new axis after `axis`, merged into it, interleaves the phases.
    return torch.stack(phases, axis).flatten(axis - 1, axis)


def upsampling_conv(features: Tensor, weight: Tensor, fir: Tensor) -> Tensor:
    """3x3 convolution to twice the side, with the aliases removed by the [1, 3, 3, 1] filter.

    `(batch, in, side, side)` and `weight` `(out, in, 3, 3)` to `(batch, out, 2 * side, 2 * side)`.
    `fir` is `fir_filter()`.

    The stride-2 transposed convolution works on the small side (9 multiplications per input pixel
    and pair of channels), the filter is depthwise. Folding the filter into one 6x6 kernel, into
    four 3x3 phases, or filtering before the convolution costs 36, and is 2 to 10 times slower on a
    CPU, forward and backward.
    """
    doubled = functional.conv_transpose2d(features, weight.transpose(0, 1), stride=_UPSAMPLING)
    channels = doubled.shape[1]
    kernel = (fir * _UPSAMPLING**2).expand(channels, 1, -1, -1)
    return functional.conv2d(doubled, kernel, padding=1, groups=channels)


def demodulation(weight: Tensor, style: Tensor, gain: float) -> Tensor:
    """`1 / sqrt(sum (gain * weight * style)^2)` per image and output channel, `(batch, out)`.

    `weight` is `(out, in, kernel, kernel)`, `style` `(batch, in)`. Since the style does not vary
    within the kernel this is one small matrix product, not a copy of the weight per image.
    """
    energy = weight.square().sum((2, 3))
    return torch.rsqrt(style.square() @ energy.T * gain**2 + _SECOND_MOMENT_EPS)


class EqualLinear(nn.Module):
    """Fully connected layer with the equalised learning rate.

    The stored weight has unit variance (times `1 / lr_multiplier`); at run time it is multiplied by
    `lr_multiplier / sqrt(in_features)`, the bias by `lr_multiplier`.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: float = 0.0, lr_multiplier: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), bias / lr_multiplier))
        self.lr_multiplier = lr_multiplier
        self.gain = lr_multiplier / math.sqrt(in_features)

    def forward(self, inputs: Tensor) -> Tensor:
        """`(..., in_features)` to `(..., out_features)`, in the precision of the weight."""
        inputs = inputs.to(self.weight.dtype)
        return functional.linear(inputs, self.weight * self.gain, self.bias * self.lr_multiplier)
