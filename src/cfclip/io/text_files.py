"""Files of text from outside, read whole or line by line, never more than there is room for.

All functions raise `FormatError` with the path for a file that is none; see `text_formats`.
"""

import csv
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TextIO, TypeVar

from cfclip.errors import reason_of, short_place
from cfclip.io.text_formats import LONGEST_TOML, FormatError, named, parse_json, parse_toml

LONGEST = 32 << 20
"""Characters of a file that is read as a whole; the record of 100,000 steps has 20 million."""
LONGEST_LINE = 1 << 20
"""Characters of a line in a file that is read line by line; the file itself may be of any size."""

_NOT_UTF8 = re.compile("[\udc80-\udcff]")

Value = TypeVar("Value")


def read_text(path: str | Path, longest: int = LONGEST) -> str:
    """The text of a plain file in UTF-8, without a mark at its beginning that says so.

    Raises `FormatError` for a file that is none, is too large or is no text.
    """
    with _opened(path) as stream:
        text = stream.read(longest + 1)
    if len(text) > longest:
        raise FormatError(f"is longer than {longest:,} characters", short_place(path))
    if _NOT_UTF8.search(text):
        raise FormatError("is not UTF-8 text", short_place(path))
    return text


def read_lines(path: str | Path) -> Iterator[tuple[int, str | FormatError]]:
    """The lines of a plain file in UTF-8 by their numbers, or what is wrong with them.

    Raises `FormatError` for a file that is none.
    """
    return _read(path, partial(map, _without_break))


def parse_lines(path: str | Path, parse: Callable[[str], Value]) -> Iterator[tuple[int, Value]]:
    """What `parse` makes of the lines that are not blank, by their numbers.

    Raises `InputError`, naming file and line, where it raises one or a line is no text.
    """
    for number, line in read_lines(path):
        with named(f"{path}:{number}"):
            if isinstance(line, FormatError):
                raise line
            if not line.strip():
                continue
            value = parse(line)
        yield number, value


def read_csv(path: str | Path) -> Iterator[tuple[int, list[str] | FormatError]]:
    """The rows of a file of CSV in UTF-8 by the numbers of their last lines, or what is wrong.

    Raises `FormatError` for a file that is none.
    """
    return _read(path, partial(csv.reader, strict=True))


def _read(
    path: str | Path, reader_of: Callable[[Iterable[str]], Iterator[Value]]
) -> Iterator[tuple[int, Value | FormatError]]:
    with _opened(path) as stream:
        lines = _Lines(stream)
        reader = reader_of(lines)
        while True:
            row: Value | FormatError
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                row = FormatError(f"is not CSV ({reason_of(error)})")
            except FormatError as error:
                row = error
            yield lines.number, row


def _without_break(line: str) -> str:
    return line.rstrip("\r\n")


def read_json(path: str | Path, longest: int = LONGEST) -> Any:
    """What is in a file of JSON. Raises as `read_text` and `parse_json` do."""
    return _in_file(parse_json, path, longest)


def read_toml(path: str | Path, longest: int = LONGEST_TOML) -> dict[str, Any]:
    """What is in a file of TOML. Raises as `read_text` and `parse_toml` do."""
    return _in_file(parse_toml, path, longest)


class _Lines:
    """The lines of a stream, for readers that can go on after a bad one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.number = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._stream.readline(LONGEST_LINE + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > LONGEST_LINE:
            while line and not line.endswith(("\n", "\r")):
                line = self._stream.readline(LONGEST_LINE)
            raise FormatError(f"is longer than {LONGEST_LINE:,} characters")
        if _NOT_UTF8.search(line):
            raise FormatError("is not UTF-8 text")
        if "\0" in line:
            raise FormatError("has the character U+0000")
        return line


@contextmanager
def _opened(path: str | Path) -> Iterator[TextIO]:
    """A plain file, whose bytes that are not UTF-8 become characters that `_NOT_UTF8` finds."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # reading a pipe or a device may never end
            raise FormatError("cannot read it (it is no plain file)", short_place(path))
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            yield stream
    except (OSError, ValueError) as error:  # ValueError: no name of a file
        raise FormatError(f"cannot read it ({reason_of(error)})", short_place(path)) from error


def _in_file(parse: Callable[[str], Value], path: str | Path, longest: int) -> Value:
    text = read_text(path, longest)
    try:
        return parse(text)
    except FormatError as error:
        raise FormatError(error.problem, short_place(path)) from error
