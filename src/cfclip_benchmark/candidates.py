"""Who answers the cases of a benchmark: the methods, and the oracle that no method can beat."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from cfclip.editing.methods import Method, edit_request
from cfclip.editing.session import Session
from cfclip.editors.editor import EditResult
from cfclip.encoders.projection_config import ProjectionConfig
from cfclip.errors import InputError
from cfclip.images.image_files import write_png
from cfclip.optim.descent import INTERRUPTED
from cfclip.tensors import pil_from_signed
from cfclip_benchmark.avatars.cases import Case
from cfclip_benchmark.avatars.measures import CaseAnswer, Subject
from cfclip_benchmark.peak_memory import peak_memory

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

    def answer(self, cases: Sequence[Case], subjects: Sequence[Subject]) -> list[CaseAnswer]:
        """Its pictures of cases of one prompt, whose avatars are the subjects.

        Raises `Unanswered` for a prompt that it cannot do, `KeyboardInterrupt` if it was
        interrupted.
        """


class Oracle:
    """Knows the true answer: its rendering is inverted, and measured like an edit.

    What the generator cannot show, or inversion cannot find, no edit can be expected to reach.

    Args:
        session: whose models invert.
        projection: how.
        folder: where the rendered answers are put.
    """

    name = ORACLE

    def __init__(self, session: Session, projection: ProjectionConfig, folder: Path) -> None:
        self._session = session
        self._projection = projection
        self._folder = folder

    def answer(self, cases: Sequence[Case], subjects: Sequence[Subject]) -> list[CaseAnswer]:
        session = self._session
        resolution = session.generator.resolution
        truths = torch.cat([case.truths(resolution)[:1] for case in cases])
        for case, picture in zip(cases, pil_from_signed(truths), strict=True):
            write_png(picture, self._folder / f"{case.name}.png", overwrite=True)
        inversion = session.pack.invert(truths, self._projection, session.device)
        return [
            CaseAnswer(image, None, None, None, 0, INVERTED)
            for image in inversion.reconstruction.cpu().split(1)
        ]


class Editing:
    """A method, asked with the pack's texts; every picture gets the random draws it gets alone.

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

    def answer(self, cases: Sequence[Case], subjects: Sequence[Subject]) -> list[CaseAnswer]:
        device = self._session.device
        latents = torch.cat([subject.latents for subject in subjects]).to(device)
        manifest, prompt = self._session.pack.manifest, cases[0].edit.prompt
        request = edit_request(manifest, latents, prompt, self._seed, [0] * len(latents))
        try:
            with peak_memory(device) as peak:
                began = time.perf_counter()
                result = self._method.edit(request)
                if device.type == "cuda":  # which works on after the call
                    torch.cuda.synchronize(device)
                seconds = time.perf_counter() - began
        except InputError as error:
            raise Unanswered(str(error)) from error
        if INTERRUPTED in result.stop_reasons:
            raise KeyboardInterrupt
        return [
            CaseAnswer(
                image=result.images[row : row + 1].detach().cpu(),
                at_strength=_at_strength(result, row),
                seconds=seconds / len(cases),
                peak_memory=peak.mebibytes,
                steps=result.steps[row],
                stop_reason=result.stop_reasons[row],
            )
            for row in range(len(cases))
        ]


def _at_strength(result: EditResult, row: int) -> Callable[[float], Tensor]:
    """Renders one picture of a batch, at a factor on the edit."""

    def render(factor: float) -> Tensor:
        return result.row_at_strength(row, factor * result.strength).cpu()

    return render
