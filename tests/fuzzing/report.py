"""What is told of many cases: how far they are, which failed, and how each is repeated."""

import re
import shutil
import time
from collections import Counter
from pathlib import Path

from fuzzing.cases import Plan
from fuzzing.runner import Done
from fuzzing.worker import ERRORS, FOLDER, OUT, SEEN

_NOTE_SECONDS = 10.0
_MOST_KEPT = 10
"""Folders of cases with the same problem."""
_DETAIL = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")


class Report:
    """The result of a run.

    Args:
        plan: the cases.
        failures: folder that those which failed are kept in.
        repeat: the command that repeats a case, but for its number.
    """

    def __init__(self, plan: Plan, failures: Path, repeat: str) -> None:
        self._plan = plan
        self._failures = failures
        self._repeat = repeat
        self._began = self._told = time.monotonic()
        self._done = 0
        self._seconds = 0.0
        self._statuses: Counter[tuple[str, int]] = Counter()
        self._problems: Counter[str] = Counter()
        self.failed: list[str] = []
        """A line for each case that failed."""

    def add(self, done: Done, problems: list[str]) -> None:
        """Count a case, and keep it if it failed."""
        self._done += 1
        self._seconds += done.ended.seconds
        start = done.ended.start
        kind = start.case.kind if start else "broken"
        self._statuses["process" if done.real else kind, done.ended.status] += 1
        if problems:
            self._keep(done, problems)
        if time.monotonic() - self._told >= _NOTE_SECONDS:
            self._told = time.monotonic()
            self._note()

    def _keep(self, done: Done, problems: list[str]) -> None:
        start = done.ended.start
        command = start.case.command if start else ""
        about = start.case.about if start else ""
        line = f"case {done.number}: {'; '.join(problems)[:300]} ({about})"
        self.failed.append(f"{line}\n    {command[:300]}")
        print(_plain(f"FAILED {line}\n    {command[:300]}"), flush=True)
        group = _DETAIL.sub("*", problems[0])
        self._problems[group] += 1
        if self._problems[group] > _MOST_KEPT:
            return
        kept = self._failures / str(done.number)
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        for name in (OUT, ERRORS, SEEN):
            if (done.place / name).exists():
                shutil.copyfile(done.place / name, kept / name)
        if (done.place / FOLDER).exists():
            _copy_inputs(done.place / FOLDER, kept / FOLDER)
        text = [
            *problems,
            "",
            f"what is odd: {about}",
            f"in {FOLDER}/: {command}",
            f"again: {self._repeat} ONLY={done.number}",
        ]
        (kept / "README").write_text("\n".join(text) + "\n", "utf-8", "backslashreplace")

    def _note(self) -> None:
        lasted = time.monotonic() - self._began
        left = lasted / self._done * (self._plan.count - self._done)
        print(
            f"{self._done} of {self._plan.count} cases, {len(self.failed)} failed, about "
            f"{left / 60:.1f} min left",
            flush=True,
        )

    def conclude(self) -> None:
        """The summary."""
        seconds = time.monotonic() - self._began
        print(
            f"{self._done} cases in {seconds:.0f} s ({self._seconds:.0f} s of computing), "
            f"seed {self._plan.seed}"
        )
        for kind in sorted({kind for kind, _ in self._statuses}):
            counts = {s: n for (k, s), n in sorted(self._statuses.items()) if k == kind}
            told = ", ".join(f"{count} with status {status}" for status, count in counts.items())
            print(f"  {kind:<9} {sum(counts.values()):6}: {told}")
        for problem, count in self._problems.most_common():
            print(f"  {count:5} x {_plain(problem[:200])}")
        if self.failed:
            print(f"{len(self.failed)} failed; they are in {self._failures}")
        else:
            print("none failed")


def _plain(text: str) -> str:
    """A text that acts on no terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def _copy_inputs(folder: Path, kept: Path) -> None:
    """What a case was run on, and what it left; links as links, no pipes."""

    def left_out(parent: str, names: list[str]) -> set[str]:
        paths = ((name, Path(parent, name)) for name in names)
        return {
            name
            for name, path in paths
            if not (path.is_symlink() or path.is_file() or path.is_dir())
        }

    shutil.copytree(folder, kept, symlinks=True, ignore=left_out)
