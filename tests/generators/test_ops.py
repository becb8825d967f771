"""The operations against their definitions, written out the slow way."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cfclip.generators.modulated_conv import upsampling_conv
from cfclip.generators.ops import (
    EqualLinear,
    demodulation,
    fir_filter,
    full_precision,
    normalise_second_moment,
    scaled_leaky_relu,
    upsample_image,
)


def zero_inserted(features: Tensor) -> Tensor:
    """Pixels at the even positions of a grid twice as large, zeros elsewhere."""
    batch, channels, height, width = features.shape
    doubled = features.new_zeros(batch, channels, 2 * height, 2 * width)
    doubled[..., ::2, ::2] = features
    return doubled


def filtered(features: Tensor, frame: tuple[int, int]) -> Tensor:
    """The [1, 3, 3, 1] filter with the gain 4 of up-sampling, after a frame of zeros."""
    channels = features.shape[1]
    kernel = (4.0 * fir_filter()).to(features).repeat(channels, 1, 1, 1)
    return functional.conv2d(functional.pad(features, frame * 2), kernel, groups=channels)


def test_filter_sums_to_one_and_is_separable() -> None:
    fir = fir_filter()
    assert fir.sum() == 1.0
    assert torch.equal(fir * 64.0, torch.outer(torch.tensor([1.0, 3, 3, 1]), fir[0] * 64.0))


@pytest.mark.parametrize("side", [1, 4, 5])
def test_image_upsampling_is_zero_insertion_and_filter(side: int) -> None:
    images = torch.randn(2, 3, side, side)
    torch.testing.assert_close(upsample_image(images), filtered(zero_inserted(images), (2, 1)))


def test_image_upsampling_gradient() -> None:
    images = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(upsample_image, images)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_upsampling_conv_is_zero_insertion_convolution_and_filter(
    layout: torch.memory_format,
) -> None:
    features = torch.randn(2, 5, 6, 6).contiguous(memory_format=layout)
    weight = torch.randn(4, 5, 3, 3)
    # A true convolution (flipped kernel) of the whole plane, then the filter, then our window.
    convolved = functional.conv2d(zero_inserted(features), weight.flip(2, 3), padding=2)
    expected = filtered(convolved[..., :-1, :-1], (1, 1))
    torch.testing.assert_close(
        upsampling_conv(features, weight, fir_filter()), expected, rtol=1e-4, atol=1e-4
    )


def test_upsampling_conv_keeps_a_constant_inside() -> None:
    weight = torch.full((1, 1, 3, 3), 1.0 / 9.0)
    doubled = upsampling_conv(torch.ones(1, 1, 8, 8), weight, fir_filter())
    torch.testing.assert_close(doubled[..., 4:-4, 4:-4], torch.ones(1, 1, 8, 8))


def test_demodulation_is_one_over_the_norm_of_the_modulated_weight() -> None:
    weight, style = torch.randn(4, 5, 3, 3), torch.randn(2, 5)
    modulated = 0.5 * weight[None] * style[:, None, :, None, None]
    expected = (modulated.square().sum((2, 3, 4)) + 1e-8).rsqrt()
    energy = weight.square().sum((2, 3))
    torch.testing.assert_close(demodulation(energy, style, 0.5), expected)


def test_second_moment_becomes_one_per_row() -> None:
    vectors = 7.0 * torch.randn(4, 16)
    rows = normalise_second_moment(vectors)
    torch.testing.assert_close(rows.square().mean(1), torch.ones(4))
    torch.testing.assert_close(normalise_second_moment(vectors[1:2])[0], rows[1])


def test_leaky_relu_has_gain_sqrt_two_and_slope_a_fifth() -> None:
    values = scaled_leaky_relu(torch.tensor([1.0, -1.0]))
    torch.testing.assert_close(values, torch.tensor([2.0**0.5, -0.2 * 2.0**0.5]))


def test_equal_linear_scales_the_raw_weight_and_bias() -> None:
    layer = EqualLinear(4, 3, bias=1.0, lr_multiplier=0.01)
    inputs = torch.randn(2, 4)
    expected = inputs @ (layer.weight * 0.01 / 2.0).T + 1.0
    torch.testing.assert_close(layer(inputs), expected)


def test_full_precision_switches_autocast_off() -> None:
    first, second = torch.randn(2, 3), torch.randn(3, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (first @ second).dtype == torch.bfloat16
        with full_precision(first.device):
            assert (first @ second).dtype == torch.float32
