"""docs/RESULTS.md and what it refers to, from the folders that `cfclip bench` and `tune` wrote.

The text of the page is written by hand; its tables are not: they stand between a line
`<!-- table NAME -->` and a line `<!-- end -->`, and are written anew from the rows.

A long benchmark is measured in pieces: what is kept beside the page of methods that a folder does
not have goes into the tables too, if the same ruler read it.
"""

import csv
import math
import re
import shutil
from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path

from cfclip.editing import COMPARED, OURS
from cfclip.errors import InputError
from cfclip.io import write_whole
from cfclip.packs import Pack
from cfclip_benchmark import (
    ALL,
    CONFINED,
    CONTROL,
    COUNTERFACTUAL,
    KID,
    ORACLE,
    RESULTS_FILE,
    TRIALS_FILE,
    BenchmarkFolder,
    MeasuredEdit,
    RowLog,
    Summary,
    figures,
    read_results,
    report,
    results_text,
    summarise_rows,
)
from recipes.avatars.failed_colours import failed_colours_table
from recipes.avatars.results_tables import (
    attainable_table,
    family_table,
    lost_table,
    repeated_table,
    settings_table,
)

PAGE = "RESULTS.md"
_TABLE = re.compile(r"(<!-- table (?P<name>[^ ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_SHEETS = (figures.EXAMPLES_FILE, figures.EXACT_FILE, figures.FAILED_FILE)
_FAILED = "failed_colours.txt"
"""Of the pieces: the lines of their methods in that table, which is made of pictures."""
_SAME_INVERSION = 1e-3
"""Relative difference of two figures of an inversion that rounding explains."""


@dataclass(frozen=True)
class PublishResults:
    """Write the tables of docs/RESULTS.md, docs/results.csv, and what both refer to."""

    bench: Path
    """Folder of the benchmark on test prompts and avatars."""
    tuned: Path
    """Folder of the tuning that gave its settings."""
    ablations: Path | None = None
    """Folder of the benchmark of the ablations, if the page has tables of them."""
    mappers: Path | None = None
    """Folder of the benchmark of mappers of one prompt, if the page has tables of them."""
    again: Path | None = None
    """Folder of the second run, with another seed, of a share of the first, on a machine that did
    nothing else, if the page tells of it. Seconds, memory and pictures are then taken from it."""
    docs: Path = Path("docs")
    """Folder to write to."""
    piece: bool = False
    """Keep the rows in DOCS/results/pieces and leave the page: there are more methods to come."""

    def run(self) -> None:
        """Write."""
        publish_results(self)


def publish_results(config: PublishResults) -> None:
    """Write everything; see `PublishResults`.

    Raises:
        InputError: a folder without what it shall have, a summary of other rows than there are, or
            a table in the page that nobody knows.
        CheckpointError: a benchmark of other models than those of the pack, whose CLIP tells why
            edits failed.
    """
    folder = BenchmarkFolder(config.bench)
    measured = folder.description()["pack"]
    pack = Pack.open(measured["name"])
    models = {name: measured["files"].get(name) for name in pack.mapped_models}
    pack.check_models(config.bench, models, "measure these (cfclip bench)")
    own = _rows(config.bench)
    pieces = config.docs / "results" / "pieces"
    earlier = _pieces(pieces, own)
    methods = {row.method for row in earlier}
    rows = tuple(sorted((*earlier, *own), key=_place))
    realism = {**_kid(pieces / report.CSV_FILE, methods), **_realism(config.bench, own)}
    summary = summarise_rows(rows, realism)
    failed = failed_colours_table(folder, own, pack) + _lines_of(methods, pieces / _FAILED)
    if config.piece:
        pieces.mkdir(parents=True, exist_ok=True)
        write_whole(pieces / RESULTS_FILE, results_text(rows).encode())
        write_whole(pieces / report.CSV_FILE, report.csv_text(summary).encode())
        write_whole(pieces / _FAILED, failed.encode())
        return
    page = config.docs / PAGE
    text = page.read_text(encoding="utf-8")
    tables = {
        **_tables("bench", rows, summary),
        "failed-colours": failed,
        "settings": settings_table(config.tuned),
    }
    beside = {
        name: found
        for name, found in (("ablations", config.ablations), ("mappers", config.mappers))
        if found is not None
    }
    for name, found in beside.items():
        parts = _rows(found)
        tables |= _tables(name, parts, summarise_rows(parts, _realism(found, parts)))
    costs = summary
    if config.again is not None:
        second = _rows(config.again)
        costs = summarise_rows(second, {})
        tables["again"] = repeated_table(rows, second)
        tables["again-costs"] = report.figures_table(costs, COUNTERFACTUAL, report.COSTS)
    absent = (name for name in ("ablations", "mappers", "again") if getattr(config, name) is None)
    write_whole(page, fill_tables(text, tables, tuple(absent)).encode())
    pictures = config.docs / "images" / "results"
    pictures.mkdir(parents=True, exist_ok=True)
    for name in _SHEETS:
        if (picture := (config.again or config.bench) / name).exists():  # there may be none such
            shutil.copyfile(picture, pictures / name)
    for name, text in figures.draw_charts(rows, summary, costs).items():
        write_whole(pictures / name, text.encode())
    write_whole(config.docs / RESULTS_FILE, results_text(rows).encode())
    results = config.docs / "results"
    results.mkdir(exist_ok=True)
    write_whole(results / report.CSV_FILE, report.csv_text(summary).encode())
    for name, found in beside.items():
        shutil.copyfile(found / RESULTS_FILE, results / f"{name}.csv")
    if config.tuned.resolve() != results.resolve():  # what is published may be published again
        shutil.copyfile(config.tuned / TRIALS_FILE, results / TRIALS_FILE)
        for name in COMPARED:
            if (found := config.tuned / f"{name}.json").exists():
                shutil.copyfile(found, results / found.name)


def fill_tables(text: str, tables: Mapping[str, str], kept: tuple[str, ...] = ()) -> str:
    """The text of a page with its tables written anew.

    >>> fill_tables("<!-- table one -->\\nold\\n<!-- end -->", {"one": "new\\n"})
    '<!-- table one -->\\nnew\\n<!-- end -->'

    Args:
        text: of the page.
        tables: by name.
        kept: how the names of those begin that stay as they are.

    Raises:
        InputError: a table that is not among `tables`.
    """

    def fill(found: re.Match[str]) -> str:
        name = found["name"]
        if name.startswith(kept):
            return found[0]
        if name not in tables:
            raise InputError(f"no table {name}; known are {', '.join(tables)}")
        return f"{found[1]}{tables[name]}{found[3]}"

    return _TABLE.sub(fill, text)


def _lines_of(methods: Container[str], table: Path) -> str:
    """The lines of some methods in a file with a table of Markdown."""
    if not table.exists():
        return ""
    lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if line.strip("| ").split(" | ")[0] in methods)


def _place(row: MeasuredEdit) -> tuple[int, str]:
    """Of a row among those of all methods: the oracle, ours and baselines, confined ones after."""
    name = row.method.removesuffix(CONFINED)
    order = (ORACLE, *COMPARED)
    return (order.index(name) if name in order else len(order)), row.method


def _tables(name: str, rows: tuple[MeasuredEdit, ...], summary: Summary) -> dict[str, str]:
    """The tables of one benchmark, by name."""
    return {
        f"{name}-counterfactual": report.figures_table(summary, COUNTERFACTUAL, report.QUALITY),
        f"{name}-control": report.figures_table(summary, CONTROL, report.QUALITY),
        f"{name}-judged": report.figures_table(summary, COUNTERFACTUAL, report.JUDGED),
        f"{name}-exact": report.exact_table(summary),
        f"{name}-families-success": family_table(summary, "success"),
        f"{name}-families-exact": family_table(summary, "exact"),
        f"{name}-attainable": attainable_table(rows),
        f"{name}-lost": lost_table(rows),
        **{f"{name}-ahead-{method}": report.ahead_table(rows, summary, method) for method in OURS},
    }


def _pieces(folder: Path, own: tuple[MeasuredEdit, ...]) -> tuple[MeasuredEdit, ...]:
    """Kept rows of methods that were measured in another piece, by the same ruler.

    Raises `InputError` where that was of other inversions: two pieces are of one benchmark if pack,
    avatars and inversions are the same.
    """
    path = folder / RESULTS_FILE
    if not path.exists():
        return ()
    methods, rulers = {row.method for row in own}, {row.ruler for row in own}
    rows = read_results(path)
    earlier = tuple(row for row in rows if row.ruler in rulers and row.method not in methods)
    inversions = {row.avatar: row.inversion_psnr for row in own}
    for row in earlier:
        found = inversions.get(row.avatar, row.inversion_psnr)
        if not math.isclose(found, row.inversion_psnr, rel_tol=_SAME_INVERSION):
            raise InputError(
                f"{path} has rows of {row.method} with avatar {row.avatar} inverted to "
                f"{row.inversion_psnr:g} dB, it is {found:g} here; remove its rows, they are of "
                "another benchmark"
            )
    return earlier


def _realism(folder: Path, rows: tuple[MeasuredEdit, ...]) -> dict[tuple[str, str], float]:
    """KID by method and group: of the summary, since it is measured on the pictures.

    Raises `InputError` if the summary is missing, or was written before the last rows: it is
    published with what is made of these.
    """
    path = folder / report.CSV_FILE
    summed = {
        line["method"]: int(line["count"])
        for line in _lines(path)
        if (line["group"], line["measure"]) == (ALL, "readable")  # which every row has
    }
    if summed != Counter(row.method for row in rows):
        raise InputError(f"{path} is not of all rows; finish it (cfclip bench --resume)")
    return _kid(path, set(summed))


def _kid(path: Path, methods: Container[str]) -> dict[tuple[str, str], float]:
    """What a summary says of some methods, by method and group."""
    return {
        (line["method"], line["group"]): float(line["value"])
        for line in (_lines(path) if methods else ())
        if line["measure"] == KID and line["method"] in methods
    }


def _lines(path: Path) -> list[dict[str, str]]:
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; run cfclip bench first") from error


def _rows(folder: Path) -> tuple[MeasuredEdit, ...]:
    rows = RowLog(BenchmarkFolder(folder).rows).rows
    if not rows:
        raise InputError(f"{folder} has no rows; run cfclip bench first")
    return rows
