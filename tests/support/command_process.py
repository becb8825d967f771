"""The command line in processes of their own, at work at the same time, and killed."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable

from tiny_process import environment

TIMEOUT = 240.0
"""Seconds; a busy machine may take its time to start Python."""


class Command:
    """`cfclip ARGUMENTS` in a process of its own, ended at the latest with the `with` block.

    Args:
        arguments: of the command.
        program: runs them; the usual command if not given.
    """

    def __init__(self, arguments: list[str], program: list[str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *(program or ["-m", "cfclip"]), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment({}),
        )

    def __enter__(self) -> "Command":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Until the condition holds; fails if the process ends before."""
        until = time.monotonic() + TIMEOUT
        while not condition():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < until
            time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL, as by a machine that runs out of memory."""
        self.process.kill()
        assert self.process.wait(TIMEOUT) == -signal.SIGKILL
