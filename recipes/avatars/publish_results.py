"""docs/RESULTS.md and what it refers to, from the folders that `cfclip bench` and `tune` wrote.

The text of the page is written by hand; its tables are not: they stand between a line
`<!-- table NAME -->` and a line `<!-- end -->`, and are written anew from the rows.
"""

import csv
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cfclip.errors import InputError
from cfclip.evaluation import figures, report
from cfclip.evaluation.folder import BenchmarkFolder
from cfclip.evaluation.methods import METHODS, OURS
from cfclip.evaluation.report import markdown_table
from cfclip.evaluation.rows import Row, RowLog
from cfclip.evaluation.summary import (
    CONTROL,
    COUNTERFACTUAL,
    KID,
    summarise_rows,
)
from cfclip.evaluation.tuning import TRIALS_FILE
from cfclip.files import atomic_write

PAGE = "RESULTS.md"
_TABLE = re.compile(r"(<!-- table (?P<name>[^ ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_PICTURES = (
    *(figures.EXAMPLES_FILE, figures.EXACT_FILE, figures.FAILED_FILE),
    *(figures.STRENGTH_FILE, figures.SECONDS_FILE),
)
_REPEATED = ("success", "preservation", "exact")


@dataclass(frozen=True)
class PublishResults:
    """Write the tables of docs/RESULTS.md, docs/results.csv, and what both refer to."""

    bench: Path
    """Folder of the benchmark on test prompts and avatars."""
    tuned: Path
    """Folder of the tuning that gave its settings."""
    ablations: Path
    """Folder of the benchmark of the ablations."""
    again: Path
    """Folder of the second run, with another seed, of a share of the first."""
    docs: Path = Path("docs")
    """Folder to write to."""

    def run(self) -> None:
        """Write."""
        publish_results(self)


def publish_results(config: PublishResults) -> None:
    """Write everything; see `PublishResults`.

    Raises:
        InputError: a folder without what it shall have, or a table in the page that nobody knows.
    """
    rows, variants = _rows(config.bench), _rows(config.ablations)
    tables = {
        **_tables("bench", rows, _realism(config.bench)),
        **_tables("ablations", variants, _realism(config.ablations)),
        "again": repeated_table(rows, _rows(config.again)),
        "settings": settings_table(config.tuned),
    }
    page = config.docs / PAGE
    text = page.read_text(encoding="utf-8")
    with atomic_write(page) as temporary:
        temporary.write_text(fill_tables(text, tables), encoding="utf-8")
    shutil.copyfile(config.bench / report.RESULTS_FILE, config.docs / report.RESULTS_FILE)
    results = config.docs / "results"
    results.mkdir(exist_ok=True)
    shutil.copyfile(config.bench / report.CSV_FILE, results / report.CSV_FILE)
    shutil.copyfile(config.ablations / report.RESULTS_FILE, results / "ablations.csv")
    shutil.copyfile(config.tuned / TRIALS_FILE, results / TRIALS_FILE)
    for name in METHODS:
        if (found := config.tuned / f"{name}.json").exists():
            shutil.copyfile(found, results / found.name)
    pictures = config.docs / "images" / "results"
    pictures.mkdir(parents=True, exist_ok=True)
    for name in _PICTURES:
        if (picture := config.bench / name).exists():  # nothing is exact where all edits fail
            shutil.copyfile(picture, pictures / name)


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


def _tables(
    name: str, rows: tuple[Row, ...], realism: Mapping[tuple[str, str], float]
) -> dict[str, str]:
    """The tables of one benchmark, by name."""
    summary = summarise_rows(rows, realism)
    return {
        f"{name}-counterfactual": report.quality_table(summary, COUNTERFACTUAL),
        f"{name}-control": report.quality_table(summary, CONTROL),
        f"{name}-judged": report.judged_table(summary, COUNTERFACTUAL),
        f"{name}-exact": report.exact_table(summary),
        **{f"{name}-ahead-{method}": report.ahead_table(rows, summary, method) for method in OURS},
    }


def repeated_table(first: tuple[Row, ...], second: tuple[Row, ...]) -> str:
    """What a second run of some cases found, beside the interval that the first had of them."""
    cases = {row.key for row in second}
    lines = []
    before = summarise_rows([row for row in first if row.key in cases], {})
    after = summarise_rows(second, {})
    for method in after.methods:
        for measure in _REPEATED:
            old, new = (each.get(method, COUNTERFACTUAL, measure) for each in (before, after))
            if old is None or new is None or old.low is None or old.high is None:
                continue
            interval = f"{100 * old.mean:.1f} [{100 * old.low:.1f}, {100 * old.high:.1f}]"
            within = "yes" if old.low <= new.mean <= old.high else "no"
            lines.append((method, measure, interval, f"{100 * new.mean:.1f}", within))
    return markdown_table(("method", "measure, %", "first run", "second run", "within"), lines)


def settings_table(tuned: Path) -> str:
    """What the tuning chose, and what it reached on validation."""
    lines = []
    for name in METHODS:
        file = tuned / f"{name}.json"
        if not file.exists():
            continue
        found = json.loads(file.read_text(encoding="utf-8"))
        settings = ", ".join(f"{key} {value:.3g}" for key, value in found["settings"].items())
        reached = [f"{100 * found['reached'][each]:.1f}" for each in _REPEATED]
        lines.append((name, str(found["trials"]), settings or "the defaults", *reached))
    return markdown_table(
        ("method", "trials", "settings", *(f"{each}, %" for each in _REPEATED)), lines
    )


def _realism(folder: Path) -> dict[tuple[str, str], float]:
    """KID by method and group: of the summary, since it is measured on the pictures."""
    with open(folder / report.CSV_FILE, encoding="utf-8", newline="") as stream:
        return {
            (line["method"], line["group"]): float(line["value"])
            for line in csv.DictReader(stream)
            if line["measure"] == KID
        }


def _rows(folder: Path) -> tuple[Row, ...]:
    rows = RowLog(BenchmarkFolder(folder).rows).rows
    if not rows:
        raise InputError(f"{folder} has no rows; run cfclip bench first")
    return rows
