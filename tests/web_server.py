"""`cfclip web` as a process of its own, and what its memory is."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MEGABYTE = 1e6


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


@contextmanager
def served(*arguments: object) -> Iterator[Served]:
    """`cfclip web` with these arguments, on a port that is free; ended as Ctrl-C does."""
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-m", "cfclip", "web", "--port", "0", *map(str, arguments)]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": temporary},
        )
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:"), process.communicate(timeout=60)
            yield Served(url, process, Path(temporary))
        finally:
            process.send_signal(2)
            _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told
        assert "Traceback" not in told, told
        assert "ERROR" not in told, told
        assert list(Path(temporary).glob("cfclip-web-*")) == []
