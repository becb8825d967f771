"""A queue of work with one worker: jobs wait their turn, tell how far they are, and can be stopped.

One at a time, since an edit uses all cores; a second one beside it would slow both down.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from cfclip.errors import CfclipError

Progress = TypeVar("Progress")
Result = TypeVar("Result")


class BusyError(CfclipError):
    """More work is asked for than the app takes at a time."""


class Job(Generic[Progress, Result]):
    """One piece of work. Made by `JobQueue.submit`; its methods may be called from any thread.

    Args:
        work: is given the job, to report progress and to look whether it should stop; what it
            returns is the result.
        seconds: longest time from its start.
    """

    def __init__(
        self, work: "Callable[[Job[Progress, Result]], Result | None]", seconds: float
    ) -> None:
        self._work = work
        self._seconds = seconds
        self._changed = threading.Condition()
        self._news = False
        self._asked = False
        self._deadline: float | None = None
        self.finished = False
        self.progress: Progress | None = None
        """What was reported last."""
        self.result: Result | None = None
        """None until it is finished, and if it was stopped before there was anything."""
        self.error: Exception | None = None
        """What ended it, if not itself."""

    @property
    def started(self) -> bool:
        """Whether its turn has come."""
        return self._deadline is not None

    @property
    def timed_out(self) -> bool:
        """Whether it has had its time."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    @property
    def should_stop(self) -> bool:
        """Whether the work should end with what it has."""
        return self._asked or self.timed_out

    def stop(self) -> None:
        """Ask it to end with what it has; one that waits is finished, and never starts."""
        with self._changed:
            self._asked = True
            self.finished = self.finished or not self.started
            self._tell()

    def report(self, progress: Progress) -> None:
        """Tell those who wait how far it is."""
        with self._changed:
            self.progress = progress
            self._tell()

    def wait(self, seconds: float) -> bool:
        """Wait for news, at most so long; True once it is finished."""
        with self._changed:
            if not (self._news or self.finished):
                self._changed.wait(seconds)
            self._news = False
            return self.finished

    def run(self) -> None:
        """Do the work, unless it was stopped before; called by the worker."""
        with self._changed:
            if self.finished:
                return
            self._deadline = time.monotonic() + self._seconds
        try:
            self.result = self._work(self)
        except Exception as error:  # shown to whoever asked for it; the worker goes on
            self.error = error
        finally:
            with self._changed:
                self.finished = True
                self._tell()

    def _tell(self) -> None:
        self._news = True
        self._changed.notify_all()


class JobQueue:
    """Jobs in the order of their coming.

    Args:
        waiting: how many may wait besides the one that runs.
        seconds: longest time of each.
    """

    def __init__(self, waiting: int, seconds: float) -> None:
        self._most = waiting
        self._seconds = seconds
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._closed = False
        self._worker = threading.Thread(target=self._work, name="cfclip-web-worker", daemon=True)
        self._worker.start()

    def submit(
        self, work: Callable[[Job[Progress, Result]], Result | None]
    ) -> Job[Progress, Result]:
        """Take on some work. Raises `BusyError` if too much is waiting already."""
        job = Job(work, self._seconds)
        with self._changed:
            self._waiting = deque(each for each in self._waiting if not each.finished)
            waiting = len(self._waiting)
            if self._closed or waiting >= self._most:
                raise BusyError(
                    f"busy: {waiting} others are waiting, which is the limit; try again in a minute"
                )
            self._waiting.append(job)
            self._changed.notify_all()
        return job

    def do(self, work: Callable[[], Result]) -> Result:
        """Do short work in its turn, and wait for it.

        In the one thread of the queue: what the C library keeps of freed memory, it keeps for each
        thread. Raises what the work does, and `BusyError` if too much is waiting already.
        """
        job: Job[None, Result] = self.submit(lambda _: work())
        while not job.wait(self._seconds):
            pass
        if job.error is not None:
            raise job.error
        if job.result is None:
            raise BusyError("the app is ending; start it again")
        return job.result

    def ahead(self, job: Job[Progress, Result]) -> int:
        """How many jobs come before a waiting one, the running one included."""
        with self._changed:
            before = 0 if self._running is None else 1
            for each in self._waiting:
                if each is job:
                    return before
                before += not each.finished
            return 0

    def close(self) -> None:
        """Stop all jobs and the worker."""
        with self._changed:
            self._closed = True
            for job in (*self._waiting, *([self._running] if self._running else [])):
                job.stop()
            self._changed.notify_all()
        self._worker.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._running = None
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if not self._waiting:
                    return
                self._running = job = self._waiting.popleft()
            job.run()
            del job  # or the last visitor's pictures would stay until the next one's
