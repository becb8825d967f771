"""Named weighted sums of losses: what an edit minimises, and each of its parts by name."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import torch
from torch import Tensor

from cfclip.errors import InputError
from cfclip.losses.aspects import Aspect, aspect_targets, aspects_loss
from cfclip.losses.changed_pixels import changed_pixels_loss
from cfclip.losses.choices import Negatives, Positives
from cfclip.losses.clip_nce import TEMPERATURE, clip_nce_loss
from cfclip.losses.directional import directional_loss
from cfclip.losses.embedding_rows import Reduction, copies_of, reduce_images
from cfclip.losses.global_clip import global_clip_loss
from cfclip.losses.latent import latent_l2_loss
from cfclip.losses.logit import text_log_odds


@dataclass(frozen=True)
class EditTensors:
    """All that an objective may look at. Embeddings are unit length, `dim` wide.

    Attributes:
        edited: `(A * B, dim)`, row `a * B + b` from image `b` under augmentation `a`.
        source: `(B, dim)`, the images before the edit.
        target_texts: `(K, dim)`, the target text in K templates; or `(P, K, dim)` for P texts that
            the edit shall all show: terms that read it are averaged over them.
        source_texts: `(K, dim)`, the text of the original image in the same templates.
        offset: `(B, ...)`, the edited latent minus the source's.
        unrealistic_texts: `(K, dim)`, a text of unrealistic images, for the realism term.
        images, source_images: `(B, C, H, W)`, before augmentation, for the changed_pixels term.
        aspects: the aspects of a picture and what the texts say of them, for the aspects term.
    """

    edited: Tensor
    source: Tensor
    target_texts: Tensor
    source_texts: Tensor
    offset: Tensor
    unrealistic_texts: Tensor | None = None
    images: Tensor | None = None
    source_images: Tensor | None = None
    aspects: tuple[Aspect, ...] = ()

    @property
    def copies(self) -> int:
        """A, the augmented rows per image."""
        return copies_of(self.edited, self.source)

    def over_targets(self, loss: Callable[[Tensor], Tensor]) -> Tensor:
        """Mean of `loss(texts)` over the P target texts, each `(K, dim)`."""
        if self.target_texts.ndim == 2:
            return loss(self.target_texts)
        if self.target_texts.ndim != 3 or self.target_texts.shape[0] == 0:
            raise InputError(
                f"target_texts has shape {tuple(self.target_texts.shape)}, expected "
                "(templates, dim) or (prompts, templates, dim)"
            )
        return torch.stack([loss(texts) for texts in self.target_texts]).mean(0)


Term: TypeAlias = Callable[[EditTensors], Tensor]
"""A part of an objective: `EditTensors` to one unweighted value per image, `(B,)`."""


def clip_nce_term(
    temperature: float = TEMPERATURE, negatives: Negatives = "own", positives: Positives = "both"
) -> Term:
    """The term `clip_nce` with choices of its own, see `clip_nce_loss`."""

    def clip_nce(t: EditTensors) -> Tensor:
        return t.over_targets(
            lambda texts: clip_nce_loss(
                t.edited,
                t.source,
                texts,
                t.source_texts,
                temperature,
                negatives,
                "none",
                positives,
            )
        )

    return clip_nce


def _directional(t: EditTensors) -> Tensor:
    return t.over_targets(
        lambda texts: directional_loss(t.edited, t.source, texts, t.source_texts, reduction="none")
    )


def _global(t: EditTensors) -> Tensor:
    return t.over_targets(
        lambda texts: global_clip_loss(t.edited, texts, t.copies, reduction="none")
    )


def _similarity(t: EditTensors) -> Tensor:
    return -t.over_targets(lambda texts: text_log_odds(t.edited, texts, t.copies, reduction="none"))


def _diversity(t: EditTensors) -> Tensor:
    return text_log_odds(t.edited, t.source_texts, t.copies, reduction="none")


def _realism(t: EditTensors) -> Tensor:
    if t.unrealistic_texts is None:
        raise InputError(
            "the realism term needs unrealistic_texts; give them, or set its weight to 0"
        )
    return text_log_odds(t.edited, t.unrealistic_texts, t.copies, reduction="none")


def _latent_l2(t: EditTensors) -> Tensor:
    return latent_l2_loss(t.offset, reduction="none")


def _changed_pixels(t: EditTensors) -> Tensor:
    if t.images is None or t.source_images is None:
        raise InputError("the changed_pixels term needs images; give them, or set its weight to 0")
    return changed_pixels_loss(t.images, t.source_images, reduction="none")


def _aspects(t: EditTensors) -> Tensor:
    if not t.aspects:
        raise InputError("the aspects term needs aspects; give them, or set its weight to 0")
    targets = aspect_targets(t.source, t.aspects)
    return aspects_loss(t.edited, targets, [each.values for each in t.aspects], "none")


TERMS: Mapping[str, Term] = MappingProxyType(
    {
        "clip_nce": clip_nce_term(),
        "directional": _directional,
        "global": _global,
        "similarity": _similarity,
        "diversity": _diversity,
        "realism": _realism,
        "latent_l2": _latent_l2,
        "changed_pixels": _changed_pixels,
        "aspects": _aspects,
    }
)

_KEEPING = {"latent_l2": 1.0, "changed_pixels": 0.0, "aspects": 0.0}
"""What keeps an edit to what it is about; the latter two are this project's own."""

OBJECTIVES: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "clip_nce": MappingProxyType({"clip_nce": 1.0, **_KEEPING}),
        "directional": MappingProxyType({"directional": 1.0, **_KEEPING}),
        "global": MappingProxyType({"global": 1.0, **_KEEPING}),
        "logit": MappingProxyType(
            {"similarity": 1.0, "diversity": 0.5, "realism": 0.5, **_KEEPING}
        ),
    }
)
"""Every objective's terms and default weights. The logit objective's alpha, beta and gamma are the
weights of similarity, diversity and realism."""


class Objective:
    """A weighted sum of named terms.

    Args:
        terms: name to (weight, term). A term of weight 0 is not evaluated.

    Raises:
        InputError: no term, or a weight that is negative or not finite.

    >>> objective = Objective({"latent_l2": (2.0, TERMS["latent_l2"])})
    >>> one = torch.tensor([[1.0, 0.0]])
    >>> tensors = EditTensors(one, one, one, one, offset=torch.tensor([[3.0, 4.0]]))
    >>> objective(tensors)
    (tensor(25.), {'latent_l2': tensor(12.5000)})
    """

    def __init__(self, terms: Mapping[str, tuple[float, Term]]) -> None:
        for name, (weight, _) in terms.items():
            if not (weight >= 0 and math.isfinite(weight)):
                raise InputError(f"weight of {name} is {weight}, expected a number of at least 0")
        self.terms = {name: pair for name, pair in terms.items() if pair[0] > 0}
        if not self.terms:
            raise InputError(f"an objective needs a term of positive weight, got {dict(terms)}")

    def __call__(
        self, tensors: EditTensors, reduction: Reduction = "mean"
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted total and every unweighted term: scalars, or `(B,)` each for `"none"`.

        To optimise a batch of latents so that no image depends on the others, take `"none"` and
        differentiate `total.sum()`.

        Raises:
            InputError: tensors whose shapes do not fit together, or that a term misses.
        """
        values = {name: term(tensors) for name, (_, term) in self.terms.items()}
        total = sum(
            (weight * values[name] for name, (weight, _) in self.terms.items()),
            start=tensors.source.new_zeros(()),
        )
        return (
            reduce_images(total, reduction),
            {name: reduce_images(value, reduction) for name, value in values.items()},
        )


def build_objective(name: str, weights: Mapping[str, float] | None = None) -> Objective:
    """One of `OBJECTIVES` by name, with some of its weights replaced.

    Args:
        name: `"clip_nce"`, `"directional"`, `"global"` or `"logit"`.
        weights: term name to weight, for the terms that shall not have their default.

    Raises:
        InputError: an unknown objective, a term that it does not have, or a bad weight.

    >>> sorted(build_objective("clip_nce", {"latent_l2": 0.8}).terms)
    ['clip_nce', 'latent_l2']
    """
    if name not in OBJECTIVES:
        raise InputError(f"unknown objective {name!r}, expected one of {', '.join(OBJECTIVES)}")
    chosen = dict(OBJECTIVES[name])
    for term, weight in (weights or {}).items():
        if term not in chosen:
            raise InputError(
                f"objective {name!r} has no term {term!r}, its terms are {', '.join(chosen)}"
            )
        chosen[term] = weight
    return Objective({term: (weight, TERMS[term]) for term, weight in chosen.items()})
