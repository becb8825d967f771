"""Settings of StyleCLIP's global directions, free of torch."""

from dataclasses import dataclass

from cfclip.settings import MOST_AT_ONCE, CheckedSettings, EditSettings, number, strength

_FEWEST_RENDERED = 2  # a picture and its opposite


@dataclass(frozen=True)
class GlobalDirectionsConfig(EditSettings):
    """How an edit moves channels. Raises `InputError` naming a value outside its limits."""

    # alpha and beta: about where the released demonstrations have them.
    alpha: float = strength(4.0)
    """Standard deviations that the most relevant channel moves by."""

    beta: float = number(0.15, 0.0, 1.0)
    """Cosine of a channel with the text above which it is moved: higher changes less else."""

    to_rgb: bool = True
    """Move the channels of the layers that turn features into RGB too; the released code does not.
    """


@dataclass(frozen=True)
class ChannelFitConfig(CheckedSettings):
    """How channels are measured. Raises `InputError` naming a value outside its limits."""

    images: int = number(100, 1, MOST_AT_ONCE)
    """Sampled pictures whose every channel is moved: more take longer and are more exact."""

    batch: int = number(16, _FEWEST_RENDERED, MOST_AT_ONCE)
    """Pictures rendered at a time."""

    truncation: float = number(0.7, 0.0, 1.0, open_low=True)
    """Truncation psi of the samples."""

    seed: int = 0
    """Decides the samples."""

    @property
    def pairs(self) -> int:
        """Channels measured at a time, each in two pictures."""
        return self.batch // _FEWEST_RENDERED
