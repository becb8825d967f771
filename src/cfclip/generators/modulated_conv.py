"""The modulated convolution of StyleGAN2, with a lean backward for large frozen ones.

    y = leaky_relu(scale * conv(style * x) + bias + noise)

Automatic differentiation keeps `style * x`, the convolution's result and y for each layer, and
writes a new tensor for each product: at 1024 px these are 128 MB each, and most of the time goes
into fetching their pages. Here the steps after the convolution are in place, and the backward needs
x, which the layer below keeps anyway, and y.

The gradient of `scale` needs the convolution's result, times the gradient behind the leaky ReLU.
Their product is that of y and the gradient before it, since the slope that one is divided by
multiplies the other; bias and noise are taken off in sums over pixels.

Small features go the plain way: there is little to gain, and a descent makes more of another order
of sums, so that records of pictures of 128 px would not be repeated.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

UPSAMPLING = 2
"""Factor on the side."""
_FIR_TAPS = (1.0, 3.0, 3.0, 1.0)
_LARGE = 1 << 22
"""Values of a picture's features, 16 MB, above any of 128 px."""
_PRODUCT_PIXELS = 1 << 10
_SUM_PIXELS = 1 << 14
"""Pixels that products over a whole picture take at a time."""


def fir_filter() -> Tensor:
    """The outer product of [1, 3, 3, 1] with itself, `(4, 4)`, summing to 1."""
    taps = torch.tensor(_FIR_TAPS)
    return torch.outer(taps, taps) / taps.sum().square()


def upsampling_conv(
    features: Tensor, weight: Tensor, fir: Tensor, bias: Tensor | None = None
) -> Tensor:
    """3x3 convolution to twice the side, with the aliases removed by the [1, 3, 3, 1] filter.

    `(batch, in, side, side)` and `weight` `(out, in, 3, 3)` to `(batch, out, 2 * side, 2 * side)`.
    `fir` is `fir_filter()`, `bias` is `(out,)`.

    The stride-2 transposed convolution works on the small side (9 multiplications per input pixel
    and pair of channels), the filter is depthwise. Folding the filter into one 6x6 kernel, into
    four 3x3 phases, or filtering before the convolution costs 36, and is 2 to 10 times slower on a
    CPU, forward and backward.
    """
    doubled = functional.conv_transpose2d(features, weight.transpose(0, 1), stride=UPSAMPLING)
    channels = doubled.shape[1]
    kernel = smoothing_kernel(fir, channels)
    return functional.conv2d(doubled, kernel, bias, padding=1, groups=channels)


def smoothing_kernel(fir: Tensor, channels: int) -> Tensor:
    """What `upsampling_conv` filters each channel by, `(channels, 1, 4, 4)`."""
    return (fir * UPSAMPLING**2).expand(channels, 1, -1, -1)


def modulated_conv(
    features: Tensor,
    style: Tensor,
    scale: Tensor,
    weight: Tensor,
    bias: Tensor,
    noise: Tensor | None,
    slope: float,
    fir: Tensor | None,
) -> Tensor:
    """`leaky_relu(scale * conv(style * features) + bias + noise)`, all of one dtype.

    Args:
        features: `(batch, in, side, side)`.
        style: `(batch, in)`.
        scale: `(batch, out)`, above 0.
        weight: `(out, in, kernel, kernel)`, of an odd kernel.
        bias: `(out,)`.
        noise: `(batch or 1, 1, side', side')`, or None.
        slope: of the leaky ReLU, above 0.
        fir: of `upsampling_conv`; the side is doubled with it.

    Returns:
        `(batch, out, side', side')`.
    """
    learning = (weight, bias) if noise is None else (weight, bias, noise)
    learns = torch.is_grad_enabled() and any(each.requires_grad for each in learning)
    if learns or not _is_large(features):
        return _plain_conv(features, style, scale, weight, bias, noise, slope, fir)
    lean: Tensor = LeanConv.apply(features, style, scale, weight, bias, noise, slope, fir)
    return lean


def pixel_matrix(features: Tensor, matrix: Tensor) -> Tensor:
    """Each picture's pixels times a matrix of its own.

    `(batch, in, side, side)` and `(batch, out, in)` to `(batch, out, side, side)`.
    """
    if _is_large(features):
        large: Tensor = PixelMatrix.apply(features, matrix)
        return large
    return _times_pixels(features, matrix)


def _is_large(features: Tensor) -> bool:
    return features.numel() >= _LARGE * len(features)


def _plain_conv(
    features: Tensor,
    style: Tensor,
    scale: Tensor,
    weight: Tensor,
    bias: Tensor,
    noise: Tensor | None,
    slope: float,
    fir: Tensor | None,
) -> Tensor:
    """`modulated_conv` with every derivative of every argument."""
    result = _conv(features * style[:, :, None, None], weight, fir)
    # Not addcmul: its backward multiplies the features by one more time.
    shift = bias[None, :, None, None] if noise is None else bias[None, :, None, None] + noise
    result = (result * scale[:, :, None, None]).add_(shift)
    return functional.leaky_relu(result, slope, inplace=True)


def _times_pixels(features: Tensor, matrix: Tensor) -> Tensor:
    # On channels-last rows, so that the gradient has the features' layout.
    pixels = features.permute(0, 2, 3, 1).flatten(1, 2) @ matrix.mT
    return pixels.mT.unflatten(2, features.shape[2:]).contiguous()


def _conv(
    features: Tensor, weight: Tensor, fir: Tensor | None, bias: Tensor | None = None
) -> Tensor:
    if fir is None:
        return functional.conv2d(features, weight, bias, padding=weight.shape[-1] // 2)
    return upsampling_conv(features, weight, fir, bias)


def _conv_gradient(gradient: Tensor, weight: Tensor, fir: Tensor | None) -> Tensor:
    """The gradient of the features of `_conv`."""
    if fir is None:
        return functional.conv_transpose2d(gradient, weight, padding=weight.shape[-1] // 2)
    channels = gradient.shape[1]
    rough = functional.conv_transpose2d(
        gradient, smoothing_kernel(fir, channels), padding=1, groups=channels
    )
    return functional.conv2d(rough, weight.transpose(0, 1), stride=UPSAMPLING)


class LeanConv(torch.autograd.Function):
    """`apply` is `modulated_conv`, without gradients of the weight, the bias, the noise or the
    filter; see the module."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        style: Tensor,
        scale: Tensor,
        weight: Tensor,
        bias: Tensor,
        noise: Tensor | None,
        slope: float,
        fir: Tensor | None,
    ) -> Tensor:
        # A picture alone may have weights of its own, which are then less work than its features.
        alone = len(features) == 1 and weight.numel() <= features.numel()
        if alone:
            own = weight * (scale.mT[:, :, None, None] * style[:, :, None, None])
            result = _conv(features, own, fir, bias)
        else:
            result = _conv(features * style[:, :, None, None], weight, fir)
            result.mul_(scale[:, :, None, None]).add_(bias[:, None, None])
        if noise is not None:
            result.add_(noise)
        functional.leaky_relu_(result, slope)
        ctx.save_for_backward(features, style, scale, weight, result, bias, noise, fir)
        ctx.slope, ctx.alone = slope, alone
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        features, style, scale, weight, result, bias, noise, fir = ctx.saved_tensors
        if torch.is_grad_enabled():  # this gradient is to be differentiated too
            needed = ctx.needs_input_grad[:3]
            moving = [
                each
                for each, wanted in zip((features, style, scale), needed, strict=True)
                if wanted
            ]
            plain = _plain_conv(features, style, scale, weight, bias, noise, ctx.slope, fir)
            found = iter(torch.autograd.grad(plain, moving, gradient, create_graph=True))
            return (*(next(found) if wanted else None for wanted in needed), *[None] * 5)
        before = torch.ops.aten.leaky_relu_backward(gradient, result, ctx.slope, True)
        of_scale = None
        if ctx.needs_input_grad[2]:
            side = before.shape[-1]
            shifts = before.new_ones(1, 1, side, side)
            if noise is not None:
                shifts = torch.cat([shifts.expand(len(noise), -1, -1, -1), noise], 1)
            sums = pixel_products(shifts.expand(len(before), -1, -1, -1), before)
            of_scale = _channel_products(gradient, result) - sums[:, 0] * bias
            if noise is not None:
                of_scale = of_scale - sums[:, 1]
            of_scale = of_scale / scale
        if ctx.alone:
            weight = weight * scale.mT[:, :, None, None]
        else:
            before.mul_(scale[:, :, None, None])
        of_modulated = _conv_gradient(before, weight, fir)
        of_style = _channel_products(of_modulated, features) if ctx.needs_input_grad[1] else None
        of_features = of_modulated.mul_(style[:, :, None, None])
        return of_features, of_style, of_scale, None, None, None, None, None


class PixelMatrix(torch.autograd.Function):
    """`apply` is `pixel_matrix`. A library's own gradient of the matrix is a product over a million
    rows at 1024 px, 17 times as slow as in pieces."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, matrix: Tensor) -> Tensor:
        ctx.save_for_backward(features, matrix)
        return _times_pixels(features, matrix)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        features, matrix = ctx.saved_tensors
        of_features = of_matrix = None
        if ctx.needs_input_grad[0]:
            # On channels-last rows, so that the gradient has the features' layout.
            rows = gradient.flatten(2).mT @ matrix
            of_features = rows.unflatten(1, features.shape[2:]).permute(0, 3, 1, 2)
        if ctx.needs_input_grad[1]:
            of_matrix = pixel_products(gradient, features)
        return of_features, of_matrix


def pixel_products(maps: Tensor, features: Tensor) -> Tensor:
    """Products of each map with each channel, summed over pixels, `(batch, maps, channels)`.

    `maps` is `(batch, maps, side, side)`, a few; `features` `(batch, channels, side, side)`.
    """
    left = _in_pieces(maps, _PRODUCT_PIXELS)
    return (left.mT @ _in_pieces(features, _PRODUCT_PIXELS)).sum(1)


def _channel_products(one: Tensor, other: Tensor) -> Tensor:
    """The product of two feature maps of one shape, summed over pixels, `(batch, channels)`."""
    if one.device.type != "cpu":  # starting each piece would take longer than it does
        return (one * other).sum((2, 3))
    pieces = _in_pieces(one, _SUM_PIXELS), _in_pieces(other, _SUM_PIXELS)
    # Sums are kept in float32, of which the running ones stay in the processor's cache.
    total = one.new_zeros(pieces[0][:, 0].shape, dtype=torch.promote_types(one.dtype, torch.float))
    for left, right in zip(*(each.unbind(1) for each in pieces), strict=True):
        total.addcmul_(left, right)
    return total.sum(1).to(one.dtype)


def _in_pieces(features: Tensor, pixels: int) -> Tensor:
    """`(batch, channels, side, side)` as `(batch, pieces, pixels, channels)`."""
    rows = features.flatten(2).mT
    piece = math.gcd(rows.shape[1], pixels)
    return rows.unflatten(1, (-1, piece))
