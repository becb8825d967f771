"""Named settings of latent optimisation: the published methods that it can be.

Values for `LatentOptimisationConfig`, free of torch as that is. docs/BASELINES.md has the formulas,
and where they differ from the publications.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cfclip.losses.terms import CONFINING_TERMS, UNPUBLISHED_TERMS

if TYPE_CHECKING:
    from cfclip.generators.generator import Generator

STYLECLIP_L2 = 0.008
"""Weight of the *sum* of squares of the offset in W+ (Patashnik et al., ICCV 2021, section 4)."""

LOGIT_TEXT_MAP: Mapping[str, Any] = MappingProxyType(
    {
        "objective": "logit",
        "start": "text-map",
        "steps": 100,
        # Scores move little, so that the plain gradient takes a large rate.
        "lr": 1.0,
        "optimizer": "sgd",
        # The procedure has no terms that keep an edit small. At this rate those of a pack, whose
        # weights are found for Adam, throw the descent off (avatars, weight of aspects 30).
        **dict.fromkeys(CONFINING_TERMS, 0.0),
        "ramp_up": 0.0,
        "ramp_down": 0.0,
        "patience": 0,
    }
)
"""Plain gradient of the logit objective from the source fused with the text, at a constant rate,
without terms that confine the edit and without stopping early; laid over the defaults of a pack."""


def styleclip_optimisation(generator: "Generator") -> dict[str, Any]:
    """StyleCLIP's latent optimisation, all that decides it; laid over no defaults of a pack.

    Minimises `1 - cos(E(x'), E(t)) + STYLECLIP_L2 * |w' - w|^2`, a sum over the entries of W+ where
    the engine takes the mean: the weight is multiplied by their number, `num_ws * w_dim` of the
    generator. It is the same number in space "w", whose offset moves every layer.
    """
    return {
        "objective": "global",
        "space": "w_plus",
        "bare_prompt": True,
        "steps": 300,
        "lr": 0.1,
        "optimizer": "adam",
        "clip_weight": 1.0,
        **dict.fromkeys(UNPUBLISHED_TERMS, 0.0),
        "latent_l2": STYLECLIP_L2 * generator.num_ws * generator.w_dim,
        "augmentations": 1,
        "distortion": 0.0,
        "ramp_up": 0.05,
        "ramp_down": 0.25,
        "patience": 0,
    }


def directional_optimisation(generator: "Generator") -> dict[str, Any]:
    """`styleclip_optimisation` with StyleGAN-NADA's loss: the objective is all that differs.

    Its texts are in the pack's templates, over which the loss takes the mean.
    """
    return {
        **styleclip_optimisation(generator),
        "objective": "directional",
        "bare_prompt": False,
    }
