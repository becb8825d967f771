"""What a benchmark measured, a row for each edit, in a file that survives being killed.

Rows are appended as lines of JSON, and are on the disk before the next edit begins. A last line
that is torn is dropped when the file is opened again.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cfclip.errors import failing_to
from cfclip.io import build, named, parse_json, whole_lines
from cfclip.provenance import finite
from cfclip_benchmark.kept_offsets import KeptOffset

ROWS_FILE = "rows.jsonl"
ORACLE = "oracle"
"""Name of the oracle in rows, beside those of methods."""
Key = tuple[str, str, int]
"""Method, prompt and avatar: what a row is known by."""


@dataclass(frozen=True)
class StrengthScore:
    """An edit rendered at another strength, and read as at its own."""

    strength: float
    """Factor on the edit: 1 is the edit as the method gives it."""
    success: bool | None
    preservation: float
    exact: bool | None


@dataclass(frozen=True)
class MeasuredEdit:
    """One edit of one avatar, measured. docs/BENCHMARK.md explains the measures."""

    method: str
    prompt: str
    family: str
    avatar: int
    success: bool | None
    """None where it cannot be read, whatever the edit did."""
    preservation: float
    lost: tuple[str, ...]
    """The attributes that were not kept."""
    psnr_outside: float | None
    """Decibels against the inverted source outside the true mask."""
    exact: bool | None
    truth_distance: float
    """To the nearest true answer, in probe features."""
    truth_psnr: float
    """Decibels against the nearest true answer."""
    inversion_distance: float
    """Of the inverted source to the avatar that it stands for."""
    inversion_psnr: float
    clip_similarity: float
    """Cosine of picture and prompt by the CLIP that edits are optimised with."""
    judge_similarity: float | None
    """The same by a CLIP that no method sees; None if none was given."""
    seconds: float | None
    """Of the edit; None for what is no edit."""
    peak_memory: float | None
    """MiB; None where it cannot be measured."""
    steps: int
    stop_reason: str
    strengths: tuple[StrengthScore, ...] = ()
    """The same edit weaker and stronger."""
    ruler: int = 1
    """Version of the ruler that read it; rows of the first one do not tell."""
    offset: KeptOffset | None = None
    """What renders it again, so that another ruler can read it; None if nothing does."""

    @property
    def key(self) -> Key:
        """What the row is known by."""
        return self.method, self.prompt, self.avatar

    @property
    def readable(self) -> bool:
        """Whether success can be read."""
        return self.success is not None

    def to_json(self) -> str:
        """One line; numbers that are not finite become null."""
        return json.dumps(finite(asdict(self)), allow_nan=False)

    @classmethod
    def from_json(cls, line: str | bytes) -> "MeasuredEdit":
        """A row of `to_json`. Raises `FormatError` for any other text."""
        return build(cls, parse_json(line))


class RowLog:
    """The rows in a file, to read and to add to.

    Args:
        path: made at the first row. Of a file that was being written when its process ended, an
            unfinished last line is cut off.

    Raises:
        InputError: a file that cannot be read or mended, or a line before the last that is no row.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[Key, MeasuredEdit] = {}
        for number, line in enumerate(whole_lines(path), 1):
            remedy = "the line is damaged; remove it, and its edit is made again"
            with named(f"{path}:{number}", remedy):
                row = MeasuredEdit.from_json(line)
            self._rows[row.key] = row

    @property
    def rows(self) -> tuple[MeasuredEdit, ...]:
        """All rows, each edit once: of two rows for the same edit the later one."""
        return tuple(self._rows.values())

    def __contains__(self, key: Key) -> bool:
        return key in self._rows

    def append(self, rows: Sequence[MeasuredEdit]) -> None:
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
