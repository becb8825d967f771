"""Settings of training a text mapper, and the named ones, which are the published mappers.

docs/BASELINES.md has the formulas, and where they differ from the publications. Free of torch so
that commands list their options quickly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from cfclip.editors import GROUPS, Group
from cfclip.errors import InputError
from cfclip.losses import UNPUBLISHED_TERMS, ObjectiveConfig
from cfclip.settings import (
    MOST_AT_ONCE,
    ComputationSettings,
    DescentSettings,
    all_given,
    check_choice,
    number,
)

MapperOptimizer: TypeAlias = Literal["ranger", "adamw"]
MapperKind: TypeAlias = Literal["text", "latent", "open"]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(ComputationSettings, ObjectiveConfig):
    """How a text mapper is trained. Raises `InputError` naming a value outside its limits.

    Weights, optimizer and learning rate are CF-CLIP's by default; the run is far shorter, and its
    rate falls at the end.
    """

    steps: int = 1000
    """Training steps."""

    batch: int = number(4, 1, MOST_AT_ONCE)
    """Latents of one step."""

    seed: int = 0
    """Decides every random draw: the first weights, the latents, the perspectives."""

    mapper: MapperKind = "text"
    """What is trained: text (CF-CLIP's, which reads its texts), latent (StyleCLIP's, which is of
    one text alone) or open (which takes any text, and learns what the pack's aspects can say)."""

    clip_weight: float = number(0.3, open_low=True)
    """Weight of the objective's CLIP terms."""

    latent_l2: float = number(0.8)
    """Weight of the mean squared change of the latents: higher changes less."""

    groups: tuple[Group, ...] = GROUPS
    """Groups of layers that are edited: coarse (layers 0-3), medium (4-7), fine (8 and up)."""

    legacy_pixel_norm: bool = False
    """Normalise over a group's layers, as the released code does, instead of over channels."""

    optimizer: MapperOptimizer = "ranger"
    """ranger (RAdam, Lookahead, centralised gradients) or adamw."""

    lr: float = 0.5
    """Peak learning rate; the layers multiply it by 0.01."""

    weight_decay: float = number(0.0)
    """Decoupled weight decay."""

    ramp_up: float = 0.0
    """Share of the steps over which the learning rate rises at the start."""

    ramp_down: float = 0.25
    """Share of the steps over which the learning rate falls to zero at the end."""

    max_gradient: float = number(0.01)
    """Longest gradient: a longer one is cut to it; 0 cuts none. Usual ones are about 0.001."""

    average: float = number(0.99, 0.0, 1.0)
    """Decay per step of the moving average of the weights, which is what is used."""

    samples: int = number(10_000, 1, MOST_AT_ONCE)
    """Latents that are sampled to train on, if none are given."""

    truncation: float = number(0.7, 0.0, 1.0)
    """Truncation psi of sampled latents: lower keeps nearer to the mean picture."""

    validation: int = number(32, 1, MOST_AT_ONCE)
    """Latents that are held out and validated on; of given ones a fifth at most."""

    validate_every: int = number(100, 1)
    """Steps between validations; the best mapper so far is kept."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.average == 1.0:
            raise InputError("average is 1.0, which keeps the first weights; give less than 1")
        for group in self.groups:
            check_choice("one of groups", group, GROUPS)
        self.schedule()

    def schedule(self) -> DescentSettings:
        """The steps and the learning rates, see `cfclip.optim.descent.learning_rate`."""
        return DescentSettings(
            steps=self.steps, lr=self.lr, ramp_up=self.ramp_up, ramp_down=self.ramp_down
        )


TrainingPreset: TypeAlias = Literal[
    "pack", "open", "cfclip", "styleclip-mapper", "directional-mapper"
]

OPEN_SETTINGS: Mapping[str, Any] = MappingProxyType(
    {
        "mapper": "open",
        "steps": 18_000,
        "batch": 24,
        "augmentations": 2,  # many pictures of many texts average as well as many views of one
        "optimizer": "adamw",
        "lr": 1e-4,
        "weight_decay": 1e-4,
        "ramp_up": 0.01,
        "ramp_down": 1.0,
        "max_gradient": 5.0,
        "average": 0.999,
        "validation": 128,
        "validate_every": 500,
    }
)
"""Over a pack's own: for two and a half hours on two cores at 128 px."""

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
        "cfclip": all_given(TrainingConfig()),
        "styleclip-mapper": all_given(
            TrainingConfig(objective="global", bare_prompt=True, **_STYLECLIP)
        ),
        "directional-mapper": all_given(TrainingConfig(objective="directional", **_STYLECLIP)),
    }
)
"""Those that stay as published; `pack` is `cfclip` with the pack's own defaults laid over it, and
`open` is `pack` with `OPEN_SETTINGS` over that, see `cfclip.editing.defaults`. `directional-mapper`
is `styleclip-mapper` with StyleGAN-NADA's loss, whose texts are in the pack's templates: the
objective is all that differs."""
