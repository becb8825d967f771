"""Random numbers that only the arguments decide, whatever was drawn before.

A run that was stopped and goes on therefore draws what it would have drawn, and no two purposes
ever share their numbers.
"""

from enum import IntEnum, auto
from typing import Any

import numpy as np
import torch
from torch import Tensor

_63_BITS = 0x7FFF_FFFF_FFFF_FFFF


class Purpose(IntEnum):
    """What is drawn; numbers for one purpose tell nothing of those for another."""

    WEIGHTS = auto()
    TRAINING_LATENTS = auto()
    VALIDATION_LATENTS = auto()
    SPLIT = auto()
    STEP = auto()
    PERSPECTIVES = auto()
    VALIDATION_PERSPECTIVES = auto()
    CHANNEL_SPREAD = auto()
    CHANNEL_IMAGES = auto()


def mixed_seed(*numbers: int) -> int:
    """A seed of 63 bits; nearby `numbers`, none of them negative, give unrelated ones."""
    mixed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
    return mixed & _63_BITS


def seeded(*numbers: int) -> torch.Generator:
    """A generator on the CPU that draws what `numbers` decide."""
    return torch.Generator().manual_seed(mixed_seed(*numbers))


class Draws:
    """The random numbers of the steps of a run; part of a checkpoint."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.generator = torch.Generator()

    def at(self, step: int) -> torch.Generator:
        """The generator as it is at the start of a step."""
        return self.generator.manual_seed(mixed_seed(self.seed, Purpose.STEP, step))

    def state_dict(self) -> dict[str, Any]:
        return {"seed": self.seed, "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seed = int(state["seed"])
        self.generator.set_state(_bytes(state["generator"]))


def _bytes(state: Tensor) -> Tensor:
    return state.to("cpu", torch.uint8)
