"""The folder of a benchmark, and what it says it is a benchmark of.

bench.json        settings, hashes and versions: what rows of one folder have in common
rows.jsonl        a row for each edit
avatars/          the avatars, as rendered
truths/           the typical true answers that the oracle inverts
inversions/       of the avatars
pictures/METHOD/  the edits
"""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from cfclip.editing import newer_settings
from cfclip.errors import InputError, failing_to
from cfclip.io import alone_in, field_of, named, parse_json, read_json, remove_partials, write_whole
from cfclip.provenance import differences, write_json
from cfclip.settings import completed
from cfclip_benchmark.measured_edits import ROWS_FILE, RowLog

DESCRIPTION_FILE = "bench.json"
_METHODS = "methods"
_RULER = "ruler"
_FIRST_RULER = 1  # of folders that do not tell


@dataclass(frozen=True)
class BenchmarkFolder:
    """Where a benchmark is kept."""

    path: Path

    @property
    def rows(self) -> Path:
        """The file of rows."""
        return self.path / ROWS_FILE

    def avatar(self, number: int) -> Path:
        """An avatar, rendered."""
        return self.path / "avatars" / f"{number:03d}.png"

    def inverted(self, number: int) -> Path:
        """What the generator makes of its inversion."""
        return self.path / "inverted" / f"{number:03d}.png"

    @property
    def inversions(self) -> Path:
        """Latents of avatars."""
        return self.path / "inversions"

    def truth(self, case_name: str) -> Path:
        """The rendered true answer of a case."""
        return self.path / "truths" / f"{case_name}.png"

    def picture(self, method: str, case_name: str) -> Path:
        """The edited picture of a row."""
        return self.path / "pictures" / method / f"{case_name}.png"

    def open_picture(self, path: Path) -> Image.Image:
        """One of its pictures, RGB. Raises `InputError` if it is missing or damaged."""
        with failing_to(f"read {path}", "--resume makes it again"), Image.open(path) as picture:
            return picture.convert("RGB")

    def write(self, name: str, text: str) -> Path:
        """Write a file, whole or not at all; returns its path. Raises `InputError` if it cannot."""
        path = self.path / name
        write_whole(path, text.encode())
        return path

    def alone(self) -> AbstractContextManager[None]:
        """No other process works in the folder, which is made; see `files.alone_in`."""
        return alone_in(self.path)

    def claim(self, description: Mapping[str, Any], resume: bool, reads_anew: bool = False) -> None:
        """Make the folder, or check that it is one of the same benchmark.

        Methods may come and go from run to run; one that was there before must be the same.

        Args:
            description: what decides the rows, as JSON values; "methods" by name.
            resume: whether the folder may have been begun.
            reads_anew: whether the rows are measured edits that `rescoring` reads anew; the ruler
                may then be another if every row keeps its offset.

        Raises:
            InputError: a folder that was begun and is not to be resumed, or is of something else
                (every difference is named), or of another ruler with a row without an offset, or
                that another process works in, or that cannot be written.
        """
        wanted: dict[str, Any] = parse_json(json.dumps(description))
        file = self.path / DESCRIPTION_FILE
        with self.alone():
            remove_partials(self.path)
            if file.exists():
                if not resume:
                    raise InputError(
                        f"{self.path} holds a benchmark already; go on with it (--resume), or "
                        "choose another --out"
                    )
                begun = self.description()
                ruler = begun.get(_RULER, _FIRST_RULER)
                if reads_anew:
                    begun[_RULER] = wanted[_RULER]
                common = begun[_METHODS].keys() & wanted[_METHODS].keys()
                if differing := differences(
                    _of_methods(begun, common), _of_methods(wanted, common)
                ):
                    raise InputError(
                        f"{self.path} was begun with another {', '.join(differing)}; choose "
                        "another --out, or go on as it was begun"
                    )
                if reads_anew and wanted[_RULER] != ruler:
                    self._check_offsets(ruler)
                wanted[_METHODS] = {**begun[_METHODS], **wanted[_METHODS]}
            write_json(wanted, file)

    def _check_offsets(self, ruler: object) -> None:
        """Raise `InputError` unless all rows keep what they can be read anew from."""
        for row in RowLog(self.rows).rows:
            if row.offset is None:
                raise InputError(
                    f"{self.path} was read by ruler {ruler}, and {row.method} keeps no offset for "
                    f"{row.prompt!r} to be read anew from; choose another --out"
                )

    def description(self) -> dict[str, Any]:
        """What `claim` was given. Raises `InputError` if it cannot be read."""
        file = self.path / DESCRIPTION_FILE
        with named(file, "choose another --out"):
            content: dict[str, Any] = read_json(file)
            field_of(content, _METHODS, Mapping[str, Any])
        return content


def _of_methods(description: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    """`description` with those methods alone: the others may come and go.

    A setting may be newer than the benchmark.
    """
    newer = newer_settings()
    kept = {
        name: completed(each, {"settings": newer["settings"]})
        for name, each in description[_METHODS].items()
        if name in names
    }
    return completed({**description, _METHODS: kept}, {"projection": newer["projection"]})
