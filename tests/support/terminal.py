"""A command in a process and a terminal of its own."""

import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_process import environment

pty = pytest.importorskip("pty")
termios = pytest.importorskip("termios")

TIMEOUT = 240.0
"""Seconds; a busy machine may take its time to start Python."""
_SEQUENCES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""By which a terminal is told of colours and of places."""


class Terminal:
    """`cfclip` running with a terminal as its stderr."""

    def __init__(self, arguments: list[str], packs: Path, columns: int = 160) -> None:
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, columns))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cfclip", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=slave,
            env=environment({"CFCLIP_PACKS": str(packs), "TERM": "xterm"}),
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

    def lines(self) -> list[str]:
        """All that stood in a line at some moment, without colours and the like."""
        plain = _SEQUENCES.sub("", self.said)
        return [line.rstrip() for line in re.split("[\r\n]+", plain) if line.strip()]

    def wait_for(self, pattern: str) -> None:
        end = time.monotonic() + TIMEOUT
        while not re.search(pattern, self.said):
            assert time.monotonic() < end, self.said
            assert self.process.poll() is None, self.said
            self.read()

    def press_ctrl_c(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self) -> int:
        """Until the command has ended; its exit status."""
        end = time.monotonic() + TIMEOUT
        while self.process.poll() is None:
            assert time.monotonic() < end, self.said
            self.read()
        for _ in range(5):
            self.read()
        os.close(self.master)
        return self.process.returncode
