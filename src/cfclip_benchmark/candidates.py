"""Who answers the cases of a benchmark: the methods, and the oracle that no method can beat."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from cfclip.editing import Session, edit_request, method_named, open_method
from cfclip.editors import BatchEdit
from cfclip.encoders import ProjectionConfig
from cfclip.errors import InputError
from cfclip.optim import INTERRUPTED
from cfclip_benchmark.avatars import Case, CaseAnswer, Subject
from cfclip_benchmark.kept_offsets import KeptOffset
from cfclip_benchmark.measured_edits import ORACLE
from cfclip_benchmark.memory_use import peak_memory
from cfclip_benchmark.variants import Variant

INVERTED = "inverted"
"""Stop reason of the oracle's answers."""
QUICK_SETTINGS: Mapping[str, Any] = MappingProxyType({"steps": 2, "augmentations": 1})
"""Of optimisations, where the benchmark itself is to be tried and not the methods."""


class Unanswered(InputError):
    """A case that a candidate cannot do, such as a prompt that it was not trained for."""


@dataclass(frozen=True)
class Oracle:
    """Knows the true answer: its rendering is inverted, and measured like an edit.

    What the generator cannot show, or inversion cannot find, no edit can be expected to reach.
    """

    session: Session
    """Whose models invert."""
    projection: ProjectionConfig
    """How."""
    name: str = ORACLE

    def answer(self, cases: Sequence[Case], subjects: Sequence[Subject]) -> list[CaseAnswer]:
        """The inverted true answers of cases, whose avatars are the subjects.

        Raises `KeyboardInterrupt` if it was interrupted.
        """
        session, resolution = self.session, self.session.generator.resolution
        truths = torch.cat([case.truth(resolution) for case in cases])
        inversion = session.pack.invert(truths, self.projection, session.device)
        answers = []
        for row, subject in enumerate(subjects):
            kept = KeptOffset.between(subject.latents, inversion.latents[row : row + 1].cpu())
            image = inversion.reconstruction[row : row + 1].cpu()
            if kept is not None:
                image = rendered(kept, session, subject, 1.0)
            answers.append(CaseAnswer(image, stop_reason=INVERTED, offset=kept))
        return answers


class Editing:
    """A method, asked with the pack's texts; every picture gets the random draws it gets alone.

    Args:
        variant: what edits, opened here.
        session: of the pack that it edits with.
        seed: of every edit.
        quick: whether an optimisation takes `QUICK_SETTINGS`.

    Raises:
        InputError, CheckpointError, PackError: as `open_method`.
    """

    def __init__(self, variant: Variant, session: Session, seed: int, quick: bool = False) -> None:
        few = QUICK_SETTINGS if quick and method_named(variant.method).optimises else {}
        settings = {**variant.settings, **few}
        self.name = variant.name
        self.variant = variant
        self.method = open_method(
            variant.method, session.pack, settings, variant.files, session.device
        )
        self._session = session
        self._seed = seed

    def answer(self, cases: Sequence[Case], subjects: Sequence[Subject]) -> list[CaseAnswer]:
        """Its edits for cases of one prompt, whose avatars are the subjects.

        Raises `Unanswered` for a prompt that it cannot do, `KeyboardInterrupt` if it was
        interrupted.
        """
        device = self._session.device
        latents = torch.cat([subject.latents for subject in subjects]).to(device)
        manifest, prompt = self._session.pack.manifest, cases[0].edit.prompt
        request = edit_request(manifest, latents, prompt, self._seed, [0] * len(latents))
        try:
            with peak_memory(device) as peak:
                began = time.perf_counter()
                result = self.method.edit(request)
                if device.type == "cuda":  # which works on after the call
                    torch.cuda.synchronize(device)
                seconds = time.perf_counter() - began
        except InputError as error:
            raise Unanswered(str(error)) from error
        if INTERRUPTED in result.stop_reasons:
            raise KeyboardInterrupt
        answers = []
        for row, subject in enumerate(subjects):
            kept = KeptOffset.of(result, row)
            # What is measured is what is kept, so that it can be measured anew.
            at_strength = (
                partial(_at_strength, result, row)
                if kept is None
                else partial(rendered, kept, self._session, subject)
            )
            answers.append(
                CaseAnswer(
                    image=at_strength(1.0),
                    at_strength=at_strength,
                    seconds=seconds / len(cases),
                    peak_memory=peak.mebibytes,
                    steps=result.steps[row],
                    stop_reason=result.stop_reasons[row],
                    offset=kept,
                )
            )
        return answers


def rendered(kept: KeptOffset, session: Session, subject: Subject, factor: float) -> Tensor:
    """`(1, 3, R, R)` on the CPU: the edit of a subject that was kept, at a factor on it.

    Raises `FormatError` as `KeptOffset.render`.
    """
    latents, pack = subject.latents.to(session.device), session.pack
    parts = pack.parts(session.device) if pack.has_parts else None
    return kept.render(session.generator, latents, factor, parts).cpu()


def _at_strength(result: BatchEdit, row: int, factor: float) -> Tensor:
    """One picture of a batch, at a factor on the edit."""
    return result.row_at_strength(row, factor * result.strength).cpu()
