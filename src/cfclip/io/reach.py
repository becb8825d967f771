"""Asking a server something, and waiting for it no longer than a person would."""

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

SECONDS = 3.0
"""Without a network nobody waits longer."""

Answer = TypeVar("Answer")


def soon(ask: Callable[[], Answer]) -> Answer:
    """What `ask` returns or raises, but `TimeoutError` after `SECONDS`.

    It runs in a thread, since looking up a name takes as long as the system wants, whatever limit
    its caller has; one that does not end is left behind.
    """
    answers: queue.SimpleQueue[tuple[Answer | None, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((ask(), None))
        except Exception as error:
            answers.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        answer, error = answers.get(timeout=SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer within {SECONDS:g} s") from None
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]  # what `ask` returns may be None
