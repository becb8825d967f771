"""What of a benchmark is to be looked at: examples drawn at random, and two charts."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from PIL import Image

from cfclip.provenance import COMPOSED, Provenance, write_picture
from cfclip.viewing import Point, Series, chart, sheet, svg_of
from cfclip_benchmark.avatars import case_name
from cfclip_benchmark.benchmark_folder import BenchmarkFolder
from cfclip_benchmark.measured_edits import ORACLE, MeasuredEdit
from cfclip_benchmark.summary import (
    CONTROL,
    COUNTERFACTUAL,
    MEDIAN_SECONDS,
    Estimate,
    Summary,
    mean_with_interval,
)

EXAMPLES_FILE = "examples.png"
EXACT_FILE = "exact.png"
FAILED_FILE = "failed.png"
DRAWN_FILE = "drawn.png"
STRENGTH_FILE = "exact_by_strength.svg"
SECONDS_FILE = "exact_by_seconds.svg"
EXAMPLES = 12
"""Rows of the sheet of examples."""
CHOSEN_EXAMPLES = 6
"""Rows of the sheets of exact and of failed edits."""
DRAWN_EDITS = 100
"""Edits of the sheet that the ruler is to be checked by eye on."""
_DRAWN_COLUMNS = 5
EXAMPLES_SEED = 0
_Case: TypeAlias = tuple[str, int]
"""Prompt and avatar."""


def write_examples(
    folder: BenchmarkFolder, rows: Sequence[MeasuredEdit], methods: Sequence[str]
) -> tuple[Path, ...]:
    """Sheets of cases drawn at random: avatar, inversion, true answer, the answer of each method.

    Drawn with `EXAMPLES_SEED` from the cases that every method has a row of, so that nobody chose
    them: from all of them, and from counterfactual ones that the first method is exact in, or not.
    Returns the files that there is anything to show in. Raises `InputError` for a picture that is
    missing, or a file that cannot be written.
    """
    answers: dict[_Case, dict[str, MeasuredEdit]] = defaultdict(dict)
    for row in rows:
        answers[row.prompt, row.avatar][row.method] = row
    complete = {case: own for case, own in answers.items() if set(methods) <= set(own)}
    first = next((name for name in methods if name != ORACLE), ORACLE)
    exact = {
        case: own[first].exact for case, own in complete.items() if own[first].family != CONTROL
    }
    files = []
    for name, cases, count in (
        (EXAMPLES_FILE, list(complete), EXAMPLES),
        (EXACT_FILE, [case for case in exact if exact[case] is True], CHOSEN_EXAMPLES),
        (FAILED_FILE, [case for case in exact if exact[case] is False], CHOSEN_EXAMPLES),
    ):
        drawn = random.Random(EXAMPLES_SEED).sample(sorted(cases), min(count, len(cases)))
        if drawn:
            lines = [_line(folder, case, complete[case], methods) for case in sorted(drawn)]
            path = folder.path / name
            write_picture(sheet(lines), path, Provenance(COMPOSED), overwrite=True)
            files.append(path)
    return tuple(files)


def write_drawn(folder: BenchmarkFolder, rows: Sequence[MeasuredEdit]) -> tuple[Path, ...]:
    """A sheet of edits drawn at random, numbered: the inverted source, the edit, what was read.

    Whoever looks at it can tell how often the ruler is wrong. Of the methods' edits alone, drawn
    with `EXAMPLES_SEED`; no file where there are none. Raises `InputError` as `write_examples`.
    """
    edits = sorted((row for row in rows if row.method != ORACLE), key=lambda row: row.key)
    drawn = random.Random(EXAMPLES_SEED).sample(edits, min(DRAWN_EDITS, len(edits)))
    if not drawn:
        return ()
    tiles = [
        (_pair(folder, row), f"{number}. {row.prompt}: {_outcome(row)} ({row.method})")
        for number, row in enumerate(drawn, 1)
    ]
    lines = [tiles[at : at + _DRAWN_COLUMNS] for at in range(0, len(tiles), _DRAWN_COLUMNS)]
    path = folder.path / DRAWN_FILE
    write_picture(sheet(lines), path, Provenance(COMPOSED), overwrite=True)
    return (path,)


def _pair(folder: BenchmarkFolder, row: MeasuredEdit) -> Image.Image:
    """The inverted source, and right of it the edit."""
    source = folder.open_picture(folder.inverted(row.avatar))
    edit = folder.open_picture(folder.picture(row.method, case_name(row.prompt, row.avatar)))
    pair = Image.new("RGB", (source.width + edit.width, source.height))
    pair.paste(source, (0, 0))
    pair.paste(edit, (source.width, 0))
    return pair


def _line(
    folder: BenchmarkFolder,
    case: _Case,
    answers: Mapping[str, MeasuredEdit],
    methods: Sequence[str],
) -> list[tuple[Image.Image, str]]:
    """Tiles of one case."""
    prompt, avatar = case
    name = case_name(prompt, avatar)
    tiles = [
        (folder.avatar(avatar), f"avatar {avatar}"),
        (folder.inverted(avatar), "inverted"),
        (folder.truth(name), f"true: {prompt}"),
        *((folder.picture(each, name), f"{each}: {_outcome(answers[each])}") for each in methods),
    ]
    return [(folder.open_picture(path), caption) for path, caption in tiles]


def _outcome(row: MeasuredEdit) -> str:
    """What became of an edit, in a few words."""
    lost = f", lost {', '.join(row.lost)}".replace("_", " ") if row.lost else ""
    if row.success is None:
        return "cannot be read" + lost
    if row.exact:
        return "exact"
    return ("success" if row.success else "failure") + lost


def draw_charts(rows: Sequence[MeasuredEdit], summary: Summary, costs: Summary) -> dict[str, str]:
    """Exact rate of the counterfactual edits against their strength, and against their seconds.

    Args:
        rows: of the edits.
        summary: the figures of them.
        costs: figures of the same methods, of which the seconds are taken.

    Returns:
        SVG by the name of its file, of those charts that there is anything to show in.
    """
    texts = {
        STRENGTH_FILE: _chart(strength_series(rows), "strength, 1 is the method's own", log=False),
        SECONDS_FILE: _chart(seconds_series(summary, costs), "seconds per edit, median", log=True),
    }
    return {name: text for name, text in texts.items() if text}


def _chart(series: Sequence[Series], label: str, log: bool) -> str:
    return svg_of(chart(series, label, "exact counterfactual edits", log)) if series else ""


def strength_series(rows: Sequence[MeasuredEdit]) -> list[Series]:
    """By method, the exact rate of counterfactual edits at every strength they were read at."""
    values: dict[str, dict[float, list[tuple[int, float | None]]]] = {}
    for row in rows:
        if row.family != CONTROL and row.strengths:
            own = values.setdefault(row.method, defaultdict(list))
            own[1.0].append((row.avatar, row.exact))
            for each in row.strengths:
                own[each.strength].append((row.avatar, each.exact))
    series = []
    for method, own in values.items():
        estimates = {strength: mean_with_interval(own[strength]) for strength in sorted(own)}
        points = [_point(strength, each) for strength, each in estimates.items() if each]
        if points:
            series.append(Series(method, tuple(points)))
    return series


def seconds_series(summary: Summary, costs: Summary) -> list[Series]:
    """By method, the exact rate of counterfactual edits at the median of their seconds.

    The seconds are of `costs`, which may be another run, on a machine that does nothing else.
    """
    series = []
    for method in summary.methods:
        exact = summary.get(method, COUNTERFACTUAL, "exact")
        seconds = costs.get(method, COUNTERFACTUAL, MEDIAN_SECONDS)
        if exact is not None and seconds is not None and seconds.mean > 0.0:
            series.append(Series(method, (_point(seconds.mean, exact),)))
    return series


def _point(x: float, estimate: Estimate) -> Point:
    return Point(x, estimate.mean, estimate.low, estimate.high)
