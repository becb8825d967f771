"""Exponential moving average of a module."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

_GROWTH = 10.0


class Average:
    """Exponential moving average of a module's parameters and buffers.

    Attributes:
        decay: share of the past that each update keeps.
        values: the averages by name, like the module's `state_dict`.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {name: v.detach().clone() for name, v in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Follow `module`; early steps average over fewer, so that the start is forgotten."""
        decay = min(self.decay, (1.0 + step) / (_GROWTH + step))
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                self.values[name].lerp_(value, 1.0 - decay)
            else:
                self.values[name].copy_(value)

    def state_dict(self) -> dict[str, Tensor]:
        return self.values

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from the averages of a module with the same names; raises `KeyError` for others."""
        if different := set(state) ^ set(self.values):
            raise KeyError(f"averages of another module: {', '.join(sorted(different))}")
        for name, value in state.items():
            self.values[name].copy_(value)
