"""The convolution of frozen generators: the values and gradients of the plain formula."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cfclip.generators.modulated_conv import fir_filter, modulated_conv, upsampling_conv
from cfclip.generators.ops import LEAK


def inputs(up: bool) -> tuple[Tensor, Tensor, Tensor, Tensor, tuple[Tensor, Tensor], Tensor | None]:
    torch.manual_seed(0)
    side = 8 if up else 4
    features = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    style = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    scale = torch.rand(2, 5, dtype=torch.float64).add(0.5).requires_grad_()
    weight = torch.randn(5, 3, 3, 3, dtype=torch.float64)
    noise = torch.randn(1, 1, side, side, dtype=torch.float64)
    shifts = torch.randn(5, 1, 1, dtype=torch.float64), noise
    return features, style, scale, weight, shifts, fir_filter().double() if up else None


def plain(
    features: Tensor,
    style: Tensor,
    scale: Tensor,
    weight: Tensor,
    shifts: tuple[Tensor, ...],
    slope: float,
    fir: Tensor | None,
) -> Tensor:
    modulated = features * style[:, :, None, None]
    if fir is None:
        result = functional.conv2d(modulated, weight, padding=1)
    else:
        result = upsampling_conv(modulated, weight, fir)
    return functional.leaky_relu(result * scale[:, :, None, None] + sum(shifts), slope)


@pytest.mark.parametrize("up", [False, True])
def test_values_and_gradients_are_those_of_the_formula(up: bool) -> None:
    features, style, scale, weight, shifts, fir = inputs(up)
    results = []
    for function in (plain, modulated_conv):
        for each in (features, style, scale):
            each.grad = None
        result = function(features, style, scale, weight, shifts, LEAK, fir)
        (result * torch.arange(result.numel()).view_as(result)).sum().backward()
        results.append([result.detach(), features.grad, style.grad, scale.grad])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("up", [False, True])
def test_gradcheck(up: bool) -> None:
    features, style, scale, weight, shifts, fir = inputs(up)
    assert torch.autograd.gradcheck(
        lambda *moving: modulated_conv(*moving, weight, shifts, LEAK, fir),
        (features, style, scale),
    )


def test_it_keeps_two_maps() -> None:
    """The features that go in, which the layer below keeps anyway, and those that come out."""
    features, style, scale, weight, shifts, _ = inputs(False)
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        modulated_conv(features, style, scale, weight, shifts, LEAK, None)
    assert sum(each.ndim == 4 and each.shape[-2:] == (4, 4) for each in kept) == 3  # and the noise
