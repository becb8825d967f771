"""`cfclip edit` and `cfclip rerun`."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from cfclip.apps.console import Console, uninterrupted
from cfclip.apps.options import (
    FAILED,
    INTERRUPTED,
    OK,
    EditOptions,
    EditSettings,
    Images,
    PackWork,
    Strengths,
    Texts,
    Work,
)
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
from cfclip.apps.texts import pictures_and_texts
from cfclip.editing.defaults import make_config
from cfclip.encoders.projection_config import ProjectionConfig, TuningConfig
from cfclip.errors import CfclipError
from cfclip.photos.face_config import FaceConfig, PasteBack
from cfclip.provenance.output_names import EditFiles, edit_files, edit_name

if TYPE_CHECKING:
    from cfclip.editing.likeness import IdentityMeasure
    from cfclip.editing.results import EditResult
    from cfclip.editing.session import Session


@dataclass(frozen=True)
class Edit(PackWork):
    """Change pictures until they show a text.

    Writes per picture the edited PNG, a before/after strip, and a JSON record from which
    `cfclip rerun` makes the same image again.
    """

    images: Images
    """Picture files, folders, patterns such as 'in/*.png', sample:SEED or sample:FIRST-LAST, files
    of latents such as codes.pt or codes.pt:0-9. Of a single picture, its texts may follow it,
    without --text."""

    text: Texts = ()
    """What the pictures shall show. Given several times, all of it together."""

    seed: int = 0
    """Decides every random draw."""

    strength: Strengths = ()
    """Factors on the edit, each rendered to an image of its own from one optimisation; 0 is the
    source, 1 (unless the pack says otherwise) the edit as found."""

    mask: Path | None = None
    """Picture that is white where the edit may change something; painted over the whole photo, if
    a face is cut from it."""

    source_text: str | None = None
    """What the pictures show before the edit; the pack's if not given."""

    unrealistic_text: str | None = None
    """A text of failed pictures, for the logit objective; the pack's if not given."""

    text_map: Path | None = None
    """Linear text map for --start text-map (see `cfclip fit-text-map`); the pack's if not given."""

    identity_network: Path | None = None
    """Weights laid out as model_ir_se50.pth; tells how alike the person still is (1: the same)."""

    face: FaceOptions = field(default_factory=FaceConfig)
    paste: PasteOptions = field(default_factory=Paste)
    settings: EditSettings = field(default_factory=EditOptions)
    projection: ProjectionConfig = field(default_factory=ProjectionConfig)
    tuning: TuningConfig = field(default_factory=TuningConfig)

    def run(self) -> int:
        """Edit each picture; one that fails does not lose the others."""
        from cfclip.embedders.prompts import check_prompt

        pictures, texts = pictures_and_texts(self.images, self.text, self.out)
        prompts = tuple(check_prompt(text) for text in texts)
        tasks, failures = find_tasks(pictures, self.pack)
        check_photos(tasks, self.face, self.paste.chosen)
        strengths = self._strengths()
        pasted = self.paste.chosen is not None
        planned = [
            edit_files(self.out, edit_name(task.name, prompts), strengths, pasted) for task in tasks
        ]
        writing = self.writing()
        check_plan(tasks, [files.all for files in planned], writing)
        saving = Saving(self.console, strengths, writing, self.marking(), self.paste.chosen)
        with writing:
            return self._edit_all(tasks, failures, planned, prompts, saving)

    def _strengths(self) -> tuple[float, ...]:
        given = [strength for group in self.strength for strength in group]
        chosen = tuple(dict.fromkeys(given)) or (self.settings.strength,)
        for strength in chosen:
            replace(self.settings, strength=strength)  # which knows the limits
        return chosen

    def _edit_all(
        self,
        tasks: Sequence[Task],
        failures: list[str],
        planned: Sequence[EditFiles],
        prompts: tuple[str, ...],
        saving: Saving,
    ) -> int:
        from cfclip.editing.session import Session
        from cfclip.editing.sources import open_mask

        console, strengths = saving.console, saving.strengths
        session = Session.open(self.pack, self.device)
        if self.mask is not None and not self.face.chosen:
            open_mask(self.mask, session.pack.manifest.resolution)
        measure = self._identity_measure()
        session.check_edit(
            prompts,
            self.settings.config(),
            self.source_text,
            self.unrealistic_text,
            self.text_map,
        )
        for warning in session.text_warnings(prompts):
            console.warning(warning)
        finished, total = 0, len(tasks) + len(failures)
        for task, files in zip(tasks, planned, strict=True):
            try:
                result = self._edit_one(session, console, task, prompts, strengths[0])
                if result.interrupted and not result.steps:
                    raise KeyboardInterrupt
                with uninterrupted():
                    if measure is not None:
                        result = measure.noted(result, strengths)
                    saving.save(result, files, task)
                if result.interrupted:
                    console.error(interruption(finished, total, "; what it had reached is saved"))
                    return INTERRUPTED
                finished += 1
            except (CfclipError, MemoryError, RuntimeError) as error:
                failures.append(report_failure(console, task, error))
            except KeyboardInterrupt:
                console.error(interruption(finished, total, ""))
                return INTERRUPTED
        return summarise(console, failures, total)

    def _identity_measure(self) -> "IdentityMeasure | None":
        if self.identity_network is None:
            return None
        from cfclip.editing.likeness import IdentityMeasure

        return IdentityMeasure(self.identity_network, self.device)

    def _edit_one(
        self,
        session: "Session",
        console: Console,
        task: Task,
        prompts: tuple[str, ...],
        strength: float,
    ) -> "EditResult":
        from cfclip.editing.sources import open_mask

        label = task.name
        picture = picture_of(task, self.face)
        if self.mask is not None:  # before the work: a photo's mask has to fit it
            open_mask(self.mask, session.pack.manifest.resolution, [picture])
        with console.progress(f"{label}: inverting") as update:
            source = session.invert(picture, self.projection, update)
        if self.tuning.steps:
            from cfclip.editing.tuned_sources import tuned_source

            with console.progress(f"{label}: tuning the generator") as update:
                source = tuned_source(session.pack, source, self.tuning, session.device, update)
        for warning in source.warnings:
            console.warning(warning, label)
        with console.progress(f"{label}: editing") as update:
            return session.edit(
                source,
                prompts,
                self.seed,
                config=replace(self.settings, strength=strength).config(),
                mask=self.mask,
                source_text=self.source_text,
                unrealistic_text=self.unrealistic_text,
                text_map=self.text_map,
                callback=update,
            )


@dataclass(frozen=True)
class Rerun(Work):
    """Make an edited image again from its record, bit for bit on the same machine."""

    record: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RECORD")]
    """The JSON file beside an edit."""

    image: Path | None = None
    """Where the source file is now, if not where the record says."""

    mask: Path | None = None
    """Where the mask file is now, if not where the record says."""

    text_map: Path | None = None
    """Where the file of the text map is now, if not where the record says."""

    pack: str | None = None
    """Name or folder of the pack, if not known by the recorded name."""

    device: str | None = None
    """Where to compute; as recorded if not given."""

    def run(self) -> int:
        """Rerun, save, and tell whether the image is the same."""
        from cfclip.provenance.record import read_record

        console = self.console
        record = read_record(self.record)
        strengths = tuple(strength for strength, _ in record.outputs)
        paste = None if record.paste_back is None else make_config(PasteBack, record.paste_back)
        files = edit_files(self.out, self.record.stem, strengths, paste is not None)
        task = Task(self.record, self.record.stem)
        writing = self.writing()
        check_plan([task], [files.all], writing)
        saving = Saving(console, strengths, writing, self.marking(), paste)
        from cfclip.editing.replay import rerun

        with console.progress(f"{task.name}: editing again") as update:
            again = rerun(
                record.content,
                image=self.image,
                mask=self.mask,
                text_map=self.text_map,
                pack=self.pack,
                device=self.device,
                callback=update,
            )
        if again.result.interrupted:
            raise KeyboardInterrupt
        with writing, uninterrupted():
            saving.save(again.result, files, task, again.identical)
        if again.identical:
            console.note("identical to the recorded image")
            return OK
        reasons = "; ".join(again.differences) or "no difference in versions or machine known"
        console.error(f"the image differs from the recorded one ({reasons})")
        return FAILED
