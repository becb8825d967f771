"""A folder for files that exist for a moment, and whatever end the process has, not for long."""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "cfclip-web-"
_NAME = re.compile(_PREFIX + r"(\d{1,9})-\w+")


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder of this process, removed afterwards.

    Those of processes that were killed before they could remove theirs are removed first.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if _is_left(left):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-") as folder:
        yield Path(folder)


def _is_left(folder: Path) -> bool:
    """Whether it is a folder of ours whose process is gone."""
    match = _NAME.fullmatch(folder.name)
    if match is None or sys.platform == "win32":
        return False
    try:
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            return False
        os.kill(int(match[1]), 0)  # asks, and sends nothing
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
