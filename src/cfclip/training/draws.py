"""Random numbers that only the arguments decide, whatever was drawn before.

A run that was stopped and goes on therefore draws what it would have drawn, and no two purposes
ever share their numbers.
"""

from enum import IntEnum, auto
from typing import Any

import torch
from torch import Tensor

from cfclip.tensors import mixed_seed


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
    PART_SAMPLES = auto()
    PART_POINTS = auto()
    PART_STARTS = auto()


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
