"""Ctrl-C in the middle of real work, in a process and a terminal of its own."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cfclip.apps.cli import main

pty = pytest.importorskip("pty")

TIMEOUT = 240.0
"""Seconds; a busy machine may take its time to start Python."""
INTERRUPTED = 130


class Terminal:
    """`cfclip` running with a terminal as its stderr."""

    def __init__(self, arguments: list[str], packs: Path) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cfclip", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=slave,
            env={**os.environ, "CFCLIP_PACKS": str(packs), "TERM": "xterm", "COLUMNS": "160"},
        )
        os.close(slave)
        self.said = ""

    def read(self) -> None:
        if not select.select([self.master], [], [], 0.05)[0]:
            return
        try:
            self.said += os.read(self.master, 65536).decode(errors="replace")
        except OSError:  # the other end closed
            time.sleep(0.01)

    def wait_for(self, pattern: str) -> None:
        end = time.monotonic() + TIMEOUT
        while not re.search(pattern, self.said):
            assert time.monotonic() < end, self.said
            assert self.process.poll() is None, self.said
            self.read()

    def press_ctrl_c(self) -> int:
        self.process.send_signal(signal.SIGINT)
        end = time.monotonic() + TIMEOUT
        while self.process.poll() is None:
            assert time.monotonic() < end, self.said
            self.read()
        for _ in range(5):
            self.read()
        os.close(self.master)
        return self.process.returncode


def edit(image: str, out: Path, steps: int) -> list[str]:
    options = f"--pack tiny --steps {steps} --patience 0"
    return ["edit", image, "green hair", "--out", str(out), *options.split()]


@pytest.mark.slow
def test_an_edit_in_progress_is_saved(
    tiny_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    terminal = Terminal(edit("sample:1", out, 100_000), tiny_pack.parent)
    terminal.wait_for("editing")
    # The progress bar tells that a step is done: before, there is nothing to keep.
    terminal.wait_for(r"[1-9]\d*/100000")
    assert terminal.press_ctrl_c() == INTERRUPTED
    assert "interrupted; what it had reached is saved" in terminal.said
    assert "Traceback" not in terminal.said
    record = json.loads((out / "sample-1_green-hair.json").read_text())
    assert record["interrupted"] is True
    assert record["steps"] > 0
    assert len(list(out.iterdir())) == 3
    # What was saved is a result like any other: it can be made again.
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))
    path = str(out / "sample-1_green-hair.json")
    assert main(["rerun", path, "--out", str(tmp_path / "again"), "--quiet"]) == 0
    assert (
        json.loads((tmp_path / "again" / "sample-1_green-hair.json").read_text())["outputs"]
        == (record["outputs"])
    )


@pytest.mark.slow
def test_finished_pictures_are_kept(tiny_pack: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    terminal = Terminal(edit("sample:1-50", out, 30), tiny_pack.parent)
    terminal.wait_for("sample-3: editing")
    assert terminal.press_ctrl_c() == INTERRUPTED
    assert "Traceback" not in terminal.said
    assert "of 50 pictures were finished and are kept" in terminal.said
    finished = sorted(out.glob("*.json"))
    assert len(finished) >= 2
    assert len(list(out.iterdir())) == 3 * len(finished)  # no half results, no temporary files
