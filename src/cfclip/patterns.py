"""Patterns of file names, such as 'in/**/*.png', where the shell has not filled them in."""

import glob
from collections.abc import Sequence
from pathlib import Path

from cfclip.errors import InputError


def is_pattern(given: str) -> bool:
    """Whether a text stands for names of files and is none itself."""
    return glob.has_magic(given) and not Path(given).exists()


def matching_files(pattern: str, suffixes: Sequence[str]) -> list[Path]:
    """The files with one of these suffixes that a pattern fits, sorted; "**" is any folders.

    Raises `InputError` if there are none.
    """
    found = sorted(Path(path) for path in glob.glob(pattern, recursive=True))
    files = [path for path in found if path.suffix.lower() in suffixes and path.is_file()]
    if not files:
        raise InputError(f"nothing that can be edited is at {pattern!r} ({', '.join(suffixes)})")
    return files
