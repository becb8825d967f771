"""Workers that a row kills, as a lack of memory would, and workers that can be killed."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from cfclip.batches.editing import Outcome, RowEditor
from cfclip.batches.rows import Row

DEADLY = "deadly"
"""Name of the row."""


def prepare() -> None:
    """In a worker: it is killed over a row of that name. Other rows are edited as ever."""
    edit = RowEditor.edit

    def deadly_edit(self: RowEditor, rows: Sequence[Row]) -> list[Outcome]:
        if any(row.name == DEADLY for row in rows):
            os.kill(os.getpid(), signal.SIGKILL)
        return edit(self, rows)

    RowEditor.edit = deadly_edit  # type: ignore[method-assign]


def note_process(folder: Path) -> None:
    """In a worker: leave its process number in a folder."""
    (folder / str(os.getpid())).touch()
