"""Files that visitors give: taken from the app's own folder only, and removed at once."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cfclip.errors import InputError

ABANDONED_SECONDS = 600.0
"""Age from which a file that nobody took is removed."""
_LONGEST_NAME = 80


@contextmanager
def taken_upload(data: Any, folder: Path) -> Iterator[tuple[Path, str]]:
    """The path of a file that was just uploaded to `folder`, and what it was called.

    `data` is what the browser says about it, which may be anything. The file is removed after the
    block. Raises `InputError` for what is no file in `folder`.
    """
    path = _path_of(data, folder)
    try:
        yield path, path.name[:_LONGEST_NAME]
    finally:
        path.unlink(missing_ok=True)
        _remove_if_empty(path.parent, folder)


def remove_abandoned(folder: Path, seconds: float = ABANDONED_SECONDS) -> int:
    """Remove files of `folder` that are older than so many seconds; returns how many."""
    oldest = time.time() - seconds
    removed = 0
    for path in list(folder.rglob("*")):
        try:
            if path.is_file() and path.stat().st_mtime <= oldest:
                path.unlink()
                removed += 1
                _remove_if_empty(path.parent, folder)
        except FileNotFoundError:  # taken meanwhile
            continue
    return removed


def _path_of(data: Any, folder: Path) -> Path:
    given = data.get("path") if isinstance(data, Mapping) else None
    try:
        path = Path(given or "").resolve(strict=True)
        inside = path.is_file() and path.is_relative_to(folder.resolve())
    except (OSError, ValueError, TypeError):
        inside = False
    if not inside:
        raise InputError("the picture did not arrive; give it again")
    return path


def _remove_if_empty(place: Path, folder: Path) -> None:
    if place.resolve() != folder.resolve():
        try:
            place.rmdir()
        except OSError:  # another visitor's file of the same content came meanwhile
            return
