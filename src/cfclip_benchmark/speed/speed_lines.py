"""What comes out of a measurement; free of torch."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Rates:
    """The machine, and how fast it multiplies."""

    machine: str
    """Such as "2 cores of AMD EPYC, 2 threads" or the name of a GPU."""
    torch: str
    python: str
    """Versions."""
    operations: Mapping[str, float]
    """By precision, floating point operations a second in a large matrix product or 3x3
    convolution, whichever has more; bfloat16 only where the machine has it."""


@dataclass(frozen=True)
class Line:
    """One piece of work, done in one way."""

    work: str
    way: str
    precision: str
    seconds: float
    """Median of a step."""
    memory: float | None
    """GB at most during the steps, models and libraries included; on CUDA what PyTorch held there.
    None where the system does not tell."""
    operations: int
    """Floating point operations of a step, of which a multiplication with an addition is two."""
    floor: float
    """Seconds that these take at the rate of the machine."""

    @property
    def share(self) -> float:
        """The floor as a share of the seconds: 1 where nothing else takes time."""
        return self.floor / self.seconds


@dataclass(frozen=True)
class Unmeasured:
    """A piece of work that could not be done."""

    work: str
    way: str
    reason: str
    """One line."""
