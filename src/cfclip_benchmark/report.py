"""A benchmark's figures as files: `results.csv` (edits), `summary.csv`, `summary.md` to read."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from cfclip.editing.methods import OURS
from cfclip_benchmark.benchmark_folder import BenchmarkFolder
from cfclip_benchmark.comparison import differences
from cfclip_benchmark.figures import (
    EXAMPLES,
    EXAMPLES_FILE,
    EXAMPLES_SEED,
    SECONDS_FILE,
    STRENGTH_FILE,
)
from cfclip_benchmark.intervals import CONFIDENCE, Estimate
from cfclip_benchmark.measured_edits import MeasuredEdit
from cfclip_benchmark.summary import (
    ALL,
    COLOURS,
    CONTROL,
    COUNTERFACTUAL,
    KID,
    MEDIAN_SECONDS,
    ORACLE,
    Summary,
)

RESULTS_FILE = "results.csv"
CSV_FILE = "summary.csv"
MARKDOWN_FILE = "summary.md"
_NONE = "-"
_SHORT = 0.1  # seconds

Format = Callable[[float], str]


def percent(value: float) -> str:
    """A share in per cent, with one decimal."""
    return f"{100.0 * value:.1f}"


def _points(value: float) -> str:
    return f"{100.0 * value:+.1f}"


def _decimals(digits: int) -> Format:
    return lambda value: f"{value:.{digits}f}"


def _seconds(value: float) -> str:
    """Two decimals, or four of what would be no time at all.

    >>> _seconds(2.5), _seconds(0.00489)
    ('2.50', '0.0049')
    """
    return f"{value:.2f}" if value >= _SHORT else f"{value:.4f}"


# (measure, heading, format) by table.
_QUALITY: tuple[tuple[str, str, Format], ...] = (
    ("success", "success, %", percent),
    ("preservation", "preservation, %", percent),
    ("exact", "exact, %", percent),
    ("psnr_outside", "PSNR outside, dB", _decimals(1)),
    ("truth_distance", "distance to truth", _decimals(3)),
    ("truth_psnr", "PSNR to truth, dB", _decimals(1)),
    (KID, "KID", _decimals(4)),
)
_JUDGED: tuple[tuple[str, str, Format], ...] = (
    ("clip_similarity", "similarity, optimised CLIP", _decimals(3)),
    ("judge_similarity", "similarity, judge CLIP", _decimals(3)),
)
_COSTS: tuple[tuple[str, str, Format], ...] = (
    (MEDIAN_SECONDS, "seconds per edit, median", _seconds),
    ("peak_memory", "peak memory, MiB", _decimals(0)),
)


def write_summary(
    folder: BenchmarkFolder,
    rows: Sequence[MeasuredEdit],
    summary: Summary,
    about: Mapping[str, Any],
) -> tuple[Path, ...]:
    """Write the three files; returns their paths. Raises `InputError` if they cannot be written.

    Args:
        folder: where to.
        rows: each edit once.
        summary: the figures of them.
        about: what `BenchmarkFolder.about` gives.
    """
    return (
        folder.write(RESULTS_FILE, results_text(rows)),
        folder.write(CSV_FILE, csv_text(summary)),
        folder.write(MARKDOWN_FILE, markdown_text(rows, summary, about)),
    )


def results_text(rows: Sequence[MeasuredEdit]) -> str:
    """A line for each edit, all of its row but the other strengths; None becomes nothing."""
    names = [each.name for each in fields(MeasuredEdit) if each.name != "strengths"]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(getattr(row, name)) for name in names])
    return stream.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:.6g}"
    return " ".join(value) if isinstance(value, tuple) else str(value)


def csv_text(summary: Summary) -> str:
    """A line for each method, group and measure: value, interval, values behind it."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("method", "group", "measure", "value", "low", "high", "count"))
    for (method, group), measures in summary.figures.items():
        for name, value in measures.items():
            ends = ["" if end is None else f"{end:.6g}" for end in (value.low, value.high)]
            writer.writerow((method, group, name, f"{value.mean:.6g}", *ends, value.count))
    return stream.getvalue()


def markdown_text(rows: Sequence[MeasuredEdit], summary: Summary, about: Mapping[str, Any]) -> str:
    """The whole page."""
    pack, versions = about["pack"], about["versions"]
    first = summary.methods[0]
    inverted = [
        shown(summary.get(first, ALL, name), _decimals(digits))
        for name, digits in (("inversion_distance", 3), ("inversion_psnr", 1))
    ]
    parts = [
        "# CounterfactualBench\n",
        f"Pack `{pack['name']}` {pack['version']} ({pack['fingerprint'][:12]}), cfclip "
        f"{versions['cfclip']}, torch {versions['torch']}, {versions['machine']}, "
        f"{versions['threads']} threads, device {about['device']}. Prompts and avatars: "
        f"{about['split']}; seed {about['seed']}. In brackets, the interval that holds "
        f"{CONFIDENCE:.0%} of bootstrap draws over avatars. docs/BENCHMARK.md explains every "
        "measure.\n",
        f"The inverted sources themselves are at {inverted[0]} from their avatars in probe "
        f"features, and at {inverted[1]} dB.\n",
    ]
    for group, title in (
        (COUNTERFACTUAL, "Counterfactual prompts"),
        (CONTROL, "Prompts in the domain"),
    ):
        if group in summary.groups:
            parts += [f"## {title}\n", quality_table(summary, group)]
            if group == COUNTERFACTUAL:
                parts += [judged_table(summary, group), costs_table(summary, group)]
    for method in OURS:
        if table := ahead_table(rows, summary, method):
            parts += [
                f"## Exact rate of {method}, minus that of others\n",
                "In points, on the cases that both were asked and that can be read.\n",
                table,
            ]
    parts.append(
        f"![Examples]({EXAMPLES_FILE})\n\nExamples: {EXAMPLES} cases, drawn at random (seed "
        f"{EXAMPLES_SEED}). Charts: [exact rate by strength]({STRENGTH_FILE}), [exact rate by "
        f"seconds]({SECONDS_FILE}).\n"
    )
    parts += ["## Exact rate by prompt\n", exact_table(summary), "## Methods\n", _methods(about)]
    if left_out := unanswered(rows, tuple(about["methods"])):
        lines = [f"- {name}: {', '.join(prompts)}\n" for name, prompts in left_out.items()]
        parts += ["## Prompts without an edit\n", "".join(lines)]
    return "\n".join(parts)


def quality_table(summary: Summary, group: str) -> str:
    """What became of the edits of a group."""
    return _table(summary, group, _QUALITY)


def judged_table(summary: Summary, group: str) -> str:
    """What two CLIPs say of the edits of a group."""
    return _table(summary, group, _JUDGED)


def costs_table(summary: Summary, group: str) -> str:
    """What the edits of a group take."""
    return _table(summary, group, _COSTS)


def ahead_table(rows: Sequence[MeasuredEdit], summary: Summary, method: str) -> str:
    """By group of prompts, how far a method is ahead of each that is none of `OURS`; "" if none."""
    if method not in summary.methods:
        return ""
    others = [name for name in summary.methods if name not in (*OURS, ORACLE)]
    found = {other: differences(rows, method, other) for other in others}
    found = {other: by_group for other, by_group in found.items() if by_group}
    groups = [g for g in summary.groups if g != ALL and not g.startswith('"')]
    lines = [
        (group, *(shown(by_group.get(group), _points) for by_group in found.values()))
        for group in groups
        if any(group in by_group for by_group in found.values())
    ]
    return markdown_table(("prompts", *found), lines) if lines else ""


def unanswered(rows: Sequence[MeasuredEdit], methods: Sequence[str]) -> dict[str, list[str]]:
    """By method, the prompts that others were asked and it was not, such as a mapper that was not
    trained for them; methods that there is no such prompt of are not there."""
    prompts = list(dict.fromkeys(row.prompt for row in rows))
    asked = {(row.method, row.prompt) for row in rows}
    left = {name: [each for each in prompts if (name, each) not in asked] for name in methods}
    return {name: missing for name, missing in left.items() if missing}


def shown(estimate: Estimate | None, form: Format) -> str:
    """A figure with its interval in brackets, if it has one; "-" where there is none."""
    if estimate is None:
        return _NONE
    if estimate.low is None or estimate.high is None:
        return form(estimate.mean)
    return f"{form(estimate.mean)} [{form(estimate.low)}, {form(estimate.high)}]"


def _table(summary: Summary, group: str, columns: Sequence[tuple[str, str, Format]]) -> str:
    rows = [
        (
            method,
            str(summary.rows[method, group]),
            *(shown(summary.get(method, group, name), form) for name, _, form in columns),
        )
        for method in summary.methods
        if (method, group) in summary.rows
    ]
    return markdown_table(("method", "edits", *(heading for _, heading, _ in columns)), rows)


def exact_table(summary: Summary) -> str:
    """The exact rate of every family and prompt."""
    groups = [group for group in summary.groups if group not in (ALL, COUNTERFACTUAL, COLOURS)]
    rows = [
        (group, *(shown(summary.get(m, group, "exact"), percent) for m in summary.methods))
        for group in groups
    ]
    return markdown_table(("prompts", *summary.methods), rows)


def _methods(about: Mapping[str, Any]) -> str:
    rows = []
    for name, facts in about["methods"].items():
        seconds = facts["seconds_of_training"]
        settings = ", ".join(f"{key} {value}" for key, value in facts["settings"].items())
        rows.append((name, "not measured" if seconds is None else f"{seconds:.0f}", settings))
    return markdown_table(("method", "seconds of training", "settings"), rows)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown.

    >>> print(markdown_table(("a", "b"), [("1", "2")]), end="")
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
