"""Everything that is measured of one edited avatar. It only measures: nothing of it goes back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from cfclip.embedders import Embedder
from cfclip.tensors import psnr, unit
from cfclip_benchmark import (
    KeptOffset,
    MeasuredEdit,
    Probe,
    StrengthScore,
    evaluate_in_batches,
)
from cfclip_benchmark.avatars.cases import Case
from cfclip_benchmark.avatars.scores import RULER_VERSION, score_edits

STRENGTHS = (0.25, 0.5, 0.75, 1.25, 1.5, 2.0)
"""Factors on an edit at which it is read as well."""
_BATCH = 100
_EPS = 1e-6  # so that a picture without any feature has no direction


@dataclass(frozen=True)
class Subject:
    """An avatar as edits find it. Images are image tensors `(1, 3, side, side)` on the CPU."""

    original: Tensor
    """The avatar, rendered."""
    latents: Tensor
    """`(1, num_ws, w_dim)` of its inversion."""
    reconstruction: Tensor
    """What the generator makes of them: the inverted source."""
    psnr: float
    """Decibels of the reconstruction against the original."""


@dataclass(frozen=True)
class CaseAnswer:
    """What something made of a case."""

    image: Tensor
    """`(1, 3, side, side)` on the CPU."""
    stop_reason: str
    at_strength: Callable[[float], Tensor] | None = None
    """The same at a factor on the edit; None for what is no edit."""
    seconds: float | None = None
    peak_memory: float | None = None
    steps: int = 0
    offset: KeptOffset | None = None
    """What renders it again, if anything does."""


@dataclass(frozen=True)
class Instruments:
    """What measures."""

    probes: Sequence[Probe]
    """That must agree; the features of the first are those of distances."""
    embedder: Embedder
    """The CLIP that edits are optimised with."""
    judge: Embedder | None = None
    """A CLIP that no method sees, if there is one."""

    def features(self, images: Tensor) -> Tensor:
        """Probe features `(N, d)` of an image tensor, the squares of each of mean 1.

        Their length says little, and differs from probe to probe; so a distance tells how unlike
        two pictures are on a scale of its own.
        """
        features = evaluate_in_batches(self.probes[0].features, images, _BATCH)
        return unit(features, _EPS) * features.shape[1] ** 0.5

    @torch.no_grad()
    def measure(
        self, method: str, case: Case, subject: Subject, answer: CaseAnswer
    ) -> MeasuredEdit:
        """The row of a method's answer to a case, whose avatar is the subject."""
        prompt, truths = case.edit.prompt, case.truths(answer.image.shape[-1])
        reconstruction = subject.reconstruction
        return MeasuredEdit(
            method=method,
            prompt=prompt,
            family=case.edit.family,
            avatar=case.avatar,
            **self._read(case, subject, answer.image, answer.at_strength),
            truth_distance=self._distances(answer.image, truths).min().item(),
            truth_psnr=psnr(answer.image, truths).max().item(),
            inversion_distance=self._distances(reconstruction, subject.original).item(),
            inversion_psnr=subject.psnr,
            clip_similarity=text_likeness(self.embedder, prompt, answer.image).item(),
            judge_similarity=None
            if self.judge is None
            else text_likeness(self.judge, prompt, answer.image).item(),
            seconds=answer.seconds,
            peak_memory=answer.peak_memory,
            steps=answer.steps,
            stop_reason=answer.stop_reason,
            offset=answer.offset,
        )

    @torch.no_grad()
    def read_anew(
        self,
        row: MeasuredEdit,
        case: Case,
        subject: Subject,
        at_strength: Callable[[float], Tensor],
    ) -> MeasuredEdit:
        """A row as the ruler reads it today; what the ruler does not read stays.

        Args:
            row: of the case, by another ruler.
            case, subject: as in `measure`.
            at_strength: gives its picture at a factor on the edit.
        """
        others = at_strength if row.strengths else None
        return replace(row, **self._read(case, subject, at_strength(1.0), others))

    def _read(
        self,
        case: Case,
        subject: Subject,
        image: Tensor,
        at_strength: Callable[[float], Tensor] | None,
    ) -> dict[str, Any]:
        """What the ruler reads, by the fields of a row."""
        images = [image]
        strengths: tuple[float, ...] = ()
        if at_strength is not None:
            strengths = STRENGTHS
            images += map(at_strength, strengths)
        score, *at_strengths = score_edits(
            case.edit,
            [case.record] * len(images),
            subject.reconstruction,
            torch.cat(images),
            self.probes,
        )
        return {
            "success": score.success,
            "preservation": score.kept,
            "lost": score.lost,
            "psnr_outside": score.psnr_outside,
            "exact": score.exact,
            "strengths": tuple(
                StrengthScore(strength, each.success, each.kept, each.exact)
                for strength, each in zip(strengths, at_strengths, strict=True)
            ),
            "ruler": RULER_VERSION,
        }

    def _distances(self, image: Tensor, others: Tensor) -> Tensor:
        """Root mean square difference of the probe features of one image to each of several.

        `(N,)`, 0 for alike, at most sqrt(2), since features are not negative.
        """
        features = self.features(torch.cat([image, others]))
        return (features[1:] - features[:1]).square().mean(1).sqrt()


def text_likeness(embedder: Embedder, text: str, images: Tensor) -> Tensor:
    """How far images are towards a text in the eyes of a CLIP.

    The true answer is the measure: an edit that the optimised CLIP finds further on its way than
    the true answer, and that a CLIP which no method has seen does not, has fooled the former.

    Returns:
        cosine similarity `(batch,)` of image tensors `(batch, 3, side, side)` and the text as it
        stands, in no template.
    """
    (direction,) = embedder.embed_texts([text])
    return embedder.embed_images(images.to(direction)) @ direction
