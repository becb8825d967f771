"""Step counts, learning rates and stopping of a gradient descent, as plain numbers.

Kept free of torch, so that the settings dataclasses of commands import quickly.
"""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cfclip.settings import CheckedSettings, number

Optimizer: TypeAlias = Literal["adam", "sgd"]


@dataclass(frozen=True)
class DescentSettings(CheckedSettings):
    """How to descend. Raises `InputError` for a value outside its limits.

    Attributes:
        steps: updates at most; the objective is evaluated once more at the end.
        lr: peak learning rate.
        optimizer: "adam", or "sgd" for the plain gradient.
        ramp_up: share of the steps over which the rate rises linearly from near zero.
        ramp_down: share of the steps over which it falls to zero as a half cosine at the end.
        tolerance: an image goes on while its smoothed objective falls by at least this share of
            its value ...
        patience: ... once in this many steps; 0 never stops early.
        keep_best: return the values with the lowest objective instead of the last ones. Right for
            an exact objective. For a randomly augmented one the lowest value is mostly a lucky
            draw, while the last ones, reached at a rate near zero, average over many draws.
    """

    steps: int = number(low=1)
    lr: float = number(open_low=True)
    optimizer: Optimizer = "adam"
    ramp_up: float = number(0.05, 0.0, 1.0)
    ramp_down: float = number(0.25, 0.0, 1.0)
    tolerance: float = number(0.0, 0.0, 1.0)
    patience: int = number(0)
    keep_best: bool = False


def learning_rate(settings: DescentSettings, step: int) -> float:
    """Learning rate of update `step` (from 0): linear ramp-up, plateau, cosine ramp-down.

    The schedule of StyleGAN2's projector (Karras et al. 2020), which StyleCLIP uses too.

    >>> settings = DescentSettings(steps=100, lr=1.0, ramp_up=0.1, ramp_down=0.5)
    >>> [round(learning_rate(settings, step), 3) for step in (4, 9, 50, 75, 99)]
    [0.5, 1.0, 1.0, 0.5, 0.001]
    """
    rate = settings.lr
    rising = settings.ramp_up * settings.steps
    falling = settings.ramp_down * settings.steps
    if rising > 0:
        rate *= min(1.0, (step + 1) / rising)
    if falling > 0:
        left = min(1.0, (settings.steps - step) / falling)
        rate *= 0.5 - 0.5 * math.cos(math.pi * left)
    return rate
