"""Optimizers of a training by name, and the learning rate by step."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from cfclip.optim import learning_rate
from cfclip.settings import DescentSettings
from cfclip.training.training_config import TrainingConfig

_BETAS = (0.95, 0.999)
_EPS = 1e-5
_LOOKAHEAD_STEPS = 6
_LOOKAHEAD_ALPHA = 0.5
"""Of Ranger, as CF-CLIP trains its mappers."""


def make_optimizer(
    parameters: Iterable[nn.Parameter], config: TrainingConfig
) -> torch.optim.Optimizer:
    """The configured optimizer: "adamw", or "ranger".

    Ranger is RAdam (Liu et al. 2020) with Lookahead (Zhang et al. 2019) and centralised gradients
    (Yong et al. 2020). Before RAdam can estimate a variance, in its first five steps, it takes the
    plain averaged gradient.
    """
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay)
    # Takes a second to import, which only training needs.
    from pytorch_optimizer import Ranger

    optimizer: torch.optim.Optimizer = Ranger(
        parameters,
        lr=config.lr,
        betas=_BETAS,
        eps=_EPS,
        k=_LOOKAHEAD_STEPS,
        alpha=_LOOKAHEAD_ALPHA,
        weight_decay=config.weight_decay,
        use_gc=True,
        # Without it, pytorch_optimizer (4.1) takes those first five steps uphill.
        degenerated_to_sgd=True,
    )
    return optimizer


class Schedule:
    """Gives an optimizer the learning rate of each step; part of a checkpoint.

    Attributes:
        settings: the steps and the rates.
        rate: of the last step.
        extended: how many steps a run had when it was finished, for each time that it was given
            more afterwards.
    """

    def __init__(self, settings: DescentSettings, optimizer: torch.optim.Optimizer) -> None:
        self.settings = settings
        self.rate = learning_rate(settings, 0)
        self.extended: tuple[int, ...] = ()
        self._optimizer = optimizer

    def apply(self, step: int) -> None:
        """Set the rate of a step."""
        self.rate = learning_rate(self.settings, step)
        for group in self._optimizer.param_groups:
            group["lr"] = self.rate

    def state_dict(self) -> dict[str, Any]:
        return {"rate": self.rate, "extended": list(self.extended), **asdict(self.settings)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        known = {**state}
        self.rate = float(known.pop("rate"))
        self.extended = tuple(known.pop("extended", ()))
        settings = DescentSettings(**known)
        if settings.steps < self.settings.steps:
            self.extended += (settings.steps,)
        else:
            self.settings = settings
