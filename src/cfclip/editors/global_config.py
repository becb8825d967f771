"""Settings of StyleCLIP's global directions, free of torch."""

from dataclasses import dataclass

from cfclip.editors.optimisation_config import check_strength
from cfclip.settings import MOST_AT_ONCE, check_number, check_seed

_FEWEST_RENDERED = 2  # a picture and its opposite


@dataclass(frozen=True)
class GlobalDirectionsConfig:
    """How an edit moves channels. Raises `InputError` naming a value outside its limits."""

    # alpha and beta: about where the released demonstrations have them.
    alpha: float = 4.0
    """Standard deviations that the most relevant channel moves by."""

    beta: float = 0.15
    """Cosine of a channel with the text above which it is moved: higher changes less else."""

    to_rgb: bool = True
    """Move the channels of the layers that turn features into RGB too; the released code does not.
    """

    strength: float = 1.0
    """Factor on the offset, applied when the result is rendered."""

    def __post_init__(self) -> None:
        check_strength("alpha", self.alpha)
        check_number("beta", self.beta, 0.0, 1.0)
        check_strength("strength", self.strength)


@dataclass(frozen=True)
class ChannelFitConfig:
    """How channels are measured. Raises `InputError` naming a value outside its limits."""

    images: int = 100
    """Sampled pictures whose every channel is moved: more take longer and are more exact."""

    batch: int = 16
    """Pictures rendered at a time."""

    truncation: float = 0.7
    """Truncation psi of the samples."""

    seed: int = 0
    """Decides the samples."""

    def __post_init__(self) -> None:
        check_number("images", self.images, 1, MOST_AT_ONCE)
        check_number("batch", self.batch, _FEWEST_RENDERED, MOST_AT_ONCE)
        check_number("truncation", self.truncation, 0.0, 1.0, open_low=True)
        check_seed(self.seed)

    @property
    def pairs(self) -> int:
        """Channels measured at a time, each in two pictures."""
        return self.batch // _FEWEST_RENDERED
