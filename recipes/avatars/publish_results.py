"""docs/RESULTS.md and what it refers to, from the folders that `cfclip bench` and `tune` wrote.

The text of the page is written by hand; its tables are not: they stand between a line
`<!-- table NAME -->` and a line `<!-- end -->`, and are written anew from the rows.
"""

import csv
import re
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cfclip.editing import COMPARED, OURS
from cfclip.errors import InputError
from cfclip.io import write_whole
from cfclip.packs import Pack
from cfclip_benchmark import (
    ALL,
    CONTROL,
    COUNTERFACTUAL,
    KID,
    TRIALS_FILE,
    BenchmarkFolder,
    MeasuredEdit,
    RowLog,
    Summary,
    figures,
    report,
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
_PICTURES = (
    *(figures.EXAMPLES_FILE, figures.EXACT_FILE, figures.FAILED_FILE),
    *(figures.STRENGTH_FILE, figures.SECONDS_FILE),
)


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
    nothing else, if the page tells of it. Seconds and memory are then taken from it."""
    docs: Path = Path("docs")
    """Folder to write to."""

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
    rows = _rows(config.bench)
    summary = _summary(config.bench, rows)
    tables = {
        **_tables("bench", rows, summary),
        "failed-colours": failed_colours_table(folder, rows, pack),
        "settings": settings_table(config.tuned),
    }
    beside = {
        name: found
        for name, found in (("ablations", config.ablations), ("mappers", config.mappers))
        if found is not None
    }
    for name, found in beside.items():
        own = _rows(found)
        tables |= _tables(name, own, _summary(found, own))
    seconds = ""
    if config.again is not None:
        second = _rows(config.again)
        costs = summarise_rows(second, {})
        tables["again"] = repeated_table(rows, second)
        tables["again-costs"] = report.figures_table(costs, COUNTERFACTUAL, report.COSTS)
        seconds = figures.seconds_chart(summary, costs)
    page = config.docs / PAGE
    write_whole(page, fill_tables(page.read_text(encoding="utf-8"), tables).encode())
    pictures = config.docs / "images" / "results"
    pictures.mkdir(parents=True, exist_ok=True)
    for name in _PICTURES:
        if (picture := config.bench / name).exists():  # nothing is exact where all edits fail
            shutil.copyfile(picture, pictures / name)
    if seconds:
        write_whole(pictures / figures.SECONDS_FILE, seconds.encode())
    shutil.copyfile(config.bench / report.RESULTS_FILE, config.docs / report.RESULTS_FILE)
    results = config.docs / "results"
    results.mkdir(exist_ok=True)
    shutil.copyfile(config.bench / report.CSV_FILE, results / report.CSV_FILE)
    for name, found in beside.items():
        shutil.copyfile(found / report.RESULTS_FILE, results / f"{name}.csv")
    shutil.copyfile(config.tuned / TRIALS_FILE, results / TRIALS_FILE)
    for name in COMPARED:
        if (found := config.tuned / f"{name}.json").exists():
            shutil.copyfile(found, results / found.name)


def fill_tables(text: str, tables: Mapping[str, str]) -> str:
    """The text of a page with its tables written anew.

    >>> fill_tables("<!-- table one -->\\nold\\n<!-- end -->", {"one": "new\\n"})
    '<!-- table one -->\\nnew\\n<!-- end -->'

    Raises:
        InputError: a table that is not among `tables`.
    """

    def fill(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in tables:
            raise InputError(f"no table {name}; known are {', '.join(tables)}")
        return f"{found[1]}{tables[name]}{found[3]}"

    return _TABLE.sub(fill, text)


def _summary(folder: Path, rows: tuple[MeasuredEdit, ...]) -> Summary:
    """The figures of one benchmark. Raises `InputError` as `_realism` does."""
    return summarise_rows(rows, _realism(folder, rows))


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


def _realism(folder: Path, rows: tuple[MeasuredEdit, ...]) -> dict[tuple[str, str], float]:
    """KID by method and group: of the summary, since it is measured on the pictures.

    Raises `InputError` if the summary is missing, or was written before the last rows: it is
    published with what is made of these.
    """
    path = folder / report.CSV_FILE
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            lines = list(csv.DictReader(stream))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; run cfclip bench first") from error
    summed = {
        line["method"]: int(line["count"])
        for line in lines
        if (line["group"], line["measure"]) == (ALL, "readable")  # which every row has
    }
    if summed != Counter(row.method for row in rows):
        raise InputError(f"{path} is not of all rows; finish it (cfclip bench --resume)")
    return {
        (line["method"], line["group"]): float(line["value"])
        for line in lines
        if line["measure"] == KID
    }


def _rows(folder: Path) -> tuple[MeasuredEdit, ...]:
    rows = RowLog(BenchmarkFolder(folder).rows).rows
    if not rows:
        raise InputError(f"{folder} has no rows; run cfclip bench first")
    return rows
