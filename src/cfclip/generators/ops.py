"""The operations and layers of StyleGAN2, as pure torch on any device.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (2020).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from cfclip.generators.generator import NoiseMode
from cfclip.generators.modulated_conv import UPSAMPLING, fir_filter, modulated_conv, pixel_matrix

KERNEL_SIZE = 3
LEAK = 0.2
ACTIVATION_GAIN = math.sqrt(2.0)
"""Keeps the second moment of a leaky ReLU's output at about one."""

_SECOND_MOMENT_EPS = 1e-8
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
    after = framed.narrow(axis, UPSAMPLING, side)
    phases = (torch.add(near, before, alpha=_FAR), torch.add(near, after, alpha=_FAR))
    # A new axis after `axis`, merged into it, interleaves the phases.
    return torch.stack(phases, axis).flatten(axis - 1, axis)


def demodulation(energy: Tensor, style: Tensor, gain: float) -> Tensor:
    """`1 / sqrt(sum (gain * weight * style)^2)` per image and output channel, `(batch, out)`.

    `energy` is `(out, in)`, the squares of a weight summed over its kernel, `style` `(batch, in)`.
    Since the style does not vary within the kernel this is one small matrix product, not a copy of
    the weight per image.
    """
    return torch.rsqrt(style.square() @ energy.T * gain**2 + _SECOND_MOMENT_EPS)


class Kept:
    """What is computed of a parameter, once while it neither learns nor changes."""

    def __init__(self) -> None:
        self._known: tuple[tuple[int, int, torch.dtype], Tensor] | None = None

    def of(self, parameter: Tensor, compute: Callable[[Tensor], Tensor]) -> Tensor:
        """`compute(parameter)`, always with the same function."""
        if parameter.requires_grad and torch.is_grad_enabled():
            return compute(parameter)
        # Whatever writes to a tensor counts its version up.
        state = parameter.data_ptr(), parameter._version, parameter.dtype
        if self._known is None or self._known[0] != state:
            with torch.inference_mode(False), torch.no_grad():  # gradients may pass it later
                self._known = state, compute(parameter)
        return self._known[1]


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
        self._scaled = Kept()

    def forward(self, inputs: Tensor) -> Tensor:
        """`(..., in_features)` to `(..., out_features)`, in the precision of the weight."""
        inputs = inputs.to(self.weight.dtype)
        weight = self._scaled.of(self.weight, lambda weight: weight * self.gain)
        return functional.linear(inputs, weight, self.bias * self.lr_multiplier)


class StyledConv(nn.Module):
    """Modulated 3x3 convolution, demodulation, noise, bias, leaky ReLU; `up` doubles the side."""

    fir: Tensor
    noise_const: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, w_dim: int, resolution: int, up: bool
    ) -> None:
        super().__init__()
        shape = (out_channels, in_channels, KERNEL_SIZE, KERNEL_SIZE)
        self.weight = nn.Parameter(torch.randn(shape))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.affine = EqualLinear(w_dim, in_channels, bias=1.0)
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("fir", fir_filter(), persistent=False)
        self.up = up
        self.gain = 1.0 / math.sqrt(math.prod(shape[1:]))
        self._energy = Kept()

    def forward(self, features: Tensor, style: Tensor, noise_mode: NoiseMode) -> Tensor:
        """`(batch, in, side, side)` and a style `(batch, in)` to `(batch, out, side', side')`."""
        device = features.device.type
        precision = features.dtype
        if torch.is_autocast_enabled(device):
            precision = torch.get_autocast_dtype(device)
        with full_precision(features.device):
            energy = self._energy.of(self.weight, lambda weight: weight.square().sum((2, 3)))
            scale = demodulation(energy, style, self.gain) * (self.gain * ACTIVATION_GAIN)
            noise = self._noise(len(style), noise_mode)
            return modulated_conv(
                features.to(precision),
                style.to(precision),
                scale.to(precision),
                self.weight.to(precision),
                (self.bias * ACTIVATION_GAIN).to(precision),
                None if noise is None else noise.to(precision),
                LEAK,
                self.fir.to(precision) if self.up else None,
            )

    def _noise(self, batch: int, noise_mode: NoiseMode) -> Tensor | None:
        """The noise times its strength and the activation's gain, `(batch or 1, 1, side, side)`;
        None if there is none."""
        # A strength that is being trained must stay in the graph even while it is zero.
        learning = self.noise_strength.requires_grad and torch.is_grad_enabled()
        if noise_mode == "none" or (not learning and float(self.noise_strength) == 0.0):
            return None
        noise = self.noise_const[None, None]
        if noise_mode == "random":
            shape = batch, 1, *self.noise_const.shape
            noise = torch.randn(shape, dtype=noise.dtype, device=noise.device)
        return noise * (self.noise_strength * ACTIVATION_GAIN)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to the image's channels, without demodulation."""

    def __init__(self, in_channels: int, img_channels: int, w_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(img_channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(img_channels))
        self.affine = EqualLinear(w_dim, in_channels, bias=1.0)
        self.gain = 1.0 / math.sqrt(in_channels)

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """`(batch, in, side, side)` and `(batch, in)` to `(batch, img_channels, side, side)`."""
        # Only a few output channels: a matrix per image is cheaper than scaling the features.
        matrix = self.weight[:, :, 0, 0] * (style * self.gain)[:, None, :]
        image = pixel_matrix(features, matrix.to(features.dtype))
        return image + self.bias[:, None, None]
