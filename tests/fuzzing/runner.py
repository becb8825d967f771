"""Running cases side by side, each in a fork of this process or in a process of its own."""

import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fuzzing import real_process
from fuzzing.cases import Plan
from fuzzing.verdict import Ended
from fuzzing.worker import ABOUT, ERRORS, OUT, SEEN, Start, run_here

_PATIENCE = 5.0
"""Seconds without any computing after which a case hangs. What one may compute, the system limits;
how long that takes depends on what else the machine does."""
_LOOK_SECONDS = 0.25
_STOPPED_AFTER = 2.0
"""Seconds after which a command that was asked for much is interrupted, as by Ctrl-C."""
_POLL_SECONDS = 0.003
_MOST_TEXT = 3_000_000
_BROKEN = 70


@dataclass
class _Running:
    number: int
    process: int
    place: Path
    began: float
    looked: float
    """When its computing was looked at."""
    moved: float
    """When it was last seen to compute, or to wait for its turn."""
    computed: int = 0
    interrupted: bool = False
    hung: bool = False


@dataclass(frozen=True)
class Done:
    """A case that was run."""

    number: int
    place: Path
    """Its folder and all that came of it, until the next case is asked for."""
    real: bool
    """Whether it was a process of its own."""
    ended: Ended


class Runner:
    """Cases, run.

    Args:
        plan: what they are.
        scene: the files that they are made from.
        work: an empty folder for their places.
        lanes: how many are run at a time.
        is_real: whether a case is run as a new process of Python.
    """

    def __init__(
        self, plan: Plan, scene: Path, work: Path, lanes: int, is_real: Callable[[int], bool]
    ) -> None:
        self._plan = plan
        self._scene = scene
        self._work = work
        self._lanes = lanes
        self._is_real = is_real

    def run(self, numbers: Iterable[int]) -> Iterator[Done]:
        """All cases of these numbers, as they end."""
        waiting = iter(numbers)
        running: list[_Running] = []
        exhausted = False
        try:
            while running or not exhausted:
                while len(running) < self._lanes and not exhausted:
                    number = next(waiting, None)
                    if number is None:
                        exhausted = True
                    else:
                        running.append(self._begin(number))
                for each in list(running):
                    ended = self._look(each)
                    if ended is not None:
                        running.remove(each)
                        yield Done(each.number, each.place, self._is_real(each.number), ended)
                        shutil.rmtree(each.place, ignore_errors=True)
                time.sleep(_POLL_SECONDS)
        finally:
            for each in running:
                _kill(each.process)
                os.waitpid(each.process, 0)

    def _begin(self, number: int) -> _Running:
        place = self._work / str(number)
        place.mkdir()
        sys.stdout.flush()
        sys.stderr.flush()
        process = os.fork()
        if not process:
            status = _BROKEN
            try:
                os.setsid()
                run = real_process.run_anew if self._is_real(number) else run_here
                status = run(self._plan, number, self._scene, place)
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(status)
        now = time.monotonic()
        return _Running(number, process, place, now, now, now)

    def _look(self, running: _Running) -> Ended | None:
        process, status, usage = os.wait4(running.process, os.WNOHANG)
        if not process:
            self._watch(running)
            return None
        _kill(running.process)  # children that it left
        start = None
        if (about := running.place / ABOUT).exists():
            start = Start.read(about)
        code = os.waitstatus_to_exitcode(status)
        return Ended(
            start=start,
            status=code,
            hung=running.hung or code == -signal.SIGXCPU,
            seconds=usage.ru_utime + usage.ru_stime,
            megabytes=usage.ru_maxrss / 1024,
            out=_text(running.place / OUT),
            errors=_text(running.place / ERRORS),
            seen=_text(running.place / SEEN),
        )

    def _watch(self, running: _Running) -> None:
        """Interrupt what was asked for much, kill what hangs."""
        now = time.monotonic()
        if now - running.looked < _LOOK_SECONDS:
            return
        running.looked = now
        asked_long_ago = now - running.began > _STOPPED_AFTER
        if asked_long_ago and not running.interrupted and _waits(running.place):
            running.interrupted = True
            os.kill(running.process, signal.SIGINT)
        computed, waits_for_turn = _computing(running.process)
        if waits_for_turn or computed != running.computed:
            running.computed, running.moved = computed, now
        if now - running.moved > _PATIENCE:
            running.hung = True
            _kill(running.process)


def _computing(session: int) -> tuple[int, bool]:
    """Ticks that the processes of a session have computed, and whether one could go on now."""
    ticks, runnable = 0, False
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            with open(f"/proc/{entry.name}/stat", "rb") as stream:
                fields = stream.read().rpartition(b")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[3]) == session:
            ticks += int(fields[11]) + int(fields[12])
            runnable |= fields[0] == b"R"
    return ticks, runnable


def _waits(place: Path) -> bool:
    try:
        return Start.read(place / ABOUT).case.waits
    except (OSError, ValueError):
        return False


def _kill(process: int) -> None:
    try:
        os.killpg(process, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _text(path: Path) -> str:
    try:
        with open(path, "rb") as stream:
            return stream.read(_MOST_TEXT).decode("utf-8", "surrogateescape")
    except OSError:
        return ""
