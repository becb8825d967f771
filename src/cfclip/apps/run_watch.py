"""Watching a run of steps from the command line: how far it is, and Ctrl-C that ends it whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cfclip.apps.console import Console, stop_requests

if TYPE_CHECKING:
    from cfclip.training.runs import RunCallback, RunProgress


@contextmanager
def watched_run(console: Console, title: str) -> Iterator["RunCallback"]:
    """The callback of a run, which ends it with a checkpoint when the user asks to stop."""
    with stop_requests() as asked, console.progress(title) as update:

        def watch(progress: "RunProgress") -> bool:
            update(progress)
            return not asked.is_set()

        yield watch
