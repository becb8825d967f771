"""`cfclip edit` and `cfclip rerun`."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from cfclip.apps.console import uninterrupted
from cfclip.apps.edit_work import EditWork, Saving, chosen_strengths
from cfclip.apps.options import (
    FAILED,
    OK,
    FaceOptions,
    Images,
    MethodFiles,
    MethodName,
    MethodSettings,
    PackWork,
    Paste,
    PasteOptions,
    Strengths,
    Texts,
    Work,
    as_settings,
    optimisation_options,
)
from cfclip.apps.tasks import Task, check_photos, find_tasks, pictures_and_texts
from cfclip.editing.defaults import make_config
from cfclip.editing.methods import OPTIMISATION, method_named
from cfclip.encoders.projection_config import ProjectionConfig, TuningConfig
from cfclip.photos.face_config import FaceConfig, PasteBack


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

    method: MethodName = OPTIMISATION

    files: MethodFiles = ()

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
    settings: MethodSettings = field(default_factory=optimisation_options)
    projection: ProjectionConfig = field(default_factory=ProjectionConfig)
    tuning: TuningConfig = field(default_factory=TuningConfig)

    def run(self) -> int:
        """Edit each picture; one that fails does not lose the others."""
        from cfclip.embedders.prompts import check_prompt

        method_named(self.method)
        pictures, texts = pictures_and_texts(self.images, self.text, self.out)
        prompts = tuple(check_prompt(text) for text in texts)
        tasks, failures = find_tasks(pictures, self.pack)
        check_photos(tasks, self.face, self.paste.chosen)
        strengths = chosen_strengths(self.strength, self.settings.strength)
        saving = Saving(self, strengths, self.paste.chosen)
        saving.check(tasks, (prompts,))
        return self._work(saving, prompts).run(tasks, failures)

    def _work(self, saving: Saving, prompts: tuple[str, ...]) -> EditWork:
        from cfclip.editing.masks import open_mask

        session = self.open_session()
        if self.mask is not None and not self.face.chosen:
            open_mask(self.mask, session.pack.manifest.resolution)
        measure = None
        if self.identity_network is not None:
            from cfclip.editing.likeness import IdentityMeasure

            measure = IdentityMeasure(self.identity_network, self.device)
        config = replace(as_settings(self.settings), strength=saving.strengths[0])
        method = session.method(self.method, self.files, config, text_map=self.text_map)
        session.check_edit(method, prompts, self.source_text, self.unrealistic_text)
        return EditWork(
            saving,
            (prompts,),
            session,
            method,
            self.face,
            self.projection,
            tuning=self.tuning,
            seed=self.seed,
            mask=self.mask,
            source_text=self.source_text,
            unrealistic_text=self.unrealistic_text,
            measure=measure,
        )


@dataclass(frozen=True)
class RerunEdit(Work):
    """Make an edited image again from its record, bit for bit on the same machine."""

    record: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RECORD")]
    """The JSON file beside an edit."""

    image: Path | None = None
    """Where the source file is now, if not where the record says."""

    mask: Path | None = None
    """Where the mask file is now, if not where the record says."""

    text_map: Path | None = None
    """Where the file of the text map is now, if not where the record says."""

    files: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """Where the files of the method are now, such as a mapper, if not where the record says; in
    their order."""

    pack: str | None = None
    """Name or folder of the pack, if not known by the recorded name."""

    device: str | None = None
    """Where to compute; as recorded if not given."""

    def run(self) -> int:
        """Rerun, save, and tell whether the image is the same."""
        from cfclip.provenance.recorded_edits import read_record

        console = self.console
        record = read_record(self.record)
        strengths = tuple(strength for strength, _ in record.outputs)
        paste = None if record.paste_back is None else make_config(PasteBack, record.paste_back)
        task, saving = Task(self.record, self.record.stem), Saving(self, strengths, paste)
        saving.check([task], [()])
        from cfclip.editing.replay import rerun

        with console.progress(f"{task.name}: editing again") as update:
            again = rerun(
                record.content,
                image=self.image,
                mask=self.mask,
                text_map=self.text_map,
                files=self.files,
                pack=self.pack,
                device=self.device,
                callback=update,
            )
        if again.result.interrupted:
            raise KeyboardInterrupt
        with saving.writing, uninterrupted():
            saving.save(again.result, task, identical=again.identical)
        if again.identical:
            console.note("identical to the recorded image")
            return OK
        reasons = "; ".join(again.differences) or "no difference in versions or machine known"
        console.error(f"the image differs from the recorded one ({reasons})")
        return FAILED
