"""Settings of latent optimisation, free of torch so that commands list their options quickly."""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from cfclip.errors import InputError, shown
from cfclip.losses.choices import OwnNegatives, Positives
from cfclip.optim.schedule import DescentSettings, Optimizer
from cfclip.settings import MOST_AT_ONCE, GivenSettings, check_choice, check_number, check_seed

ObjectiveName: TypeAlias = Literal["clip_nce", "directional", "global", "logit"]
Space: TypeAlias = Literal["w", "w_plus", "style_space"]
Precision: TypeAlias = Literal["float32", "bfloat16"]
Start: TypeAlias = Literal["source", "text-map"]
Fusion: TypeAlias = Literal["add", "difference", "concatenate"]
Solver: TypeAlias = Literal["ridge", "adam"]

ALL_LAYERS = "all"
_LAYER_PART = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")


@dataclass(frozen=True)
class LatentOptimisationConfig(GivenSettings):
    """How an edit is optimised. Raises `InputError` naming a value outside its limits."""

    objective: ObjectiveName = "clip_nce"
    """What is minimised: clip_nce (CF-CLIP), directional (StyleGAN-NADA), global (StyleCLIP) or
    logit (similarity, diversity and realism)."""

    space: Space = "w_plus"
    """Where the edit moves: w_plus (a code per layer), w (one offset for all layers) or style_space
    (a style per channel)."""

    layers: str = ALL_LAYERS
    """Generator layers the edit may change, such as 0-3,5 (coarse ones come first), or all."""

    start: Start = "source"
    """Where the optimisation starts: source, or text-map (the source's code fused with the code
    that a linear text map gives the text)."""

    fusion: Fusion = "add"
    """How text-map fuses: add (the text's code minus the mean one), difference (minus that of the
    source text) or concatenate (a fitted projection of both codes)."""

    fusion_strength: float = 1.0
    """Factor on what text-map adds to the source's code."""

    steps: int = 100
    """Optimisation steps at most."""

    lr: float = 0.05
    """Peak learning rate, in units of the latents."""

    optimizer: Optimizer = "adam"
    """adam, or sgd for the plain gradient."""

    bare_prompt: bool = False
    """Show CLIP the texts alone instead of in the pack's templates, as StyleCLIP does."""

    clip_weight: float = 1.0
    """Weight of each prompt's CLIP terms; 0 leaves them out, if `aspects` sees the prompt."""

    latent_l2: float = 1.0
    """Weight of the mean squared offset: higher changes less."""

    changed_pixels: float = 0.0
    """Weight of the share of pixels that change: higher confines the edit."""

    aspects: float = 0.0
    """Weight of what CLIP reads of the pack's aspects: those that the prompt speaks of as it says,
    all others as they were."""

    temperature: float = 0.1
    """Temperature of clip_nce: lower attends to the hardest negatives."""

    positives: Positives = "both"
    """What clip_nce pulls an edit along: both, or only the direction from the source text to the
    prompt (direction), or only that from the image to the prompt (image)."""

    negatives: OwnNegatives = "own"
    """What clip_nce pushes an edit away from: own (the source text, seen from the image) or
    none."""

    alpha: float = 1.0
    """logit objective: weight of the similarity to the prompt."""

    beta: float = 0.5
    """logit objective: weight of moving away from the source text."""

    gamma: float = 0.5
    """logit objective: weight of moving away from the text of unrealistic images."""

    augmentations: int = 8
    """Random perspectives of the edited image that CLIP sees in each step."""

    distortion: float = 0.5
    """Size of the random perspectives, 0 (none) to 1."""

    strength: float = 1.0
    """Factor on the offset that was found, applied when the result is rendered."""

    ramp_up: float = 0.05
    """Share of the steps over which the learning rate rises at the start."""

    ramp_down: float = 0.25
    """Share of the steps over which the learning rate falls to zero at the end."""

    tolerance: float = 0.001
    """An image is done when its smoothed objective falls by less than this share of itself ..."""

    patience: int = 30
    """... for this many steps; 0 never stops early."""

    precision: Precision = "float32"
    """float32, or bfloat16 for mixed precision: faster on recent GPUs, a little less exact."""

    def __post_init__(self) -> None:
        check_choice("objective", self.objective, get_args(ObjectiveName))
        check_choice("space", self.space, get_args(Space))
        check_choice("start", self.start, get_args(Start))
        check_choice("fusion", self.fusion, get_args(Fusion))
        check_choice("positives", self.positives, get_args(Positives))
        check_choice("negatives", self.negatives, get_args(OwnNegatives))
        check_choice("precision", self.precision, get_args(Precision))
        _layer_ranges(self.layers)
        weights = (
            "clip_weight",
            "latent_l2",
            "changed_pixels",
            "aspects",
            "alpha",
            "beta",
            "gamma",
        )
        for name in weights:
            check_number(name, getattr(self, name), 0.0)
        if not (self.clip_weight or self.aspects):
            raise InputError(
                "clip_weight is 0.0, which is possible only if aspects is above 0: nothing else "
                "sees the prompt"
            )
        check_number("temperature", self.temperature, 0.0, open_low=True)
        check_number("augmentations", self.augmentations, 1, MOST_AT_ONCE)
        check_number("distortion", self.distortion, 0.0, 1.0)
        check_strength("strength", self.strength)
        check_strength("fusion_strength", self.fusion_strength)
        if self.objective == "logit" and not self.alpha:
            raise InputError("alpha is 0.0, the logit objective needs it above 0 to see the prompt")
        self.descent()

    def descent(self) -> DescentSettings:
        """The settings of the descent.

        The last values are kept, not those of the lowest objective: under random perspectives the
        lowest value is mostly a lucky draw, while the last ones were reached at a rate near zero
        and so average over many draws.
        """
        return DescentSettings(
            steps=self.steps,
            lr=self.lr,
            optimizer=self.optimizer,
            ramp_up=self.ramp_up,
            ramp_down=self.ramp_down,
            tolerance=self.tolerance,
            patience=self.patience,
        )


_MOST_STRENGTH = 100.0
"""Far beyond any strength that leaves a picture; catches a slip of the keyboard."""


def check_strength(name: str, value: float) -> None:
    """Raise `InputError` for a factor on an offset that is out of any use, or not finite."""
    check_number(name, value, -_MOST_STRENGTH, _MOST_STRENGTH)


def parse_layers(layers: str, num_ws: int) -> tuple[int, ...]:
    """Layer indices of a text such as "0-3,5" or "all", sorted, each once.

    Raises `InputError` for another form or an index that the generator does not have.

    >>> parse_layers("5,0-3", num_ws=12)
    (0, 1, 2, 3, 5)
    >>> parse_layers("all", num_ws=3)
    (0, 1, 2)
    """
    if layers.strip() == ALL_LAYERS:
        return tuple(range(num_ws))
    found: set[int] = set()
    for first, last in _layer_ranges(layers):
        if last >= num_ws:
            raise InputError(
                f"layers is {shown(layers)}, but this generator has layers 0 to {num_ws - 1}"
            )
        found.update(range(first, last + 1))
    return tuple(sorted(found))


def _layer_ranges(layers: str) -> list[tuple[int, int]]:
    """(first, last) of each part of a layer text; none for "all"."""
    if layers.strip() == ALL_LAYERS:
        return []
    ranges = []
    for part in layers.split(","):
        match = _LAYER_PART.fullmatch(part.strip())
        first = int(match[1]) if match else 0
        last = int(match[2] or match[1]) if match else -1
        if last < first:
            raise InputError(
                f"layers is {shown(layers)}, expected numbers and ranges such as 0-3,5, or all"
            )
        ranges.append((first, last))
    return ranges


@dataclass(frozen=True)
class TextMapFitConfig:
    """How a linear text map is fitted. Raises `InputError` naming a value outside its limits."""

    solver: Solver = "ridge"
    """ridge (closed form), or adam, which reaches the same within 1 %."""

    penalty: float = 0.1
    """Weight of the squared weights, on whitened inputs: higher follows single pictures less."""

    holdout: float = 0.1
    """Share of the pictures that is not fitted but measured on."""

    seed: int = 0
    """Decides which pictures those are, and adam's order of the others."""

    def __post_init__(self) -> None:
        check_choice("solver", self.solver, get_args(Solver))
        check_number("penalty", self.penalty, 0.0, open_low=True)
        check_number("holdout", self.holdout, 0.0, _MOST_HOLDOUT)
        check_seed(self.seed)


_MOST_HOLDOUT = 0.9
