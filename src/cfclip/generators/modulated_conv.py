"""The modulated convolution of StyleGAN2, with a lean backward where its weights do not learn.

    y = leaky_relu(scale * conv(style * x) + bias + noise)

Automatic differentiation keeps `style * x`, the convolution's result and y for each layer, and
writes a new tensor for each product: at 1024 px these are 128 MB each, and most of the time goes
into fetching their pages. Here the steps after the convolution are in place, and the backward needs
x, which the layer below keeps anyway, and y: the leaky ReLU is undone to get at the convolution's
result, which the gradient of `scale` needs.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

UPSAMPLING = 2
"""Factor on the side."""
_FIR_TAPS = (1.0, 3.0, 3.0, 1.0)


def fir_filter() -> Tensor:
    """The outer product of [1, 3, 3, 1] with itself, `(4, 4)`, summing to 1."""
    taps = torch.tensor(_FIR_TAPS)
    return torch.outer(taps, taps) / taps.sum().square()


def upsampling_conv(features: Tensor, weight: Tensor, fir: Tensor) -> Tensor:
    """3x3 convolution to twice the side, with the aliases removed by the [1, 3, 3, 1] filter.

    `(batch, in, side, side)` and `weight` `(out, in, 3, 3)` to `(batch, out, 2 * side, 2 * side)`.
    `fir` is `fir_filter()`.

    The stride-2 transposed convolution works on the small side (9 multiplications per input pixel
    and pair of channels), the filter is depthwise. Folding the filter into one 6x6 kernel, into
    four 3x3 phases, or filtering before the convolution costs 36, and is 2 to 10 times slower on a
    CPU, forward and backward.
    """
    doubled = functional.conv_transpose2d(features, weight.transpose(0, 1), stride=UPSAMPLING)
    channels = doubled.shape[1]
    kernel = smoothing_kernel(fir, channels)
    return functional.conv2d(doubled, kernel, padding=1, groups=channels)


def smoothing_kernel(fir: Tensor, channels: int) -> Tensor:
    """What `upsampling_conv` filters each channel by, `(channels, 1, 4, 4)`."""
    return (fir * UPSAMPLING**2).expand(channels, 1, -1, -1)


def modulated_conv(
    features: Tensor,
    style: Tensor,
    scale: Tensor,
    weight: Tensor,
    shifts: Sequence[Tensor],
    slope: float,
    fir: Tensor | None,
) -> Tensor:
    """`leaky_relu(scale * conv(style * features) + shifts)`, all of one dtype.

    Args:
        features: `(batch, in, side, side)`.
        style: `(batch, in)`.
        scale: `(batch, out)`, above 0.
        weight: `(out, in, kernel, kernel)`, of an odd kernel.
        shifts: broadcastable to the result: bias, noise.
        slope: of the leaky ReLU, above 0.
        fir: of `upsampling_conv`; the side is doubled with it.

    Returns:
        `(batch, out, side', side')`.
    """
    if torch.is_grad_enabled() and any(each.requires_grad for each in (weight, *shifts)):
        result = _convolved(features, style, weight, fir)
        # Not addcmul: its backward multiplies the features by one more time.
        result = result * scale[:, :, None, None]
        for shift in shifts:
            result = result.add_(shift)
        return functional.leaky_relu(result, slope, inplace=True)
    lean: Tensor = _LeanConv.apply(features, style, scale, weight, tuple(shifts), slope, fir)
    return lean


def _convolved(features: Tensor, style: Tensor, weight: Tensor, fir: Tensor | None) -> Tensor:
    modulated = features * style[:, :, None, None]
    if fir is None:
        return functional.conv2d(modulated, weight, padding=weight.shape[-1] // 2)
    return upsampling_conv(modulated, weight, fir)


class _LeanConv(torch.autograd.Function):
    """See the module; no gradient of the weight, the shifts or the filter."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        style: Tensor,
        scale: Tensor,
        weight: Tensor,
        shifts: tuple[Tensor, ...],
        slope: float,
        fir: Tensor | None,
    ) -> Tensor:
        result = _convolved(features, style, weight, fir)
        result.mul_(scale[:, :, None, None])
        for shift in shifts:
            result.add_(shift)
        functional.leaky_relu_(result, slope)
        ctx.save_for_backward(features, style, scale, weight, result, *shifts)
        ctx.slope, ctx.fir = slope, fir
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        features, style, scale, weight, result, *shifts = ctx.saved_tensors
        slope, fir = ctx.slope, ctx.fir
        gradient = torch.ops.aten.leaky_relu_backward(gradient, result, slope, True)
        of_scale = None
        if ctx.needs_input_grad[2]:
            scaled = torch.where(result > 0, result, result / slope)
            for shift in shifts:
                scaled.sub_(shift)
            of_scale = scaled.mul_(gradient).sum((2, 3)) / scale
        gradient.mul_(scale[:, :, None, None])
        if fir is None:
            of_modulated = functional.conv_transpose2d(
                gradient, weight, padding=weight.shape[-1] // 2
            )
        else:
            channels = gradient.shape[1]
            rough = functional.conv_transpose2d(
                gradient, smoothing_kernel(fir, channels), padding=1, groups=channels
            )
            of_modulated = functional.conv2d(rough, weight.transpose(0, 1), stride=UPSAMPLING)
        of_style = (of_modulated * features).sum((2, 3)) if ctx.needs_input_grad[1] else None
        of_features = of_modulated.mul_(style[:, :, None, None])
        return of_features, of_style, of_scale, None, None, None, None
