"""`cfclip rerun`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from cfclip.apps.console import uninterrupted
from cfclip.apps.edit_work import Saving
from cfclip.apps.options import FAILED, OK, Work
from cfclip.apps.tasks import Task
from cfclip.editing import make_config
from cfclip.photos import PasteBack


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
        from cfclip.provenance import read_record

        console = self.console
        record = read_record(self.record)
        strengths = tuple(strength for strength, _ in record.outputs)
        paste = None if record.paste_back is None else make_config(PasteBack, record.paste_back)
        task, saving = Task(self.record, self.record.stem), Saving(self, strengths, paste)
        saving.check([task], [()])
        from cfclip.editing import rerun

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
