"""Who answers the cases of a benchmark: the methods, and the oracle that no method can beat."""

import time
from pathlib import Path
from typing import Protocol

import torch

from cfclip.descent import INTERRUPTED
from cfclip.errors import InputError
from cfclip.evaluation.avatars.cases import Case, edit_request
from cfclip.evaluation.avatars.measures import Answer, Subject
from cfclip.evaluation.memory import peak_memory
from cfclip.evaluation.methods import Method
from cfclip.images import write_png
from cfclip.inversions import Inversions
from cfclip.session import Session
from cfclip.tensors import pil_from_signed

ORACLE = "oracle"
"""Name of the oracle in rows, beside those of methods."""
INVERTED = "inverted"
"""Stop reason of the oracle's answers."""


class Unanswered(InputError):
    """A case that a candidate cannot do, such as a prompt that it was not trained for."""


class Candidate(Protocol):
    """What a benchmark asks."""

    @property
    def name(self) -> str:
        """Of its rows."""

    def answer(self, case: Case, subject: Subject) -> Answer:
        """Its picture of a case, whose avatar is the subject.

        Raises `Unanswered` for a case that it cannot do, `KeyboardInterrupt` if it was interrupted.
        """


class Oracle:
    """Knows the true answer: its rendering is inverted, and measured like an edit.

    What the generator cannot show, or inversion cannot find, no edit can be expected to reach.

    Args:
        session: its generator makes the picture.
        store: inverts, and keeps what it has inverted.
        folder: where the rendered answers are put.
    """

    name = ORACLE

    def __init__(self, session: Session, store: Inversions, folder: Path) -> None:
        self._session = session
        self._store = store
        self._folder = folder

    def answer(self, case: Case, subject: Subject) -> Answer:
        generator = self._session.generator
        truth = self._folder / f"{case.name}.png"
        (picture, *_) = pil_from_signed(case.truths(generator.resolution)[:1])
        write_png(picture, truth, overwrite=True)
        latents = self._store.invert(truth).latents[None].to(self._session.device)
        with torch.no_grad():
            made = generator.synthesis(latents).cpu()
        return Answer(made, None, None, None, 0, INVERTED)


class Editing:
    """A method, asked for one edit at a time with the pack's texts.

    Args:
        method: what edits.
        session: of the pack that the method was opened with.
        seed: of every edit.
    """

    def __init__(self, method: Method, session: Session, seed: int) -> None:
        self.name = method.name
        self._method = method
        self._session = session
        self._seed = seed

    def answer(self, case: Case, subject: Subject) -> Answer:
        latents = subject.latents.to(self._session.device)
        request = edit_request(self._session.pack.manifest, latents, case.edit, self._seed)
        try:
            with peak_memory(self._session.device) as peak:
                began = time.perf_counter()
                result = self._method.edit(request)
                if self._session.device.type == "cuda":  # which works on after the call
                    torch.cuda.synchronize(self._session.device)
                seconds = time.perf_counter() - began
        except InputError as error:
            raise Unanswered(str(error)) from error
        if INTERRUPTED in result.stop_reasons:
            raise KeyboardInterrupt
        return Answer(
            image=result.images.detach().cpu(),
            at_strength=lambda factor: result.at_strength(factor * result.strength).cpu(),
            seconds=seconds,
            peak_memory=peak.mebibytes,
            steps=result.steps[0],
            stop_reason=result.stop_reasons[0],
        )
