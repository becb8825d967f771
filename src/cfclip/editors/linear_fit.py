"""Fitting a linear map by least squares: closed-form ridge or Adam, on whitened inputs.

Both minimise the same penalised loss over B, with z the whitened inputs and t the standardised
targets of a pair, `k` numbers wide:

    mean over pairs and numbers of (t - z B)^2  +  penalty * |B|^2 / k
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from cfclip.editors.optimisation_config import TextMapFitConfig

EPOCHS = 100
LEARNING_RATE = 1e-3
"""Of Adam. The draw of the batches stays in the weights at a constant rate, but the loss was less
than 0.1 % above that of ridge for 40 to 10,800 captions of avatars."""
_BATCHES = 50
"""Of an epoch: weights move by at most about the learning rate a step, and are to reach 1."""
_LEAST_BATCH = 16
"""Pairs; an epoch of fewer than `_BATCHES` such batches goes over its pairs several times."""
_FLOOR = 1e-2
"""Of the mean variance of the inputs, added to the variance of each direction before it is
whitened: directions that hardly vary are mostly noise, which whitening would blow up."""


@dataclass(frozen=True)
class LinearFit:
    """`y = weight x + bias`."""

    weight: Tensor
    """`(outputs, inputs)` float32."""
    bias: Tensor
    """`(outputs,)` float32."""
    loss: float
    """The penalised loss that was reached, see the module."""


def fit_linear(inputs: Tensor, targets: Tensor, config: TextMapFitConfig) -> LinearFit:
    """The linear map from `inputs` `(pairs, inputs)` to `targets` `(pairs, outputs)`.

    The inputs are centred and whitened along their principal directions, the targets centred and
    divided by their standard deviations, which leaves the solution what it is but makes every
    weight a correlation, 1 at most: within reach of Adam. The result is folded back into one weight
    and bias.
    """
    inputs, targets = inputs.double(), targets.double()
    means = inputs.mean(0), targets.mean(0)
    whiten = whitening(inputs)
    white = (inputs - means[0]) @ whiten
    spread = targets.std(0, correction=0).clamp_min(torch.finfo(torch.float32).tiny)
    wanted = (targets - means[1]) / spread
    if config.solver == "ridge":
        solution = ridge(white, wanted, config.penalty)
    else:
        solution = adam(white, wanted, config.penalty, config.seed)
    weight = spread[:, None] * (whiten @ solution).T
    return LinearFit(
        weight=weight.float(),
        bias=(means[1] - weight @ means[0]).float(),
        loss=float(penalised_loss(solution, white, wanted, config.penalty)),
    )


def whitening(inputs: Tensor) -> Tensor:
    """A matrix `(inputs, inputs)` that makes centred `inputs` `(pairs, inputs)` white.

    Of the inputs times it, every direction has variance 1, those that hardly vary less.
    """
    centred = inputs - inputs.mean(0)
    variances, directions = torch.linalg.eigh(centred.T @ centred / len(inputs))
    floor = (_FLOOR * variances.mean()).clamp_min(torch.finfo(torch.float32).tiny)
    return directions / (variances.clamp_min(0.0) + floor).sqrt()


def penalised_loss(solution: Tensor, inputs: Tensor, targets: Tensor, penalty: float) -> Tensor:
    """The loss of the module's docstring at B = `solution` `(inputs, outputs)`, a scalar.

    Predicting 1 and -1 for 2 and -2 leaves a squared error of 1, and the weight costs 1 more:

    >>> one = torch.tensor([[1.0], [-1.0]])
    >>> penalised_loss(torch.tensor([[1.0]]), one, 2 * one, penalty=1.0)
    tensor(2.)
    """
    shrunk = penalty * solution.square().sum() / targets.shape[1]
    return functional.mse_loss(inputs @ solution, targets) + shrunk


def ridge(inputs: Tensor, targets: Tensor, penalty: float) -> Tensor:
    """The B `(inputs, outputs)` of the lowest penalised loss: `(z'z/n + penalty)^-1 z't/n`.

    With z = 1, -1 and t = 2, -2, `z'z/n` is 1 and `z't/n` is 2; a penalty of 1 halves the slope:

    >>> one = torch.tensor([[1.0], [-1.0]])
    >>> ridge(one, 2 * one, penalty=1.0)
    tensor([[1.]])
    """
    count, width = inputs.shape
    gram = inputs.T @ inputs / count + penalty * torch.eye(width).to(inputs)
    return torch.linalg.solve(gram, inputs.T @ targets / count)


def adam(inputs: Tensor, targets: Tensor, penalty: float, seed: int) -> Tensor:
    """The same by Adam from zero, over shuffled batches; `seed` decides their order."""
    solution = torch.zeros(inputs.shape[1], targets.shape[1]).to(inputs).requires_grad_(True)
    optimizer = torch.optim.Adam([solution], lr=LEARNING_RATE)
    draws = torch.Generator().manual_seed(seed)
    passes = math.ceil(_BATCHES * _LEAST_BATCH / len(inputs))
    for _ in range(EPOCHS):
        orders = [torch.randperm(len(inputs), generator=draws) for _ in range(passes)]
        for rows in torch.cat(orders).to(inputs.device).tensor_split(_BATCHES):
            loss = penalised_loss(solution, inputs[rows], targets[rows], penalty)
            (solution.grad,) = torch.autograd.grad(loss, solution)
            optimizer.step()
    return solution.detach()
