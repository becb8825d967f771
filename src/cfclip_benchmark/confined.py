"""The edits of a method once more, confined to the parts that each prompt is about.

Every method is confined alike, ours and baselines, from the offsets that its rows keep: no edit is
made again.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from cfclip.editing import Session, edit_texts
from cfclip.regions import ChosenRegion
from cfclip.settings import RegionName
from cfclip_benchmark.avatars import Case, CaseAnswer, Subject
from cfclip_benchmark.candidates import Editing, Unanswered, rendered
from cfclip_benchmark.measured_edits import CONFINED, RowLog

_REGION: RegionName = "parts"


@dataclass(frozen=True)
class Confined:
    """Answers cases by the kept edits of a method, confined."""

    method: Editing
    rows: RowLog
    """Where its edits are, when this is asked."""
    session: Session

    @property
    def name(self) -> str:
        """That of the method, and what is done to it."""
        return self.method.name + CONFINED

    def answer(self, cases: Sequence[Case], subjects: Sequence[Subject]) -> list[CaseAnswer]:
        """The confined edits of cases of one prompt, whose avatars are the subjects.

        Raises `Unanswered` for a case that the method has no row of, or none that can be rendered
        again.
        """
        region = self._region(cases[0].edit.prompt)
        answers = []
        for case, subject in zip(cases, subjects, strict=True):
            row = self.rows.get((self.method.name, case.edit.prompt, case.avatar))
            if row is None or row.offset is None:
                raise Unanswered(
                    f"{self.method.name} keeps no edit by {case.edit.prompt!r} to be confined"
                )
            at_strength = partial(
                rendered, replace(row.offset, region=region), self.session, subject
            )
            began = time.perf_counter()
            image = at_strength(1.0)
            spent = time.perf_counter() - began
            answers.append(
                CaseAnswer(
                    image=image,
                    stop_reason=row.stop_reason,
                    at_strength=at_strength,
                    seconds=None if row.seconds is None else row.seconds + spent,
                    peak_memory=row.peak_memory,
                    steps=row.steps,
                    offset=replace(row.offset, region=region),
                )
            )
        return answers

    def _region(self, prompt: str) -> ChosenRegion:
        editor = self.method.method.editor_of((prompt,))
        confining = editor.varied(config=replace(editor.config, region=_REGION))
        return confining.choose_region(edit_texts(self.session.pack.manifest, (prompt,)))
