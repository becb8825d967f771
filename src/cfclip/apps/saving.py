"""Saving the edits of a command and telling where they are."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cfclip.apps.console import Console
from cfclip.apps.tasks import Task
from cfclip.apps.writing import Writing
from cfclip.photos.face_config import PasteBack
from cfclip.provenance.output_names import EditFiles

if TYPE_CHECKING:
    from cfclip.editing.results import EditResult
    from cfclip.provenance.stamping import Marking


@dataclass(frozen=True)
class Saving:
    """What holds for all edits of one run of a command."""

    console: Console
    """Where they are told."""
    strengths: tuple[float, ...]
    """Strengths that each is rendered at."""
    writing: Writing
    """What puts them in place."""
    marking: "Marking"
    """What the pictures tell of how they were made."""
    paste: PasteBack | None
    """How each is put back into its photo, if it is."""

    def save(
        self, result: "EditResult", files: EditFiles, task: Task, identical: bool | None = None
    ) -> None:
        """Save the edit of a task and tell where; also if it is `identical` to one recorded before.

        Raises `InputError` as `EditResult.save` and `Writing.together` do.
        """
        with self.writing.together(files.all) as folder:
            result.save(
                folder, files.record.stem, self.strengths, marking=self.marking, paste=self.paste
            )
        for warning in result.warnings:
            self.console.warning(warning, task.name)
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
            "warnings": result.warnings,
            **({} if identical is None else {"identical": identical}),
        }
        self.console.result(content, *map(str, files.all))
        for each in (result.record.get("identity") or {}).get("edited", ()):
            self.console.note(
                f"{task.name}: strength {each['strength']:g} keeps the identity by "
                f"{each['similarity']:.2f}"
            )
