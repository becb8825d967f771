"""Least squares on whitened inputs, in closed form and by Adam."""

import pytest
import torch
from torch import Tensor

from cfclip.editors import TextMapFitConfig
from cfclip.editors.linear_fit import adam, fit_linear, penalised_loss, ridge, whitening

AGREEMENT = 0.01
"""How much higher the loss of Adam may be (METHOD, section 4)."""


def correlated(count: int, width: int, seed: int = 0) -> Tensor:
    """`(count, width)` inputs whose directions differ a hundredfold in variance."""
    draws = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=draws) * torch.logspace(0, -1, width)[:, None]
    return torch.randn(count, width, generator=draws) @ mixing + 3.0


def problem(count: int, width: int, outputs: int = 5, noise: float = 0.5) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(1)
    inputs = correlated(count, width)
    slope = torch.randn(width, outputs, generator=draws)
    targets = inputs @ slope + noise * torch.randn(count, outputs, generator=draws) - 7.0
    return inputs, targets


def test_whitened_inputs_are_white() -> None:
    inputs = torch.randn(500, 4, generator=torch.Generator().manual_seed(0)).double()
    inputs = inputs * torch.tensor([1.0, 2.0, 3.0, 4.0])
    white = (inputs - inputs.mean(0)) @ whitening(inputs)
    covariance = white.T @ white / len(inputs)
    torch.testing.assert_close(covariance, torch.eye(4).double(), atol=0.1, rtol=0.0)


@pytest.mark.parametrize("inputs", [torch.ones(9, 3), torch.zeros(9, 3), torch.randn(3, 8)])
def test_directions_that_do_not_vary_stay_finite(inputs: Tensor) -> None:
    targets = torch.arange(2.0 * len(inputs)).view(-1, 2)
    fit = fit_linear(inputs, targets, TextMapFitConfig())
    assert bool(torch.isfinite(fit.weight).all())
    predicted = inputs @ fit.weight.T + fit.bias
    torch.testing.assert_close(predicted.mean(0), targets.mean(0), atol=1e-4, rtol=1e-4)


def test_ridge_is_where_the_loss_has_no_slope() -> None:
    inputs, targets = (each.double() for each in problem(40, 6))
    solution = ridge(inputs, targets, penalty=0.3).requires_grad_(True)
    (slope,) = torch.autograd.grad(penalised_loss(solution, inputs, targets, 0.3), solution)
    assert float(slope.abs().max()) < 1e-10


def test_a_known_map_is_found() -> None:
    inputs, targets = problem(400, 6, noise=0.0)
    fit = fit_linear(inputs, targets, TextMapFitConfig(penalty=1e-6))
    found = inputs @ fit.weight.T + fit.bias
    assert float((found - targets).square().mean()) < 1e-3 * float(targets.var())


def test_constant_targets_are_predicted() -> None:
    fit = fit_linear(correlated(30, 4), torch.full((30, 2), 5.0), TextMapFitConfig())
    torch.testing.assert_close(fit.bias, torch.full((2,), 5.0))
    assert float(fit.weight.abs().max()) < 1e-6


@pytest.mark.parametrize(
    ("count", "width", "penalty"), [(30, 3, 0.1), (60, 16, 0.01), (200, 16, 0.1), (25, 40, 1.0)]
)
def test_adam_reaches_the_loss_of_ridge(count: int, width: int, penalty: float) -> None:
    inputs, targets = problem(count, width)
    losses = [
        fit_linear(inputs, targets, TextMapFitConfig(solver, penalty)).loss
        for solver in ("ridge", "adam")
    ]
    assert losses[0] <= losses[1] <= (1.0 + AGREEMENT) * losses[0]


def test_adam_depends_on_its_seed_alone() -> None:
    inputs, targets = problem(30, 3)
    state = torch.random.get_rng_state()
    first = adam(inputs, targets, 0.1, seed=0)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(2)
    assert torch.equal(adam(inputs, targets, 0.1, seed=0), first)
    assert not torch.equal(adam(inputs, targets, 0.1, seed=1), first)
