"""Worker processes on this machine.

Each worker has the models, and threads of its own. Of the same cores, processes that work on
different pictures make more of them than threads that share each operation (docs/BATCHES.md).
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from types import ModuleType
from typing import Any, Self

from cfclip.batches.row_editing import BatchJob, Outcome
from cfclip.batches.rows import Row
from cfclip.batches.worker import Measure, Ready, Request, Stop, Unable, WorkerAnswer, serve
from cfclip.errors import CfclipError, InputError

_HANDED_OUT = 4
"""Chunks that a worker has at a time: one at hand, and some to go on with, so that it never waits
for a process that has to write, and that other programs may hold up."""
_POLL_SECONDS = 0.2
_MOST_DEATHS = 20
"""Of workers one after another without any row done between, for each worker: they cannot work. A
row that kills takes two, and such rows come together: bad pictures lie in one folder."""
_KILLED = (
    "the worker died over it twice; it was killed, or ran out of memory: give it fewer rows at a "
    "time (--batch), or fewer workers (--workers)"
)


class _Worker:
    """A process at work, as seen from here."""

    def __init__(self, job: BatchJob, prepare: Callable[[], None] | None) -> None:
        # Not forked: a fork of a process with threads, as torch has, may hang.
        context = get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other, job, prepare), daemon=True)
        with _no_program():
            self.process.start()
        other.close()
        self.chunks: deque[Sequence[Row]] = deque()
        """What it was given and has not answered, in order."""

    def send(self, request: Request) -> None:
        with suppress(OSError):  # it died, which shows when it is listened to
            self.connection.send(request)

    def receive(self) -> WorkerAnswer | None:
        """Its next answer; None if it died."""
        try:
            answer: WorkerAnswer = self.connection.recv()
        except (EOFError, OSError):
            return None
        if isinstance(answer, Unable):
            if answer.expected:
                raise InputError(answer.reason)
            raise RuntimeError(f"a worker failed:\n{answer.reason}")
        return answer

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


class LocalEngine:
    """Worker processes, for the time of a `with` block; see `work.Engine`.

    Args:
        job: what is to be done.
        workers: how many, at least 1.
        prepare: called in each worker first; a function of a module, which can be imported there.
    """

    def __init__(
        self, job: BatchJob, workers: int, prepare: Callable[[], None] | None = None
    ) -> None:
        self._job = job
        self._count = workers
        self._prepare = prepare
        self._workers: list[_Worker] = []
        self._deaths = 0

    def __enter__(self) -> Self:
        """Raises `CfclipError` if the workers cannot work."""
        try:
            for _ in range(self._count):
                self._workers.append(self._new_worker())
            for place in range(self._count):
                while not isinstance(self._workers[place].receive(), Ready):
                    self._replace(self._workers[place])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        for worker in self._workers:
            worker.end()
        self._workers = []

    def run(
        self, chunks: Iterator[Sequence[Row]], stopping: Callable[[], bool]
    ) -> Iterator[list[Outcome]]:
        again: deque[Sequence[Row]] = deque()
        suspects: set[str] = set()
        stopped = False
        while True:
            if not stopped and stopping():
                stopped = True
                again.clear()
                for worker in self._workers:
                    # Once: they read no further, and what is full of requests blocks who sends.
                    worker.send(Stop())
                    while len(worker.chunks) > 1:
                        worker.chunks.pop()
            for worker in [] if stopped else list(self._workers):
                if not (worker.chunks or worker.process.is_alive()):
                    worker = self._replace(worker)  # before a row is blamed for it
                while len(worker.chunks) < _HANDED_OUT:
                    chunk = again.popleft() if again else next(chunks, None)
                    if chunk is None:
                        break
                    worker.chunks.append(chunk)
                    worker.send(chunk)
            busy = {worker.connection: worker for worker in self._workers if worker.chunks}
            if not busy:
                return
            for connection in wait(list(busy), _POLL_SECONDS):
                assert isinstance(connection, Connection)
                worker = busy[connection]
                answer = worker.receive()
                if isinstance(answer, list):
                    worker.chunks.popleft()
                    self._deaths = 0
                    yield answer
                elif answer is None and stopped:
                    worker.chunks.clear()
                elif answer is None:
                    failed = _handed_on(worker.chunks, again, suspects)
                    if failed:
                        yield failed
                    self._replace(worker)

    def synthesis_rate(self, seconds: float) -> float:
        for worker in self._workers:
            worker.send(Measure(seconds))
        rates = []
        for worker in self._workers:
            while isinstance(answer := worker.receive(), Ready):
                continue  # it took the place of one that died
            if not isinstance(answer, float):
                raise InputError("a worker died while it was measured; start again")
            rates.append(answer)
        return sum(rates)

    def _replace(self, worker: _Worker) -> _Worker:
        worker.end()
        new = self._workers[self._workers.index(worker)] = self._new_worker()
        self._deaths += 1
        if self._deaths > _MOST_DEATHS * self._count:
            raise CfclipError(
                f"{self._deaths} workers died one after another; there may be too little memory "
                "for so many (--workers)"
            )
        return new

    def _new_worker(self) -> _Worker:
        return _Worker(self._job, self._prepare)


@contextmanager
def _no_program() -> Iterator[None]:
    """Processes that are started do not run the program of this one first.

    They would, to find what it defines. A program that is no more than a call of ours, without a
    look at its `__name__`, would begin anew in each worker, which then never gets to work.
    """
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


def _handed_on(
    chunks: deque[Sequence[Row]], again: deque[Sequence[Row]], suspects: set[str]
) -> list[Outcome]:
    """Hand on what a worker that died had.

    What was at hand goes out again row by row, to find the row that kills; a row that has
    killed alone is given up, and returned.
    """
    at_hand, *later = chunks
    failed = []
    if len(at_hand) == 1 and at_hand[0].name in suspects:
        failed = [Outcome(at_hand[0].name, error=_KILLED)]
    else:
        suspects |= {row.name for row in at_hand}
        again.extend([row] for row in at_hand)
    again.extend(later)
    return failed
