"""`cfclip apply`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from cfclip.apps.console import Console, uninterrupted
from cfclip.apps.options import INTERRUPTED, Images, PackWork, Strengths, Texts
from cfclip.apps.photos import FaceOptions, Paste, PasteOptions, check_photos, picture_of
from cfclip.apps.saving import Saving
from cfclip.apps.tasks import (
    Task,
    check_plan,
    find_tasks,
    interruption,
    report_failure,
    summarise,
)
from cfclip.apps.texts import check_texts
from cfclip.encoders.projection_config import ProjectionConfig
from cfclip.errors import CfclipError
from cfclip.photos.face_config import FaceConfig
from cfclip.provenance.output_names import EditFiles, edit_files, edit_name
from cfclip.settings import MOST_AT_ONCE, check_number

if TYPE_CHECKING:
    from cfclip.editing.mappers import PackMapper
    from cfclip.editing.session import Session
    from cfclip.editing.sources import Source


@dataclass(frozen=True)
class Count:
    """How many pictures are done."""

    step: int
    steps: int
    terms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Apply(PackWork):
    """Change pictures with a trained text mapper, each in one pass.

    Writes per picture and text the edited PNG, a before/after strip, and a JSON record.
    """

    run_or_file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Folder of a training, whose best mapper is taken, or the file of a mapper; also a checkpoint
    of CF-CLIP or StyleCLIP for the pack's models."""

    images: Images
    """Picture files, folders, patterns such as 'in/*.png', sample:SEED or sample:FIRST-LAST, files
    of latents such as codes.pt or codes.pt:0-9."""

    out: Path = field(default=Path("applied"), kw_only=True)
    """Folder for the results; made if needed."""

    text: Texts = ()
    """What the pictures shall show, if the mapper was trained for several texts. Given several
    times, an edit for each."""

    all_texts: bool = False
    """An edit for each text that the mapper was trained for."""

    strength: Strengths = ()
    """Factors on the edit, each rendered to an image of its own; 0 is the source, 1 the edit."""

    batch: int = 16
    """Pictures that are edited at a time, at most; of 512 px up to 4, of 1024 px one."""

    face: FaceOptions = field(default_factory=FaceConfig)
    paste: PasteOptions = field(default_factory=Paste)
    projection: ProjectionConfig = field(default_factory=ProjectionConfig)

    def run(self) -> int:
        """Edit all pictures; those that fail are named at the end and lose no others."""
        check_number("batch", self.batch, 1, MOST_AT_ONCE)
        check_texts(self.text)
        tasks, failures = find_tasks(self.images, self.pack)
        check_photos(tasks, self.face, self.paste.chosen)

        from cfclip.editing.mappers import open_mapper
        from cfclip.editing.session import Session
        from cfclip.editors.optimisation_config import LatentOptimisationConfig

        strengths = tuple(dict.fromkeys(s for group in self.strength for s in group)) or (1.0,)
        for strength in strengths:
            LatentOptimisationConfig(strength=strength)  # which knows the limits
        session = Session.open(self.pack, self.device)
        mapper = open_mapper(session.pack, self.run_or_file, session.device)
        prompts = mapper.choose(self.text, self.all_texts)
        session.embedder.text_features(prompts)  # which refuses what it cannot read
        work = _Work(session, mapper, prompts, strengths, self)
        check_plan(tasks, [f.all for task in tasks for f in work.files(task)], work.writing)
        for warning in (*session.text_warnings(prompts), *mapper.warnings(prompts)):
            work.console.warning(warning)
        with work.writing:
            return work.do(tasks, failures)


class _Work:
    """The pictures of one command, inverted one by one and edited in batches."""

    def __init__(
        self,
        session: "Session",
        mapper: "PackMapper",
        prompts: tuple[str, ...],
        strengths: tuple[float, ...],
        options: Apply,
    ) -> None:
        self.console: Console = options.console
        self._session = session
        self._mapper = mapper
        self._prompts = prompts
        self._options = options
        self.writing = options.writing()
        self._saving = Saving(
            self.console, strengths, self.writing, options.marking(), options.paste.chosen
        )

    def files(self, task: Task) -> list[EditFiles]:
        """What is written of a picture, for each prompt."""
        out = self._options.out
        names = [edit_name(task.name, (prompt,)) for prompt in self._prompts]
        saving = self._saving
        pasted = saving.paste is not None
        return [edit_files(out, name, saving.strengths, pasted) for name in names]

    def do(self, tasks: Sequence[Task], failures: list[str]) -> int:
        """All of it; returns the exit status."""
        total = len(tasks) + len(failures)
        finished = 0
        waiting: list[tuple[Task, Source]] = []
        try:
            with self.console.progress(self._options.out.name or "applying") as update:
                for done, task in enumerate(tasks, 1):
                    source = self._invert(task, failures)
                    if source is not None:
                        waiting.append((task, source))
                    # The last batch is as small as it has to be.
                    if len(waiting) == self._options.batch or (waiting and done == len(tasks)):
                        finished += self._edit(waiting, failures)
                        waiting = []
                    update(Count(done, len(tasks)))
        except KeyboardInterrupt:
            self.console.error(interruption(finished, total, ""))
            return INTERRUPTED
        return summarise(self.console, failures, total)

    def _invert(self, task: Task, failures: list[str]) -> "Source | None":
        try:
            picture = picture_of(task, self._options.face)
            source = self._session.invert(picture, self._options.projection)
        except (CfclipError, MemoryError, RuntimeError) as error:
            failures.append(report_failure(self.console, task, error))
            return None
        for warning in source.warnings:
            self.console.warning(warning, task.name)
        return source

    def _edit(self, waiting: Sequence[tuple[Task, "Source"]], failures: list[str]) -> int:
        """Edit and save some pictures by every prompt; returns how many came through whole."""
        failed: dict[Task, str] = {}
        sources = [source for _, source in waiting]
        for index, prompt in enumerate(self._prompts):
            try:
                results = self._session.apply(
                    self._mapper, sources, prompt, self._saving.strengths[0], batch=len(sources)
                )
            except (CfclipError, MemoryError, RuntimeError) as error:
                failed |= {task: report_failure(self.console, task, error) for task, _ in waiting}
                break
            for (task, _), result in zip(waiting, results, strict=True):
                if task in failed:
                    continue
                try:
                    with uninterrupted():
                        self._saving.save(result, self.files(task)[index], task)
                except (CfclipError, MemoryError, RuntimeError) as error:
                    failed[task] = report_failure(self.console, task, error)
        failures += failed.values()
        return len(waiting) - len(failed)
