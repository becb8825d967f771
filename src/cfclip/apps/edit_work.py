"""How any command works through the pictures that it edits: each is inverted, edited and saved, and
one that fails loses no other."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cfclip.apps.console import uninterrupted
from cfclip.apps.options import (
    INTERRUPTED,
    Work,
)
from cfclip.apps.tasks import (
    Task,
    check_plan,
    interruption,
    picture_of,
    recovering,
    report_failure,
    summarise,
)
from cfclip.encoders import ProjectionConfig, TuningConfig
from cfclip.errors import RECOVERABLE
from cfclip.photos import FaceConfig, PasteBack
from cfclip.provenance import EditFiles, edit_files, edit_name

if TYPE_CHECKING:
    from cfclip.editing import EditResult, IdentityMeasure, OpenedMethod, Session, Source


class _Reached(KeyboardInterrupt):
    """Ctrl-C in an edit, of which what it had reached is saved."""


class Saving:
    """Where and how the edits of a command are saved.

    Args:
        command: tells where, and what pictures tell of how they were made.
        strengths: at which each edit is rendered.
        paste: how each is put back into its photo, if it is.
    """

    def __init__(
        self, command: Work, strengths: tuple[float, ...], paste: PasteBack | None
    ) -> None:
        self.console, self.out, self.writing = command.console, command.out, command.writing()
        self.strengths, self._paste, self._marking = strengths, paste, command.marking()

    def files(self, task: Task, prompts: tuple[str, ...]) -> EditFiles:
        """What is written of a picture; named like its task if there are no prompts."""
        name = edit_name(task.name, prompts) if prompts else task.name
        return edit_files(self.out, name, self.strengths, self._paste is not None)

    def check(self, tasks: Sequence[Task], edits: Sequence[tuple[str, ...]]) -> None:
        """Raise `InputError` before any work if an output cannot be written or must not be."""
        planned = [self.files(task, prompts).all for task in tasks for prompts in edits]
        check_plan(tasks, planned, self.writing)

    def save(
        self,
        result: "EditResult",
        task: Task,
        prompts: tuple[str, ...] = (),
        identical: bool | None = None,
    ) -> None:
        """Save the edit of a task and tell where; also if it is `identical` to one recorded before.

        Raises `InputError` as `EditResult.save` and `Writing.together` do.
        """
        files, name = self.files(task, prompts), task.name
        with self.writing.together(files.all) as folder:
            stem = files.record.stem
            result.save(folder, stem, self.strengths, marking=self._marking, paste=self._paste)
        for warning in result.warnings:
            self.console.warning(warning, name)
        content = {
            "source": str(task.picture),
            "prompts": result.prompts,
            "images": [str(path) for path in files.images],
            "photos": [str(path) for path in files.photos],
            "strip": str(files.strip),
            "record": str(files.record),
            "steps": result.steps,
            "stop_reason": result.stop_reason,
            "seconds": result.record["seconds"],
            "loss": result.record["loss"],
            "identity": result.record.get("identity"),
            "confined_to": result.record["confined_to"],
            "warnings": result.warnings,
            **({} if identical is None else {"identical": identical}),
        }
        self.console.result(content, *map(str, files.all))
        for each in (result.record.get("identity") or {}).get("edited", ()):
            strength, similarity = each["strength"], each["similarity"]
            self.console.note(
                f"{name}: strength {strength:g} keeps the identity by {similarity:.2f}"
            )


@dataclass(frozen=True)
class EditWork:
    """The pictures of one command. Those that fail are named at the end and lose no others."""

    saving: Saving
    edits: tuple[tuple[str, ...], ...]
    """The prompts of each edit that every picture gets."""
    session: "Session"
    method: "OpenedMethod"
    face: FaceConfig
    projection: ProjectionConfig
    tuning: TuningConfig = field(default_factory=TuningConfig)
    seed: int = 0
    batch: int = 1
    """Pictures that are edited together."""
    mask: Path | None = None
    points: tuple[tuple[float, float], ...] = ()
    """Of each picture, whose parts there it may change alone."""
    source_text: str | None = None
    unrealistic_text: str | None = None
    measure: "IdentityMeasure | None" = None

    def run(self, tasks: Sequence[Task], failures: list[str]) -> int:
        """Edit all pictures; returns the exit status."""
        from cfclip.optim import Progress

        console, total, finished = self.saving.console, len(tasks) + len(failures), 0
        waiting: list[tuple[Task, Source]] = []
        for warning in self._warnings():
            console.warning(warning)
        try:
            with self.saving.writing, self._progress(self.saving.out.name or "edits") as update:
                for done, task in enumerate(tasks, 1):
                    with recovering(console, task, failures):
                        waiting.append((task, self._source(task)))
                    # The last batch is as small as it has to be.
                    if len(waiting) == self.batch or (waiting and done == len(tasks)):
                        finished += self._edit(waiting, failures)
                        waiting = []
                    if update is not None:
                        update(Progress(done, len(tasks)))
        except KeyboardInterrupt as error:
            saved = "; what it had reached is saved" if isinstance(error, _Reached) else ""
            console.error(interruption(finished, total, saved))
            return INTERRUPTED
        return summarise(console, failures, total)

    def _warnings(self) -> list[str]:
        prompts = tuple(dict.fromkeys(each for edit in self.edits for each in edit))
        return [*self.session.pack.text_warnings(prompts), *self.method.warnings(prompts)]

    def _progress(
        self, label: str, one_pass: bool = True
    ) -> AbstractContextManager[Callable[[Any], Any] | None]:
        """Tells how far all of it is, for methods without steps, or else one picture."""
        shown = self.method.one_pass == one_pass
        return self.saving.console.progress(label) if shown else nullcontext()

    def _source(self, task: Task) -> "Source":
        session, picture = self.session, picture_of(task, self.face)
        if self.mask is not None:  # before the work: a photo's mask has to fit it
            from cfclip.editing import open_mask

            open_mask(self.mask, session.pack.manifest.resolution, [picture])
        with self._progress(f"{task.name}: inverting", one_pass=False) as update:
            source = session.invert(picture, self.projection, update)
        if self.tuning.steps:
            from cfclip.editing import tuned_source

            with self._progress(f"{task.name}: tuning the generator", one_pass=False) as update:
                source = tuned_source(session.pack, source, self.tuning, session.device, update)
        for warning in source.warnings:
            self.saving.console.warning(warning, task.name)
        return source

    def _edit(self, waiting: "Sequence[tuple[Task, Source]]", failures: list[str]) -> int:
        """Edit and save some pictures; returns how many came through whole."""
        console = self.saving.console
        failed: dict[Task, str] = {}
        for prompts in self.edits:
            try:
                results = self._results([source for _, source in waiting], prompts)
            except RECOVERABLE as error:
                failed |= {task: report_failure(console, task, error) for task, _ in waiting}
                break
            for (task, _), result in zip(waiting, results, strict=True):
                if task in failed:
                    continue
                try:
                    self._save(result, task, prompts)
                except RECOVERABLE as error:
                    failed[task] = report_failure(console, task, error)
        failures += failed.values()
        return len(waiting) - len(failed)

    def _results(self, sources: "Sequence[Source]", prompts: tuple[str, ...]) -> "list[EditResult]":
        method = self.method
        if self.points:  # of one picture, as commands that take them edit them one by one
            from cfclip.regions import parse_parts

            (source,) = sources
            parts = self.session.parts(source)
            found = dict.fromkeys(
                (*parse_parts(method.config.parts), *(parts.at(*point) for point in self.points))
            )
            method = method.with_settings(parts=", ".join(found))
        with self._progress(f"{sources[0].name}: editing", one_pass=False) as update:
            return self.session.edit(
                sources,
                prompts,
                self.seed,
                method=method,
                mask=self.mask,
                source_text=self.source_text,
                unrealistic_text=self.unrealistic_text,
                batch=len(sources),
                callback=update,
            )

    def _save(self, result: "EditResult", task: Task, prompts: tuple[str, ...]) -> None:
        if result.interrupted and not result.steps:
            raise KeyboardInterrupt
        with uninterrupted():
            if self.measure is not None:
                result = self.measure.noted(result, self.saving.strengths)
            self.saving.save(result, task, prompts)
        if result.interrupted:
            raise _Reached
