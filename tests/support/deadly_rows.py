"""Workers that a row kills, as a lack of memory would, and workers that can be killed."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from cfclip.batches import Row
from cfclip.batches.row_editing import Outcome, RowEditor

DEADLY = "deadly"
"""Start of the names of such rows."""


def prepare() -> None:
    """In a worker: it is killed over a row called so. Other rows are edited as ever."""
    edit = RowEditor.edit

    def deadly_edit(self: RowEditor, rows: Sequence[Row]) -> list[Outcome]:
        if any(row.name.startswith(DEADLY) for row in rows):
            os.kill(os.getpid(), signal.SIGKILL)
        return edit(self, rows)

    RowEditor.edit = deadly_edit  # type: ignore[method-assign]


def take_long() -> None:
    """In a worker: a row takes seconds, and its picture fills every pipe."""

    def long_edit(self: RowEditor, rows: Sequence[Row]) -> list[Outcome]:
        time.sleep(2.0)
        return [Outcome(row.name, bytes(10**6)) for row in rows]

    RowEditor.edit = long_edit  # type: ignore[method-assign]


def note_process(folder: Path) -> None:
    """In a worker: leave its process number in a folder."""
    (folder / str(os.getpid())).touch()
