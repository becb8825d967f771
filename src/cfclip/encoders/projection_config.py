"""Settings of the projection, free of torch so that commands list their options quickly."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from cfclip.settings import (
    CheckedSettings,
    DescentSettings,
    GivenSettings,
    Precision,
    check_number,
    number,
)

_LR_AFTER_COARSE = 0.4
"""Factor on the learning rate where the coarse steps have done most of the way."""


@dataclass(frozen=True)
class ProjectionConfig(GivenSettings):
    """How an image is projected into W+. Raises `InputError` naming a value outside its limits."""

    fast: ClassVar[Mapping[str, Any]] = {"precision": "bfloat16", "coarse": 0.75}

    steps: int = number(120)
    """Optimisation steps at most; 0 takes the encoder's code as it is."""

    lr: float = 0.05
    """Peak learning rate of Adam, in units of the latents."""

    l1_weight: float = number(1.0)
    """Weight of the mean absolute pixel error, which keeps small flat parts (lips, brows) alive."""

    mse_weight: float = number(1.0)
    """Weight of the mean squared pixel error (pixels in [-1, 1]), which is what PSNR measures."""

    perceptual_weight: float = number(0.5)
    """Weight of the distance between feature maps of the CLIP image tower."""

    start_weight: float = number(0.01)
    """Weight of the mean squared distance to the encoder's code, near which edits behave."""

    ramp_up: float = 0.05
    """Share of the steps over which the learning rate rises at the start."""

    ramp_down: float = 0.5
    """Share of the steps over which the learning rate falls to zero at the end."""

    tolerance: float = 0.002
    """An image is done when its smoothed loss falls by less than this share of itself ..."""

    patience: int = 20
    """... for this many steps; 0 never stops early."""

    warn_below_psnr: float = number(24.0)
    """Reproductions below this many decibels come with a warning."""

    coarse: float = number(0.0, 0.0, 1.0)
    """Share of the steps that come first, on smaller pictures and by the pixels alone."""

    precision: Precision = "float32"
    """float32, or bfloat16 for mixed precision: faster where the processor has it, a little less
    exact."""

    def __post_init__(self) -> None:
        super().__post_init__()
        # Either pixel weight makes the projection well posed; features alone do not fix colours.
        check_number("l1_weight + mse_weight", self.l1_weight + self.mse_weight, 0.0, open_low=True)
        self.descent()

    @property
    def coarse_steps(self) -> int:
        """How many steps are on smaller pictures; at least one is not."""
        return min(round(self.coarse * self.steps), max(0, self.steps - 1))

    def descent(self) -> DescentSettings:
        """The settings of the descent on whole pictures; for `steps` 0, those of a single step."""
        return DescentSettings(
            steps=max(1, self.steps - self.coarse_steps),
            lr=self.lr * (_LR_AFTER_COARSE if self.coarse_steps else 1.0),
            ramp_up=self.ramp_up,
            ramp_down=1.0 if self.coarse_steps else self.ramp_down,
            tolerance=self.tolerance,
            patience=self.patience,
            keep_best=True,
        )

    def coarse_descent(self) -> DescentSettings:
        """The settings of the descent on smaller pictures, if there are `coarse_steps`."""
        return DescentSettings(
            steps=self.coarse_steps,
            lr=self.lr,
            ramp_up=self.ramp_up,
            ramp_down=self.ramp_down,
            tolerance=self.tolerance,
            patience=self.patience,
        )


@dataclass(frozen=True)
class TuningConfig(CheckedSettings):
    """How a generator is tuned on a picture (pivotal tuning, Roich et al. 2021), for a closer
    likeness. Raises `InputError` naming a value outside its limits."""

    steps: int = number(0)
    """Steps of tuning the generator on each picture; 0 leaves it as it is, 350 are the paper's."""

    lr: float = 1e-3
    """Peak learning rate of Adam on the generator's weights (the paper: 3e-4)."""

    l1_weight: float = number(1.0)
    """Weight of the mean absolute pixel error."""

    mse_weight: float = number(1.0)
    """Weight of the mean squared pixel error (pixels in [-1, 1])."""

    perceptual_weight: float = number(0.5)
    """Weight of the distance between feature maps of the CLIP image tower."""

    locality_weight: float = number(0.1)
    """Weight of all three for other pictures, which shall stay as the generator made them; 0
    leaves them out."""

    locality_share: float = number(0.5, 0.0, 1.0)
    """How far those are from the picture: the share of the way from its latents to a sample's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        # As in the projection: features alone do not fix colours.
        check_number("l1_weight + mse_weight", self.l1_weight + self.mse_weight, 0.0, open_low=True)
        self.descent()

    def descent(self) -> DescentSettings:
        """The settings of the descent; for `steps` 0, those of a single step."""
        return DescentSettings(steps=max(1, self.steps), lr=self.lr)
