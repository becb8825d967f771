"""A thousand malformed inputs through the command line; and that what is wrong would be seen."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fuzzing.cases import Case, Plan
from fuzzing.verdict import Ended, problems_of
from fuzzing.watch import Watch
from fuzzing.worker import Start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits processes as Linux does")

ROOT = Path(__file__).parents[2]
CASES, PROCESSES, SEED = 1000, 4, 0
REFUSED = Ended(
    start=Start(Case("texts", "", ["inspect", "a.png"]), seconds=1.0, megabytes=300.0),
    status=2,
    hung=False,
    seconds=1.5,
    megabytes=320.0,
    out="",
    errors="cfclip: error: a.png is not a picture\n",
    seen="",
)


@pytest.mark.slow
def test_no_malformed_input_does_harm(tmp_path: Path) -> None:
    # As `make fuzz` says; whatever else Python's own path has is installed.
    (path,) = re.findall(r"PYTHONPATH=(\S+) .* -m fuzzing", (ROOT / "Makefile").read_text())
    counts = ["--cases", str(CASES), "--processes", str(PROCESSES), "--seed", str(SEED)]
    run = subprocess.run(
        [sys.executable, "-m", "fuzzing", *counts, "--out", tmp_path],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{path}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-2000:]
    assert f"{CASES} cases in " in run.stdout


def test_a_refusal_is_all_right() -> None:
    assert problems_of(REFUSED) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"status": 1}, "ends with status 1"),
        ({"status": -11}, "ends with status -11"),
        ({"hung": True, "status": -9}, "hangs"),
        ({"seconds": 6.1}, "takes more than 5 s"),
        ({"megabytes": 801.0}, "takes more than 500 MB"),
        ({"errors": "cfclip: error: not enough memory; ask for less\n"}, "asks for more"),
        ({"errors": ""}, "no line tells the error"),
        (
            {"status": 1, "errors": "Traceback (most recent call last):\n  a\nKeyError: 1\n"},
            "KeyError: 1",
        ),
        ({"errors": "cfclip: error: \x1b[2J\n"}, "control characters on stderr"),
        ({"errors": "cfclip: error: \u202e\n"}, "control characters on stderr"),
        ({"out": "a\x9b2J\n"}, "control characters on stdout"),
        ({"errors": f"cfclip: error: {'a' * 600}\n"}, "a long line on stderr"),
        ({"errors": "cfclip: error: a\n" * 200}, "many lines on stderr"),
        ({"errors": "cfclip: error: a\n/a/b.py:1: UserWarning: c\n"}, "a warning of Python"),
        ({"seen": "read '/etc/passwd'\n"}, "read '/etc/passwd'"),
        ({"seen": "network socket.getaddrinfo ('a', 80)\n"}, "network"),
        ({"start": None, "errors": "KeyError"}, "could not be made"),
    ],
)
def test_what_is_wrong_is_told(changes: dict[str, object], problem: str) -> None:
    (found,) = problems_of(replace(REFUSED, **changes))  # type: ignore[arg-type]
    assert problem in found


def seen(folder: Path, deed: Callable[[], object]) -> str:
    """What a watch tells of a deed in a process of its own."""
    report = folder.with_name("seen")
    process = os.fork()
    if not process:
        status = 1
        try:
            Watch(folder, [], report, works_apart=False).begin()
            try:
                deed()
            except OSError:
                status = 0  # prevented
            else:
                status = 2
        finally:
            os._exit(status)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) != 1
    return report.read_text()


@pytest.mark.parametrize(
    ("deed", "line"),
    [
        (lambda: Path("/etc/passwd").read_text(), "read '/etc/passwd'"),
        (lambda: Path("../other/a").write_text("a"), "write '../other/a' (open)"),
        (lambda: os.open("/outside", os.O_CREAT | os.O_WRONLY), "write '/outside' (open)"),
        (lambda: os.mkdir("/outside"), "write '/outside' (os.mkdir)"),
        (lambda: os.rename("inside", "/outside"), "write '/outside' (os.rename)"),
        (lambda: os.remove("/outside"), "write '/outside' (os.remove)"),
        (lambda: os.rmdir("../.."), "write '../..' (os.rmdir)"),
        (lambda: socket.create_connection(("127.0.0.1", 9), 1), "network socket.getaddrinfo"),
        (lambda: os.system("true"), "process os.system"),
        (lambda: exec("1"), "code compile by test_fuzzing"),
    ],
)
def test_what_a_process_does_is_seen(
    deed: Callable[[], object], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert line.replace("test_fuzzing", __name__) in seen(folder, deed)
    assert not Path("/outside").exists()


def test_what_belongs_to_a_case_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def deed() -> None:
        Path("a").write_text("a")
        Path("a").rename("b")
        Path("b").read_text()
        Path("link").symlink_to("/dev/zero")
        Path("b").replace("link")
        Path("link").unlink()
        Path("/proc/self/status").read_text()
        Path(os.__file__).read_text()

    assert seen(folder, deed) == ""


def test_cases_are_spread_over_all_kinds_and_the_same_again() -> None:
    plan = Plan(seed=0, count=1000, hostile=[f"{n}.pt" for n in range(130)])
    kinds = [plan.kind_of(number) for number in range(plan.count)]
    counts = {kind: kinds.count(kind) for kind in set(kinds)}
    assert counts["hostile"] == 50
    assert min(counts["weights"], counts["texts"], counts["pictures"], counts["options"]) > 100
    assert kinds == [plan.kind_of(number) for number in range(plan.count)]
    many = Plan(seed=0, count=10_000, hostile=plan.hostile)
    assert sum(many.kind_of(number) == "hostile" for number in range(10_000)) == 130
