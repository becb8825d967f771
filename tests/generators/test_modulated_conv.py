"""The convolution of frozen generators: the values and gradients of the plain formula."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cfclip.generators.modulated_conv import (
    LeanConv,
    PixelMatrix,
    fir_filter,
    modulated_conv,
    upsampling_conv,
)
from cfclip.generators.ops import LEAK

SHARED, OWN = 2, 1
"""Pictures of a batch that share the weights, and the one that has weights of its own."""

cases = pytest.mark.parametrize(
    ("batch", "up", "noisy"),
    [(SHARED, False, True), (SHARED, True, True), (OWN, False, True), (OWN, True, False)],
)


def inputs(batch: int, up: bool, noisy: bool) -> tuple[list[Tensor], list[Tensor | None]]:
    """What gradients are taken of, and the rest. Of one picture the features outnumber weights."""
    torch.manual_seed(0)
    side = 8
    features = torch.randn(batch, 3, side, side, dtype=torch.float64)
    style = torch.randn(batch, 3, dtype=torch.float64)
    scale = torch.rand(batch, 5, dtype=torch.float64).add(0.5)
    weight = torch.randn(5, 3, 3, 3, dtype=torch.float64)
    bias = torch.randn(5, dtype=torch.float64)
    made = 2 * side if up else side
    noise = torch.randn(1, 1, made, made, dtype=torch.float64) if noisy else None
    moving = [each.requires_grad_() for each in (features, style, scale)]
    return moving, [weight, bias, noise, fir_filter().double() if up else None]


def plain(
    features: Tensor,
    style: Tensor,
    scale: Tensor,
    weight: Tensor,
    bias: Tensor,
    noise: Tensor | None,
    slope: float,
    fir: Tensor | None,
) -> Tensor:
    modulated = features * style[:, :, None, None]
    if fir is None:
        result = functional.conv2d(modulated, weight, padding=1)
    else:
        result = upsampling_conv(modulated, weight, fir)
    shifts = bias[:, None, None] + (0.0 if noise is None else noise)
    return functional.leaky_relu(result * scale[:, :, None, None] + shifts, slope)


@cases
def test_values_and_gradients_are_those_of_the_formula(batch: int, up: bool, noisy: bool) -> None:
    moving, (weight, bias, noise, fir) = inputs(batch, up, noisy)
    results = []
    for function in (plain, modulated_conv, LeanConv.apply):
        for each in moving:
            each.grad = None
        result = function(*moving, weight, bias, noise, LEAK, fir)
        (result * torch.arange(result.numel()).view_as(result)).sum().backward()
        results.append([result.detach(), *(each.grad for each in moving)])
    for formula, small, large in zip(*results, strict=True):
        torch.testing.assert_close(small, formula)
        torch.testing.assert_close(large, formula)


@cases
def test_gradcheck(batch: int, up: bool, noisy: bool) -> None:
    moving, (weight, bias, noise, fir) = inputs(batch, up, noisy)
    assert torch.autograd.gradcheck(
        lambda *each: LeanConv.apply(*each, weight, bias, noise, LEAK, fir), moving
    )


@cases
def test_gradients_can_be_differentiated(batch: int, up: bool, noisy: bool) -> None:
    """As path-length regularisation does, with weights that stay as they are."""
    moving, (weight, bias, noise, fir) = inputs(batch, up, noisy)
    assert torch.autograd.gradgradcheck(
        lambda *each: LeanConv.apply(*each, weight, bias, noise, LEAK, fir), moving
    )


def test_weights_that_learn_get_their_gradients() -> None:
    moving, (weight, bias, noise, fir) = inputs(SHARED, True, True)
    learning = [each.requires_grad_() for each in (weight, bias, noise)]
    assert torch.autograd.gradcheck(
        lambda *each: modulated_conv(*moving, *each, LEAK, fir), learning
    )


def test_a_picture_alone_is_that_of_a_batch() -> None:
    moving, (weight, bias, noise, fir) = inputs(SHARED, False, True)
    together = LeanConv.apply(*moving, weight, bias, noise, LEAK, fir)
    alone = LeanConv.apply(*(each[:1] for each in moving), weight, bias, noise, LEAK, fir)
    torch.testing.assert_close(alone, together[:1])


def test_it_keeps_two_maps() -> None:
    """The features that go in, which the layer below keeps anyway, and those that come out."""
    moving, (weight, bias, noise, _) = inputs(SHARED, False, True)
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        LeanConv.apply(*moving, weight, bias, noise, LEAK, None)
    assert sum(each.ndim == 4 and each.shape[-2:] == (8, 8) for each in kept) == 3  # and the noise


def test_pixel_matrix_is_a_product_per_pixel_with_its_gradients() -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 5, 4, 4, dtype=torch.float64, requires_grad=True)
    matrix = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    expected = torch.einsum("bihw,boi->bohw", features, matrix)
    torch.testing.assert_close(PixelMatrix.apply(features, matrix), expected)
    assert torch.autograd.gradcheck(PixelMatrix.apply, (features, matrix))
    assert torch.autograd.gradgradcheck(PixelMatrix.apply, (features, matrix))


def test_large_features_of_frozen_weights_go_the_lean_way() -> None:
    """A picture of 1024 px does, one of 128 px does not."""
    ways = []
    for side, learns in ((1024, False), (1024, True), (128, False)):
        features = torch.zeros(1, 4, side, side, requires_grad=True)
        weight = torch.ones(1, 4, 1, 1, requires_grad=learns)
        ones = torch.ones(1, 4), torch.ones(1, 1)
        made = modulated_conv(features, *ones, weight, torch.zeros(1), None, LEAK, None)
        ways.append(str(made.grad_fn))
    assert ["LeanConv" in way for way in ways] == [True, False, False]
