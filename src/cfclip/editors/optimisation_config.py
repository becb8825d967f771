"""Settings of latent optimisation, free of torch so that commands list their options quickly."""

import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from cfclip.errors import InputError, shown
from cfclip.losses import ObjectiveConfig, OwnNegatives
from cfclip.settings import (
    CheckedSettings,
    ComputationSettings,
    DescentSettings,
    EditSettings,
    Optimizer,
    number,
    strength,
)

Space: TypeAlias = Literal["w", "w_plus", "style_space"]
Start: TypeAlias = Literal["source", "text-map"]
Fusion: TypeAlias = Literal["add", "difference", "concatenate"]
Solver: TypeAlias = Literal["ridge", "adam"]

ALL_LAYERS = "all"
_LAYER_PART = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")


@dataclass(frozen=True)
class LatentOptimisationConfig(ComputationSettings, ObjectiveConfig, EditSettings):
    """How an edit is optimised. Raises `InputError` naming a value outside its limits."""

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

    fusion_strength: float = strength()
    """Factor on what text-map adds to the source's code."""

    steps: int = 100
    """Optimisation steps at most."""

    lr: float = 0.05
    """Peak learning rate, in units of the latents."""

    optimizer: Optimizer = "adam"
    """adam, or sgd for the plain gradient."""

    negatives: OwnNegatives = field(default="own", kw_only=True)
    """What clip_nce pushes an edit away from: own (the source text, seen from the image) or
    none."""

    ramp_up: float = 0.05
    """Share of the steps over which the learning rate rises at the start."""

    ramp_down: float = 0.25
    """Share of the steps over which the learning rate falls to zero at the end."""

    tolerance: float = 0.001
    """An image is done when its smoothed objective falls by less than this share of itself ..."""

    patience: int = 30
    """... for this many steps; 0 never stops early."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _layer_ranges(self.layers)
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
class TextMapFitConfig(CheckedSettings):
    """How a linear text map is fitted. Raises `InputError` naming a value outside its limits."""

    solver: Solver = "ridge"
    """ridge (closed form), or adam, which reaches the same within 1 %."""

    penalty: float = number(0.1, open_low=True)
    """Weight of the squared weights, on whitened inputs: higher follows single pictures less."""

    holdout: float = number(0.1, 0.0, 0.9)
    """Share of the pictures that is not fitted but measured on."""

    seed: int = 0
    """Decides which pictures those are, and adam's order of the others."""
