"""A benchmark's rows as a table of comma-separated values: to publish, and to read again.

It has all of a row but the offset, numbers to six digits.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from cfclip.io import FormatError, build, named, read_csv
from cfclip_benchmark.measured_edits import MeasuredEdit, StrengthScore

RESULTS_FILE = "results.csv"
_COLUMNS = tuple(each.name for each in fields(MeasuredEdit) if each.name != "offset")
_KINDS = {each.name: each.type for each in fields(MeasuredEdit)}
_SCORE = tuple(each.type for each in fields(StrengthScore))


def results_text(rows: Sequence[MeasuredEdit]) -> str:
    """A line for each edit; None becomes nothing."""
    return table_text(_COLUMNS, ([getattr(row, name) for name in _COLUMNS] for row in rows))


def read_results(path: Path) -> tuple[MeasuredEdit, ...]:
    """The rows of a file of `results_text`, without offsets; older ones may lack columns.

    Raises `InputError` for a file that cannot be read or is none.
    """
    header: list[str] = []
    rows = []
    for number, cells in read_csv(path):
        with named(f"{path}:{number}", "the line is damaged; remove it"):
            if isinstance(cells, FormatError):
                raise cells
            if header:
                rows.append(_row(dict(zip(header, cells, strict=False))))
            header = header or cells
    return tuple(rows)


def table_text(header: Sequence[str], lines: Any) -> str:
    """Comma-separated values below a header; see `results_text`."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in line] for line in lines)
    return stream.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, StrengthScore):
        return ":".join(_cell(getattr(value, each.name)) for each in fields(value))
    return " ".join(map(_cell, value)) if isinstance(value, tuple) else str(value)


def _row(line: dict[str, str]) -> MeasuredEdit:
    told = {name: _value(name, line[name]) for name in _COLUMNS if name in line}
    return build(MeasuredEdit, told)


def _value(name: str, cell: str) -> Any:
    if name == "strengths":
        return [_score(part) for part in cell.split()]
    return cell.split() if name == "lost" else _plain(_KINDS[name], cell)


def _score(text: str) -> dict[str, Any]:
    cells = text.split(":")
    names = [each.name for each in fields(StrengthScore)]
    if len(cells) != len(names):
        raise FormatError(f"{text!r} is no score at a strength")
    return {n: _plain(kind, c) for n, kind, c in zip(names, _SCORE, cells, strict=True)}


def _plain(kind: Any, cell: str) -> Any:
    """The value of a cell, of a field of this type."""
    if kind is str or not cell:
        return cell if kind is str else None
    if kind in (bool, bool | None):
        return {"0": False, "1": True}.get(cell, cell)
    try:
        return int(cell) if kind is int else float(cell)
    except ValueError as error:
        raise FormatError(f"{cell!r} is no number") from error
