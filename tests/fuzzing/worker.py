"""One case in a process of its own, under limits."""

import json
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

from fuzzing.cases import Case, Plan
from fuzzing.command import status_of
from fuzzing.watch import Watch

SECONDS = 5
"""Of computing."""
MEGABYTES = 500
"""Of memory, more than the process had before."""

FOLDER, OUT, ERRORS, SEEN, ABOUT = "folder", "stdout", "stderr", "seen", "about.json"
"""What lies in the place of a case: the folder that it is run in, and what came of it."""


@dataclass(frozen=True)
class Start:
    """What is known of a process when the command begins."""

    case: Case
    seconds: float
    """Of computing, so far."""
    megabytes: float
    """Resident."""

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps({**vars(self), "case": vars(self.case)}))

    @classmethod
    def read(cls, path: Path) -> "Start":
        """From `write`."""
        content = json.loads(path.read_text())
        return cls(**{**content, "case": Case(**content["case"])})


def run_here(plan: Plan, number: int, scene: Path, place: Path) -> int:
    """Make a case and run it in this process, which is good for nothing else afterwards."""
    folder = place / FOLDER
    folder.mkdir(parents=True)
    case = plan.make(number, scene, folder)
    os.chdir(folder)
    _to_files(place)
    os.environ.update(case.variables)
    watch = watch_of(case, folder, scene, place / SEEN)
    fork_workers()
    begin(case, place)
    watch.begin()
    status = status_of(case.arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def watch_of(case: Case, folder: Path, scene: Path, report: Path, imports: bool = False) -> Watch:
    """What watches a case; `imports` as in `Watch`."""
    named = [part for each in case.arguments for part in (each, each.partition("=")[2])]
    named = [*named, *case.variables.values()] if case.named else []
    readable = [Path(each).expanduser() for each in named if each and "\0" not in each]
    works_apart = list(case.arguments[:1]) == ["batch"]
    return Watch(folder, [scene, *readable], report, works_apart, imports)


def begin(case: Case, place: Path, seconds: float = 0.0, megabytes: float = 0.0) -> None:
    """Note what the process has used so far, and limit what it may use.

    `seconds` and `megabytes` are what it still needs before the command begins.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = usage.ru_utime + usage.ru_stime + seconds + case.seconds
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory is that of now
    Start(case, used, _status_megabytes("VmRSS") + megabytes).write(place / ABOUT)
    limit = int(used) + SECONDS + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
    most = int(_status_megabytes("VmData") + megabytes + MEGABYTES) << 20
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _status_megabytes(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/self/status has no {name}")


def _to_files(place: Path) -> None:
    for number, name in ((0, os.devnull), (1, place / OUT), (2, place / ERRORS)):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        opened = os.open(name, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)


def fork_workers() -> None:
    """Let batches fork their workers: no thread is here that could leave a lock in a fork, and a
    new Python takes longer than all the rest of a case."""
    import multiprocessing

    from cfclip.batches import local_engine

    local_engine.get_context = lambda _: multiprocessing.get_context("fork")  # type: ignore
