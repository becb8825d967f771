"""The folder of a batch: what it was begun as, its rows, and what is told of each.

batch.json       what decides the pictures besides the rows: pack, mapper, settings, form
rows.jsonl       the rows, as of the last start
results.jsonl    a line for each row: done or failed, where, and what there is to know of it
pictures/        finished pictures
shards/          finished shards, if asked for
inversions/      latents of pictures
summary.html     to look at
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cfclip.batches.rows import Row, outcome_of
from cfclip.editing import newer_settings
from cfclip.errors import InputError, failing_to
from cfclip.io import (
    FormatError,
    alone_in,
    field_of,
    named,
    parse_json,
    read_json,
    remove_partials,
    whole_lines,
    write_whole,
)
from cfclip.provenance import differences, write_json
from cfclip.settings import completed

RECORD_FILE = "batch.json"
ROWS_FILE = "rows.jsonl"
RESULTS_FILE = "results.jsonl"
SUMMARY_FILE = "summary.html"
_KIND = "batch"
_KEPT: Mapping[str, Any] = {"error": str | None, "psnr": float | None, "warnings": tuple[str, ...]}


class BatchFolder:
    """Where a batch is kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reports: dict[str, dict[str, Any]] = {}

    @property
    def inversions(self) -> Path:
        """Latents of pictures."""
        return self.path / "inversions"

    def alone(self) -> AbstractContextManager[None]:
        """No other process works in the folder, which is made; see `files.alone_in`."""
        return alone_in(self.path)

    def claim(self, record: Mapping[str, Any], rows: Sequence[Row]) -> int:
        """Begin a batch here, or go on with it. Only `alone`.

        Rows may be added and left out from start to start; one that was there before must be the
        same.

        Args:
            record: what decides the pictures besides the rows, as JSON values.
            rows: of the batch, by different names.

        Returns:
            How many rows were there before and are not any more.

        Raises:
            InputError: a folder of something else, a batch that was begun differently (every
                difference is named), or a folder that cannot be written.
        """
        wanted: dict[str, Any] = parse_json(json.dumps({"kind": _KIND, **record}))
        file = self.path / RECORD_FILE
        remove_partials(self.path)
        if file.exists():
            newer = newer_settings()
            begun, asked = (completed(each, newer) for each in (_read_record(file), wanted))
            if differing := differences(begun, asked):
                raise InputError(
                    f"{self.path} was begun with another {', '.join(differing)}; choose another "
                    "--out, or go on as it was begun"
                )
        elif any(not path.name.startswith(".") for path in self.path.iterdir()):
            raise InputError(f"{self.path} holds other files; choose another --out")
        known = {row.name: row for row in self._read_rows()}
        for row in rows:
            # One file may be listed in several ways.
            before = replace(known.pop(row.name, row), image=row.image)
            if before != row:
                changed = differences(asdict(before), asdict(row))
                raise InputError(
                    f"{row.name} of {self.path} was begun with another {', '.join(changed)}; "
                    "choose another --out"
                )
        write_json(wanted, file)
        lines = [*(row.to_json() for row in rows), *(row.to_json() for row in known.values())]
        write_whole(self.path / ROWS_FILE, _joined(lines))
        self._reports.update(self._read_results())
        for row in known.values():  # its picture may be there
            self._reports[row.name] = {**self.report(row.name), **outcome_of(row)}
        return len(known)

    def _read_rows(self) -> Iterable[Row]:
        file = self.path / ROWS_FILE
        for number, line in enumerate(whole_lines(file), 1):
            with named(f"{file}:{number}", "it is damaged; choose another --out"):
                yield Row.from_json(line)

    def _read_results(self) -> Iterable[tuple[str, dict[str, Any]]]:
        """What was told of rows, by name, besides what rows say themselves; a damaged line is left
        out, for the results say what is done."""
        for line in whole_lines(self.path / RESULTS_FILE):
            with suppress(FormatError):
                content = parse_json(line)
                report = {each: field_of(content, each, hint, None) for each, hint in _KEPT.items()}
                yield field_of(content, "name", str), report

    def report(self, name: str) -> Mapping[str, Any]:
        """What was told of a row last; nothing if nothing was."""
        return self._reports.get(name, {})

    def add_reports(self, contents: Sequence[Mapping[str, Any]]) -> None:
        """Note what there is to know of some rows. Raises `InputError` if there is no room."""
        file = self.path / RESULTS_FILE
        with failing_to(f"write {file}"), open(file, "ab") as stream:
            stream.write(_joined(json.dumps(content) for content in contents))
        for content in contents:
            self._reports[str(content["name"])] = dict(content)

    def conclude(self, contents: Iterable[Mapping[str, Any]]) -> Path:
        """Leave one line for each row, in their order; returns the file."""
        file = self.path / RESULTS_FILE
        write_whole(file, _joined(json.dumps(content) for content in contents))
        return file


def _joined(lines: Iterable[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode()


def _read_record(file: Path) -> dict[str, Any]:
    with named(file, "choose another --out"):
        content = read_json(file)
        if field_of(content, "kind", Any, None) != _KIND:
            raise FormatError("is not the record of a batch")
    record: dict[str, Any] = content
    return record
