"""Settings of training a text mapper, free of torch so that commands list their options quickly."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from cfclip.editors.mapper_config import GROUPS, Group
from cfclip.editors.optimisation_config import ObjectiveName
from cfclip.errors import InputError
from cfclip.losses.choices import Negatives, Positives
from cfclip.optim.schedule import DescentSettings
from cfclip.settings import MOST_AT_ONCE, GivenSettings, check_choice, check_number, check_seed

MapperOptimizer: TypeAlias = Literal["ranger", "adamw"]
MapperKind: TypeAlias = Literal["text", "latent"]

KEEPING = ("latent_l2", "changed_pixels", "aspects")
"""Terms of the loss that keep an edit from changing more than it is about."""

PLUG_INS = ("identity", "perceptual")
"""Terms of the loss that need a network of their own; each of these and of the above is a weight
of `TrainingConfig`."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(GivenSettings):
    """How a text mapper is trained. Raises `InputError` naming a value outside its limits.

    Weights, optimizer and learning rate are CF-CLIP's by default; the run is far shorter, and its
    rate falls at the end.
    """

    steps: int = 1000
    """Training steps."""

    batch: int = 4
    """Latents of one step."""

    seed: int = 0
    """Decides every random draw: the first weights, the latents, the perspectives."""

    mapper: MapperKind = "text"
    """What is trained: text (CF-CLIP's, which reads its texts) or latent (StyleCLIP's, which is of
    one text alone)."""

    objective: ObjectiveName = "clip_nce"
    """What is minimised, beside the weights below: clip_nce (CF-CLIP), directional
    (StyleGAN-NADA), global (StyleCLIP) or logit."""

    positives: Positives = "both"
    """What clip_nce pulls an edit along: both, or only the direction from the source text to the
    prompt (direction), or only that from the image to the prompt (image)."""

    negatives: Negatives = "own"
    """What clip_nce pushes an edit away from: own (the source text, seen from the image), released
    (for all images of a prompt that of the first, as the released code does) or none."""

    bare_prompt: bool = False
    """Show CLIP the texts alone instead of in the pack's templates, as StyleCLIP does."""

    clip_weight: float = 0.3
    """Weight of the objective's CLIP terms."""

    latent_l2: float = 0.8
    """Weight of the mean squared change of the latents: higher changes less."""

    changed_pixels: float = 0.0
    """Weight of the share of pixels that change: higher confines the edit."""

    aspects: float = 0.0
    """Weight of what CLIP reads of the pack's aspects: those that the prompt speaks of as it says,
    all others as they were."""

    identity: float = 0.0
    """Weight of keeping a face's identity (CF-CLIP: 0.2); needs its network."""

    perceptual: float = 0.0
    """Weight of the perceptual distance to the source (CF-CLIP: 0.02); needs its network."""

    groups: tuple[Group, ...] = GROUPS
    """Groups of layers that are edited: coarse (layers 0-3), medium (4-7), fine (8 and up)."""

    legacy_pixel_norm: bool = False
    """Normalise over a group's layers, as the released code does, instead of over channels."""

    optimizer: MapperOptimizer = "ranger"
    """ranger (RAdam, Lookahead, centralised gradients) or adamw."""

    lr: float = 0.5
    """Peak learning rate; the layers multiply it by 0.01."""

    weight_decay: float = 0.0
    """Decoupled weight decay."""

    ramp_up: float = 0.0
    """Share of the steps over which the learning rate rises at the start."""

    ramp_down: float = 0.25
    """Share of the steps over which the learning rate falls to zero at the end."""

    max_gradient: float = 0.01
    """Longest gradient: a longer one is cut to it; 0 cuts none. Usual ones are about 0.001."""

    average: float = 0.99
    """Decay per step of the moving average of the weights, which is what is used."""

    augmentations: int = 8
    """Random perspectives of each edited image that CLIP sees in each step."""

    distortion: float = 0.5
    """Size of the random perspectives, 0 (none) to 1."""

    samples: int = 10_000
    """Latents that are sampled to train on, if none are given."""

    truncation: float = 0.7
    """Truncation psi of sampled latents: lower keeps nearer to the mean picture."""

    validation: int = 32
    """Latents that are held out and validated on; of given ones a fifth at most."""

    validate_every: int = 100
    """Steps between validations; the best mapper so far is kept."""

    def __post_init__(self) -> None:
        check_choice("mapper", self.mapper, get_args(MapperKind))
        check_choice("objective", self.objective, get_args(ObjectiveName))
        check_choice("positives", self.positives, get_args(Positives))
        check_choice("negatives", self.negatives, get_args(Negatives))
        check_choice("optimizer", self.optimizer, get_args(MapperOptimizer))
        for name in ("batch", "augmentations", "samples", "validation"):
            check_number(name, getattr(self, name), 1, MOST_AT_ONCE)
        check_number("validate_every", self.validate_every, 1)
        for name in (*KEEPING, *PLUG_INS, "weight_decay", "max_gradient"):
            check_number(name, getattr(self, name), 0.0)
        check_seed(self.seed)
        check_number("clip_weight", self.clip_weight, 0.0, open_low=True)
        for name in ("distortion", "truncation", "average"):
            check_number(name, getattr(self, name), 0.0, 1.0)
        if self.average == 1.0:
            raise InputError("average is 1.0, which keeps the first weights; give less than 1")
        for group in self.groups:
            check_choice("one of groups", group, GROUPS)
        self.schedule()

    def schedule(self) -> DescentSettings:
        """The steps and the learning rates, see `cfclip.optim.schedule.learning_rate`."""
        return DescentSettings(
            steps=self.steps, lr=self.lr, ramp_up=self.ramp_up, ramp_down=self.ramp_down
        )
