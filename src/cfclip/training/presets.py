"""Named settings of a training: the published mappers. Free of torch, like the settings.

docs/BASELINES.md has the formulas, and where they differ from the publications.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from cfclip.losses.terms import UNPUBLISHED_TERMS
from cfclip.settings import all_given
from cfclip.training.training_config import TrainingConfig

TrainingPreset: TypeAlias = Literal["pack", "cfclip", "styleclip-mapper", "directional-mapper"]

_STYLECLIP: Mapping[str, Any] = {
    "mapper": "latent",
    "steps": 50_000,
    "batch": 2,
    "clip_weight": 1.0,
    **dict.fromkeys(UNPUBLISHED_TERMS, 0.0),
    "latent_l2": 0.8,
    # For faces; a pack without an identity network takes 0, as StyleCLIP does for other pictures.
    "identity": 0.1,
    "optimizer": "ranger",
    "lr": 0.5,
    "ramp_up": 0.0,
    "ramp_down": 0.0,
    "max_gradient": 0.0,
    "average": 0.0,
    "augmentations": 1,
    "distortion": 0.0,
}
"""The mapper of StyleCLIP (Patashnik et al., ICCV 2021, section 5), but for its objective."""

TRAINING_PRESETS: Mapping[TrainingPreset, TrainingConfig] = MappingProxyType(
    {
        "pack": TrainingConfig(),
        "cfclip": all_given(TrainingConfig()),
        "styleclip-mapper": all_given(
            TrainingConfig(objective="global", bare_prompt=True, **_STYLECLIP)
        ),
        "directional-mapper": all_given(TrainingConfig(objective="directional", **_STYLECLIP)),
    }
)
"""`pack` is what a pack lays its own defaults over (`cfclip.editing.defaults`); others
stay as published. `directional-mapper` is `styleclip-mapper` with StyleGAN-NADA's loss, whose texts
are in the pack's templates: the objective is all that differs."""
