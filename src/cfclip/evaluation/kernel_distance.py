"""Kernel distance between two sets of pictures, in the features of any network."""

import torch
from torch import Tensor

from cfclip.errors import InputError

_DEGREE = 3


def kernel_distance(first: Tensor, second: Tensor) -> float:
    """KID (Bińkowski et al., ICLR 2018): the squared maximum mean discrepancy, estimated without
    bias, with the kernel `(x . y / d + 1)^3`.

    All pairs are used, where implementations that draw subsets depend on the draw. 0 for sets of
    one distribution on average, so that it may come out below 0.

    Args:
        first, second: (N, d) and (M, d) features, two or more of each; taken to float64.

    Raises:
        InputError: too few features.

    >>> one, other = torch.tensor([[0.0], [0.0]]), torch.tensor([[1.0], [1.0]])
    >>> kernel_distance(one, other)  # 1 + 2^3 - 2 * 1
    7.0
    """
    if min(len(first), len(second)) < 2:
        raise InputError(
            f"{len(first)} and {len(second)} pictures are too few to compare; give 2 of each"
        )
    x, y = first.double(), second.double()
    within = sum(_mean_of_others(_kernel(each, each)) for each in (x, y))
    return float(within - 2.0 * _kernel(x, y).mean())


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1.0) ** _DEGREE


def _mean_of_others(kernel: Tensor) -> Tensor:
    """Mean over pairs of different rows."""
    count = len(kernel)
    return (kernel.sum() - torch.diagonal(kernel).sum()) / (count * (count - 1))
