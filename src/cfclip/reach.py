"""Whether anything answers where a file is to be fetched from, told within seconds."""

import queue
import threading
from collections.abc import Callable

from cfclip.errors import reason_of

SECONDS = 2.5
"""Without a network nobody waits longer."""


def why_unreachable(ask: Callable[[], object]) -> str | None:
    """In a few words, why `ask` does not return within `SECONDS`; None if it does.

    It runs in a thread, since looking up a name takes as long as the system wants, whatever limit
    its caller has; one that does not end is left behind.
    """
    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            ask()
        except Exception as error:  # of whatever client asks
            answers.put(reason_of(error))
        else:
            answers.put(None)

    threading.Thread(target=run, daemon=True).start()
    try:
        return answers.get(timeout=SECONDS)
    except queue.Empty:
        return f"no answer within {SECONDS:g} s"
