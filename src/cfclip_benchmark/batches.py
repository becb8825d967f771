"""A network over more inputs than fit in memory at once."""

from collections.abc import Callable

import torch


def evaluate_in_batches(
    function: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor, batch: int
) -> torch.Tensor:
    """`function` over `inputs`, `batch` rows at a time, without gradients, concatenated."""
    with torch.no_grad():
        return torch.cat([function(chunk) for chunk in inputs.split(batch)])
