"""A worker process: reads chunks of rows from its connection and writes what became of them.

What comes and goes is pickled by `multiprocessing`, between processes of one program only.
"""

import gc
import os
import queue
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TypeAlias

from cfclip.batches.row_editing import BatchJob, Outcome, RowEditor
from cfclip.batches.rows import Row
from cfclip.errors import CfclipError


@dataclass(frozen=True)
class Ready:
    """The models are loaded."""


@dataclass(frozen=True)
class Measure:
    """Asks how fast the generator alone is."""

    seconds: float


@dataclass(frozen=True)
class Stop:
    """Asks to drop what has not been begun, and end."""


@dataclass(frozen=True)
class Unable:
    """The worker cannot work."""

    reason: str
    expected: bool
    """Whether it is an error of the user's making; otherwise the reason is a traceback."""


Request: TypeAlias = Sequence[Row] | Measure | Stop
WorkerAnswer: TypeAlias = list[Outcome] | float | Ready | Unable


def serve(connection: Connection, job: BatchJob, prepare: Callable[[], None] | None) -> None:
    """Work until asked to stop, or until the process at the other end is gone.

    Args:
        connection: requests in, answers out, each request answered in its order.
        job: what is to be done.
        prepare: called first, to set up this process.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        # Ctrl-C, and what ends all processes of a group, are for the process at the other end.
        signal.signal(number, signal.SIG_IGN)
    requests: queue.SimpleQueue[Sequence[Row] | Measure | None] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, requests), daemon=True).start()
    try:
        if prepare is not None:
            prepare()
        editor = RowEditor(job)
        # What is loaded stays to the end; the collector need not look through it over and over.
        gc.freeze()
        connection.send(Ready())
        while (request := requests.get()) is not None:
            if isinstance(request, Measure):
                connection.send(editor.synthesis_rate(request.seconds))
            else:
                connection.send(editor.edit(request))
    except CfclipError as error:
        connection.send(Unable(str(error), expected=True))
    except BrokenPipeError:
        return
    except Exception:
        connection.send(Unable(traceback.format_exc(), expected=False))


def _receive(
    connection: Connection, requests: "queue.SimpleQueue[Sequence[Row] | Measure | None]"
) -> None:
    """Take requests in as they come, so that who sends them never waits."""
    while True:
        try:
            request: Request = connection.recv()
        except (EOFError, OSError):
            os._exit(0)  # nobody is left to work for; what was at hand is of no use
        if isinstance(request, Stop):
            while not requests.empty():
                requests.get()
            requests.put(None)
            return
        requests.put(request)
