"""`cfclip` in a process that is killed at a rename: `python deadly_rename.py COUNT ARGUMENTS`."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tiny_process import TIMEOUT, environment

from cfclip.apps.cli import main


def die_at_rename(count: int) -> None:
    """Kill this process, as by `kill -9`, when it is about to rename a file after `count` others.

    Files appear by renames alone, so that these are the moments that differ.
    """
    rename = os.replace
    left = count

    def replace(source: str | Path, target: str | Path) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        rename(source, target)

    os.replace = replace  # type: ignore[assignment]


def killed_at(count: int, arguments: list[str]) -> None:
    """Run a command that is killed."""
    command = [sys.executable, __file__, str(count), *arguments]
    ran = subprocess.run(
        command, env=environment({}), capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert ran.returncode == -signal.SIGKILL, ran.stdout + ran.stderr


if __name__ == "__main__":
    die_at_rename(int(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
