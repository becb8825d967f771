"""`cfclip web` as a process of its own, and what its memory is."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MEGABYTE = 1e6
_MOST_SAID = 2000
"""Characters on stderr, whatever visitors do."""


@dataclass(frozen=True)
class Served:
    """A running app."""

    url: str
    process: subprocess.Popen[str]
    temporary: Path
    """Folder in which it makes its temporary ones."""

    def resident_megabytes(self) -> float:
        """Memory that the process holds by now."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * _PAGE_BYTES / _MEGABYTE

    def peak_megabytes(self) -> float:
        """The most memory that it held."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        return int(fields["VmHWM"].split()[0]) * 1024 / _MEGABYTE


@contextmanager
def served(
    *arguments: object, end: int = signal.SIGINT, temporary: Path | None = None
) -> Iterator[Served]:
    """`cfclip web` with these arguments, on a port that is free; ended as Ctrl-C does, if with no
    other signal. It makes its temporary files in a folder of its own, or in `temporary`."""
    with tempfile.TemporaryDirectory() as own:
        temporary = temporary or Path(own)
        command = [sys.executable, "-m", "cfclip", "web", "--port", "0", *map(str, arguments)]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(temporary)},
        )
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:"), process.communicate(timeout=60)
            yield Served(url, process, temporary)
        finally:
            process.send_signal(end)
            _, told = process.communicate(timeout=120)
        assert len(told) < _MOST_SAID, told[:_MOST_SAID]
        assert "Traceback" not in told, told
        assert "ERROR" not in told, told
        if end != signal.SIGKILL:
            assert process.returncode == 0, told
            assert list(temporary.glob("cfclip-web-*")) == []
