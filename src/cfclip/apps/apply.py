"""`cfclip apply`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from cfclip.apps.edit_work import EditWork, Saving
from cfclip.apps.options import (
    FaceOptions,
    FastOption,
    Images,
    PackWork,
    Paste,
    PasteOptions,
    Strengths,
    Texts,
    chosen_strengths,
)
from cfclip.apps.tasks import check_photos, check_texts, find_tasks
from cfclip.editing import MAPPER
from cfclip.encoders import ProjectionConfig
from cfclip.photos import FaceConfig
from cfclip.settings import MOST_AT_ONCE, check_number


@dataclass(frozen=True)
class Apply(PackWork, FastOption):
    """Change pictures with a trained text mapper, each in one pass: `cfclip edit --method mapper`,
    for any number of texts.

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

        strengths = chosen_strengths(self.strength)
        session = self.open_session()
        method = session.method(MAPPER, [self.run_or_file], strength=strengths[0])
        edits = tuple((prompt,) for prompt in method.choose(self.text, self.all_texts))
        for prompts in edits:
            session.check_edit(method, prompts)
        saving = Saving(self, strengths, self.paste.chosen)
        saving.check(tasks, edits)
        work = EditWork(
            saving, edits, session, method, self.face, self.projection, batch=self.batch
        )
        return work.run(tasks, failures)
