"""The terms that an edit or the training of a mapper minimises: one table, a row for each.

A term is a row: a loss, what it is shown, and its weight, which is a field of `ObjectiveConfig` or
follows from one. Commands, records, builders and documentation take the terms from here. Free of
torch, so that commands list their options quickly.
"""

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, fields
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from cfclip.errors import InputError, shown
from cfclip.settings import MOST_AT_ONCE, GivenSettings, number

ObjectiveName: TypeAlias = Literal["clip_nce", "directional", "global", "logit"]
Positives: TypeAlias = Literal["both", "direction", "image"]
Negatives: TypeAlias = Literal["own", "released", "none"]
OwnNegatives: TypeAlias = Literal["own", "none"]
"""Those with which no image depends on the others of its batch."""


@dataclass(frozen=True, kw_only=True)
class Term:
    """A row of `TERMS`."""

    loss: str
    """MODULE.FUNCTION of `cfclip.losses`: gives a value per image for reduction "none"."""
    tensors: tuple[str, ...]
    """What of `cfclip.losses.objective.EditTensors` it takes, in order. A loss that takes
    target_texts is averaged over the prompts."""
    options: tuple[str, ...] = ()
    """Fields of `ObjectiveConfig` that it takes by name."""
    network: bool = False
    """Whether it compares what a network of the term's name makes of `tensors`."""
    confines: bool = False
    """Whether it keeps an edit from changing more than its prompt asks for."""
    published: bool = True
    """Whether a published method may have it; the others are this project's own."""
    objective: ObjectiveName | None = None
    """The objective that has it, weighed by `clip_weight`; all of them if not given."""
    weight: str | None = None
    """Field of `ObjectiveConfig` that weighs it; only `clip_weight` if not given."""

    @property
    def sees_prompts(self) -> bool:
        """Whether it compares images with each of the prompts."""
        return "target_texts" in self.tensors


def term(default: float, loss: str, tensors: tuple[str, ...], **row: bool) -> Any:
    """A field of `ObjectiveConfig` that weighs the term of its name, see `Term`."""
    return number(default, term={"loss": loss, "tensors": tensors, **row})


_PAIR = ("edited", "source", "target_texts", "source_texts")
_PICTURES = ("images", "source_images")


@dataclass(frozen=True)
class ObjectiveConfig(GivenSettings):
    """What an edit or a training minimises. Raises `InputError` naming a value outside its limits.

    A field made by `term` is a row of `TERMS`.
    """

    objective: ObjectiveName = "clip_nce"
    """What is minimised, beside the weights below: clip_nce (CF-CLIP), directional
    (StyleGAN-NADA), global (StyleCLIP) or logit (similarity, diversity and realism)."""

    _: KW_ONLY

    bare_prompt: bool = False
    """Show CLIP the texts alone instead of in the pack's templates, as StyleCLIP does."""

    clip_weight: float = number(1.0)
    """Weight of each prompt's CLIP terms; 0 leaves them out, if `aspects` sees the prompt."""

    latent_l2: float = term(1.0, "changes.latent_l2_loss", ("offset",), confines=True)
    """Weight of the mean squared change of the latents: higher changes less."""

    changed_pixels: float = term(
        0.0, "changes.changed_pixels_loss", _PICTURES, confines=True, published=False
    )
    """Weight of the share of pixels that change: higher confines the edit."""

    aspects: float = term(
        0.0,
        "aspects.aspects_loss",
        ("edited", "aspect_targets", "aspects"),
        confines=True,
        published=False,
    )
    """Weight of what CLIP reads of the pack's aspects: those that the prompt speaks of as it says,
    all others as they were."""

    identity: float = term(0.0, "changes.identity_loss", _PICTURES, network=True)
    """Weight of keeping a face's identity (CF-CLIP: 0.2); needs its network."""

    perceptual: float = term(0.0, "changes.perceptual_loss", _PICTURES, network=True)
    """Weight of the perceptual distance to the source (CF-CLIP: 0.02); needs its network."""

    temperature: float = number(0.1, open_low=True)
    """Temperature of clip_nce: lower attends to the hardest negatives."""

    positives: Positives = "both"
    """What clip_nce pulls an edit along: both, or only the direction from the source text to the
    prompt (direction), or only that from the image to the prompt (image)."""

    negatives: Negatives = "own"
    """What clip_nce pushes an edit away from: own (the source text, seen from the image), released
    (for all images of a prompt that of the first, as the released code does) or none."""

    alpha: float = number(1.0)
    """logit objective: weight of the similarity to the prompt."""

    beta: float = number(0.5)
    """logit objective: weight of moving away from the source text."""

    gamma: float = number(0.5)
    """logit objective: weight of moving away from the text of unrealistic images."""

    augmentations: int = number(8, 1, MOST_AT_ONCE)
    """Random perspectives of the edited image that CLIP sees in each step."""

    distortion: float = number(0.5, 0.0, 1.0)
    """Size of the random perspectives, 0 (none) to 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.clip_weight or self.aspects):
            raise InputError(
                "clip_weight is 0.0, which is possible only if aspects is above 0: nothing else "
                "sees the prompt"
            )
        if self.objective == "logit" and not self.alpha:
            raise InputError("alpha is 0.0, the logit objective needs it above 0 to see the prompt")

    def weights(self, prompts: int = 1) -> dict[str, float]:
        """The weight of every term, those of 0 left out.

        A term that sees the prompts is a mean over them, and weighed as often: each prompt pulls
        as hard against the others as it would alone.

        >>> ObjectiveConfig(objective="logit", clip_weight=2.0).weights(prompts=3)
        {'similarity': 6.0, 'diversity': 1.0, 'realism': 1.0, 'latent_l2': 1.0}
        """
        weights = {}
        for name, each in TERMS.items():
            weight = 1.0 if each.weight is None else getattr(self, each.weight)
            if each.objective is not None:
                times = prompts if each.sees_prompts else 1
                weight *= self.clip_weight * times if each.objective == self.objective else 0.0
            if weight:
                weights[name] = weight
        return weights


TERMS: Mapping[str, Term] = MappingProxyType(
    {
        "clip_nce": Term(
            loss="clip_losses.clip_nce_loss",
            tensors=_PAIR,
            options=("temperature", "positives", "negatives"),
            objective="clip_nce",
        ),
        "directional": Term(
            loss="clip_losses.directional_loss", tensors=_PAIR, objective="directional"
        ),
        "global": Term(
            loss="clip_losses.global_clip_loss",
            tensors=("edited", "target_texts", "copies"),
            objective="global",
        ),
        "similarity": Term(
            loss="clip_losses.dissimilarity_loss",
            tensors=("edited", "target_texts", "copies"),
            objective="logit",
            weight="alpha",
        ),
        "diversity": Term(
            loss="clip_losses.text_log_odds",
            tensors=("edited", "source_texts", "copies"),
            objective="logit",
            weight="beta",
        ),
        "realism": Term(
            loss="clip_losses.text_log_odds",
            tensors=("edited", "unrealistic_texts", "copies"),
            objective="logit",
            weight="gamma",
        ),
        **{
            each.name: Term(**each.metadata["term"], weight=each.name)
            for each in fields(ObjectiveConfig)
            if "term" in each.metadata
        },
    }
)
"""Every term by name, in the order in which they are summed."""

NETWORK_TERMS = tuple(name for name, each in TERMS.items() if each.network)
CONFINING_TERMS = tuple(name for name, each in TERMS.items() if each.confines)
UNPUBLISHED_TERMS = tuple(name for name, each in TERMS.items() if not each.published)


def beyond_published(settings: Mapping[str, Any], objective: ObjectiveName) -> Iterator[str]:
    """`aspects 30.0` for each of a training's settings that no published method has.

    Args:
        settings: those that a mapper tells it was trained with; a term that they do not know
            yet was not there.
        objective: that of the publication.
    """
    if settings.get("objective") != objective:
        yield f"objective {shown(settings.get('objective'))}"
    for name in UNPUBLISHED_TERMS:
        if (weight := settings.get(name, 0.0)) != 0.0:
            yield f"{name} {shown(weight)}"
