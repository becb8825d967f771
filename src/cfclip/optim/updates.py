"""One step of gradient descent, as PyTorch's optimisers take it: `update(gradient, rate)`.

Their functions are called, not their classes: those bring in PyTorch's compiler, which takes a
second to import and has no part in it.
"""

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.sgd import sgd


class PlainUpdate:
    """Moves `values`, in place, along the gradient; that of `torch.optim.SGD`."""

    def __init__(self, values: Tensor) -> None:
        self._values = values

    @torch.no_grad()
    def __call__(self, gradient: Tensor, rate: float) -> None:
        sgd(
            [self._values],
            [gradient],
            [None],
            lr=rate,
            weight_decay=0.0,
            momentum=0.0,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )


class AdamUpdate:
    """Moves `values`, in place, by running means; that of `torch.optim.Adam` with its settings."""

    def __init__(self, values: Tensor) -> None:
        self._values = values
        self._mean = torch.zeros_like(values, memory_format=torch.preserve_format)
        self._square = torch.zeros_like(values, memory_format=torch.preserve_format)
        self._steps = torch.tensor(0.0)

    @torch.no_grad()
    def __call__(self, gradient: Tensor, rate: float) -> None:
        adam(
            [self._values],
            [gradient],
            [self._mean],
            [self._square],
            [],
            [self._steps],
            lr=rate,
            beta1=0.9,
            beta2=0.999,
            eps=1e-8,
            weight_decay=0.0,
            amsgrad=False,
            maximize=False,
        )
