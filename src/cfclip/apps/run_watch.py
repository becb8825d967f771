"""Watching a run of steps from the command line: a bar or lines, and Ctrl-C that ends it whole."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cfclip.apps.console import Console, stop_requests, terms_text

if TYPE_CHECKING:
    from cfclip.training.runs import RunCallback, RunProgress

_NOTE_SECONDS = 30.0


@contextmanager
def watched_run(console: Console, title: str) -> Iterator["RunCallback"]:
    """The callback of a run, which ends it with a checkpoint when the user asks to stop."""
    told = time.monotonic()
    with stop_requests() as asked, console.progress(title) as update:

        def watch(progress: "RunProgress") -> bool:
            nonlocal told
            update(progress)
            if not sys.stderr.isatty() and time.monotonic() - told >= _NOTE_SECONDS:
                told = time.monotonic()
                console.note(progress_line(progress))
            return not asked.is_set()

        yield watch


def progress_line(progress: "RunProgress") -> str:
    """A line for where no bar shows the time left."""
    minutes = progress.seconds_left / 60.0
    left = f", about {minutes:.1f} min left" if minutes else ""
    return f"step {progress.step} of {progress.steps}{left}  {terms_text(progress.terms)}"
