"""What of a benchmark is to be looked at: examples drawn at random, and two charts."""

import random
from collections.abc import Sequence
from pathlib import Path

from cfclip.evaluation.avatars.prompts import prompt_name
from cfclip.evaluation.charts import Point, Series, chart
from cfclip.evaluation.folder import BenchmarkFolder
from cfclip.evaluation.intervals import mean_with_interval
from cfclip.evaluation.rows import Row
from cfclip.evaluation.summary import CONTROL, COUNTERFACTUAL, MEDIAN_SECONDS, Summary
from cfclip.marking import write_picture
from cfclip.provenance import COMPOSED, Provenance
from cfclip.sheets import sheet

EXAMPLES_FILE = "examples.png"
STRENGTH_FILE = "exact_by_strength.svg"
SECONDS_FILE = "exact_by_seconds.svg"
EXAMPLES = 12
"""Rows of the sheet of examples."""
EXAMPLES_SEED = 0
_OWN_STRENGTH = 1.0


def write_examples(
    folder: BenchmarkFolder, rows: Sequence[Row], methods: Sequence[str]
) -> tuple[Path, ...]:
    """A sheet of cases drawn at random: avatar, inversion, true answer, the answer of each method.

    Drawn with `EXAMPLES_SEED` from the cases that every method has a row of, so that nobody chose
    them. Raises `InputError` for a picture that is missing, or a file that cannot be written.
    """
    answers = {(row.prompt, row.avatar): dict[str, Row]() for row in rows}
    for row in rows:
        answers[row.prompt, row.avatar][row.method] = row
    whole = sorted(case for case, found in answers.items() if set(methods) <= set(found))
    draw = random.Random(EXAMPLES_SEED)
    lines = []
    for prompt, avatar in sorted(draw.sample(whole, min(EXAMPLES, len(whole)))):
        name = f"{prompt_name(prompt)}-{avatar:03d}"
        tiles = [
            (folder.open_picture(folder.avatar(avatar)), f"avatar {avatar}"),
            (folder.open_picture(folder.inverted(avatar)), "inverted"),
            (folder.open_picture(folder.truths / f"{name}.png"), f"true: {prompt}"),
        ]
        for method in methods:
            outcome = _outcome(answers[prompt, avatar][method])
            tiles.append(
                (folder.open_picture(folder.picture(method, name)), f"{method}: {outcome}")
            )
        lines.append(tiles)
    if not lines:
        return ()
    path = folder.path / EXAMPLES_FILE
    write_picture(sheet(lines), path, Provenance(COMPOSED), overwrite=True)
    return (path,)


def _outcome(row: Row) -> str:
    """What became of an edit, in a few words."""
    lost = f", lost {', '.join(row.lost)}".replace("_", " ") if row.lost else ""
    if row.success is None:
        return "cannot be read" + lost
    if row.exact:
        return "exact"
    return ("success" if row.success else "failure") + lost


def write_charts(
    folder: BenchmarkFolder, rows: Sequence[Row], summary: Summary
) -> tuple[Path, ...]:
    """Exact rate of the counterfactual edits against their strength, and against their seconds.

    Returns the files that there is anything to show in.
    """
    texts = {
        STRENGTH_FILE: (strength_series(rows), "strength, 1 is the method's own", False),
        SECONDS_FILE: (seconds_series(summary), "seconds per edit, median", True),
    }
    files = []
    for name, (series, label, log) in texts.items():
        if series:
            text = chart(series, label, "exact counterfactual edits", log)
            files.append(folder.write(name, text))
    return tuple(files)


def strength_series(rows: Sequence[Row]) -> list[Series]:
    """By method, the exact rate of counterfactual edits at every strength they were read at."""
    found: dict[str, dict[float, list[tuple[int, float | None]]]] = {}
    for row in rows:
        if row.family == CONTROL or not row.strengths:
            continue
        of = found.setdefault(row.method, {})
        of.setdefault(_OWN_STRENGTH, []).append((row.avatar, row.exact))
        for each in row.strengths:
            of.setdefault(each.strength, []).append((row.avatar, each.exact))
    series = []
    for method, values in found.items():
        points = []
        for strength in sorted(values):
            estimate = mean_with_interval(values[strength])
            if estimate is not None:
                points.append(Point(strength, estimate.mean, estimate.low, estimate.high))
        if points:
            series.append(Series(method, tuple(points)))
    return series


def seconds_series(summary: Summary) -> list[Series]:
    """By method, the exact rate of counterfactual edits at the median of their seconds."""
    series = []
    for method in summary.methods:
        exact = summary.get(method, COUNTERFACTUAL, "exact")
        seconds = summary.get(method, COUNTERFACTUAL, MEDIAN_SECONDS)
        if exact is not None and seconds is not None and seconds.mean > 0.0:
            point = Point(seconds.mean, exact.mean, exact.low, exact.high)
            series.append(Series(method, (point,)))
    return series
