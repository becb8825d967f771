"""Rows in a file that survives being killed.

They are appended as lines of JSON, and are on the disk before the next work begins. A last line
that is torn is dropped when the file is opened again.
"""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, Self, TypeVar

from cfclip.errors import failing_to
from cfclip.io import build, named, parse_json, whole_lines
from cfclip.provenance import finite


@dataclass(frozen=True)
class JsonRow(ABC):
    """What is kept as a line."""

    @property
    @abstractmethod
    def key(self) -> Hashable:
        """What the row is known by."""

    def to_json(self) -> str:
        """One line; numbers that are not finite become null."""
        return json.dumps(finite(asdict(self)), allow_nan=False)

    @classmethod
    def from_json(cls, line: str | bytes) -> Self:
        """A row of `to_json`. Raises `FormatError` for any other text."""
        return build(cls, parse_json(line))


Row = TypeVar("Row", bound=JsonRow)


class JsonLog(Generic[Row]):
    """The rows in a file, to read and to add to.

    Args:
        path: made at the first row. Of a file that was being written when its process ended, an
            unfinished last line is cut off.
        kind: of the rows.
        again: what happens without a row, for the error that a damaged one is.

    Raises:
        InputError: a file that cannot be read or mended, or a line before the last that is no row.
    """

    def __init__(self, path: Path, kind: type[Row], again: str) -> None:
        self._path = path
        self._rows: dict[Hashable, Row] = {}
        for number, line in enumerate(whole_lines(path), 1):
            with named(f"{path}:{number}", f"the line is damaged; remove it, and {again}"):
                row = kind.from_json(line)
            self._rows[row.key] = row

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows, each key once: of two rows of the same one the later."""
        return tuple(self._rows.values())

    def __contains__(self, key: Hashable) -> bool:
        return key in self._rows

    def get(self, key: Hashable) -> Row | None:
        """The row of a key, if there is one."""
        return self._rows.get(key)

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows, on the disk when this returns. Raises `InputError` if there is no room.

        What a failed write leaves is cut off again here, or when the file is opened next.
        """
        lines = "".join(row.to_json() + "\n" for row in rows).encode()
        remedy = "the rows before are kept, make room and go on with --resume"
        with failing_to(f"write {self._path}", remedy):
            before = self._path.stat().st_size if self._path.exists() else 0
            with open(self._path, "ab", buffering=0) as stream:
                if stream.write(lines) != len(lines):
                    os.truncate(self._path, before)
                    raise OSError("there is no room for a row")
                os.fsync(stream.fileno())
        self._rows.update((row.key, row) for row in rows)
