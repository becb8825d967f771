"""A benchmark's figures as files: `results.csv` (edits), `summary.csv`, `summary.md` to read."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from cfclip.editing import OURS
from cfclip_benchmark.benchmark_folder import BenchmarkFolder
from cfclip_benchmark.figures import (
    EXAMPLES,
    EXAMPLES_FILE,
    EXAMPLES_SEED,
    SECONDS_FILE,
    STRENGTH_FILE,
)
from cfclip_benchmark.measured_edits import CONFINED, ORACLE, MeasuredEdit
from cfclip_benchmark.results_file import RESULTS_FILE, results_text, table_text
from cfclip_benchmark.summary import (
    ALL,
    COLOURS,
    CONFIDENCE,
    CONTROL,
    COUNTERFACTUAL,
    KID,
    MEDIAN_SECONDS,
    Estimate,
    Summary,
    mean_differences,
)

CSV_FILE = "summary.csv"
MARKDOWN_FILE = "summary.md"
_SHORT = 0.1  # seconds

Format: TypeAlias = Callable[[float], str]
Columns: TypeAlias = tuple[tuple[str, str, Format], ...]
"""(measure, heading, format) by column of a table."""


def percent(value: float) -> str:
    """A share in per cent, with one decimal."""
    return f"{100.0 * value:.1f}"


def _points(value: float) -> str:
    return f"{100.0 * value:+.1f}"


def _seconds(value: float) -> str:
    """Two decimals, or four of what would be no time at all.

    >>> _seconds(2.5), _seconds(0.00489)
    ('2.50', '0.0049')
    """
    return f"{value:.2f}" if value >= _SHORT else f"{value:.4f}"


QUALITY: Columns = (
    ("success", "success, %", percent),
    ("preservation", "preservation, %", percent),
    ("exact", "exact, %", percent),
    ("psnr_outside", "PSNR outside, dB", "{:.1f}".format),
    ("truth_distance", "distance to truth", "{:.3f}".format),
    ("truth_psnr", "PSNR to truth, dB", "{:.1f}".format),
    (KID, "KID", "{:.4f}".format),
)
"""What became of edits."""
JUDGED: Columns = (
    ("clip_similarity", "similarity, optimised CLIP", "{:.3f}".format),
    ("judge_similarity", "similarity, judge CLIP", "{:.3f}".format),
)
"""What two CLIPs say of them."""
COSTS: Columns = (
    (MEDIAN_SECONDS, "seconds per edit, median", _seconds),
    ("peak_memory", "peak memory, MiB", "{:.0f}".format),
)
"""What they take."""


def write_summary(
    folder: BenchmarkFolder,
    rows: Sequence[MeasuredEdit],
    summary: Summary,
    description: Mapping[str, Any],
) -> tuple[Path, ...]:
    """Write the three files; returns their paths. Raises `InputError` if they cannot be written.

    Args:
        folder: where to.
        rows: each edit once.
        summary: the figures of them.
        description: what `BenchmarkFolder.description` gives.
    """
    return (
        folder.write(RESULTS_FILE, results_text(rows)),
        folder.write(CSV_FILE, csv_text(summary)),
        folder.write(MARKDOWN_FILE, markdown_text(rows, summary, description)),
    )


def csv_text(summary: Summary) -> str:
    """A line for each method, group and measure: value, interval, values behind it."""
    lines = (
        (method, group, name, value.mean, value.low, value.high, value.count)
        for (method, group), measures in summary.figures.items()
        for name, value in measures.items()
    )
    return table_text(("method", "group", "measure", "value", "low", "high", "count"), lines)


def markdown_text(
    rows: Sequence[MeasuredEdit], summary: Summary, description: Mapping[str, Any]
) -> str:
    """The whole page."""
    pack, versions = description["pack"], description["versions"]
    first = summary.methods[0]
    distance = with_interval(summary.get(first, ALL, "inversion_distance"), "{:.3f}".format)
    decibels = with_interval(summary.get(first, ALL, "inversion_psnr"), "{:.1f}".format)
    parts = [
        "# CounterfactualBench\n",
        f"Pack `{pack['name']}` {pack['version']} ({pack['fingerprint'][:12]}), cfclip "
        f"{versions['cfclip']}, torch {versions['torch']}, {versions['machine']}, "
        f"{versions['threads']} threads, device {description['device']}. Prompts and avatars: "
        f"{description['split']}; seed {description['seed']}. Read by ruler {rows[0].ruler}. In "
        f"brackets, the interval that holds {CONFIDENCE:.0%} of bootstrap draws over avatars. "
        "docs/BENCHMARK.md explains every measure.\n",
        f"The inverted sources themselves are at {distance} from their avatars in probe "
        f"features, and at {decibels} dB.\n",
    ]
    for group, title in (
        (COUNTERFACTUAL, "Counterfactual prompts"),
        (CONTROL, "Prompts in the domain"),
    ):
        if group in summary.groups:
            parts += [f"## {title}\n", figures_table(summary, group, QUALITY)]
            if group == COUNTERFACTUAL:
                parts += [figures_table(summary, group, columns) for columns in (JUDGED, COSTS)]
    for method in (*OURS, *(name + CONFINED for name in OURS)):
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
    parts += [
        "## Exact rate by prompt\n",
        exact_table(summary),
        "## Methods\n",
        _methods(description),
    ]
    if left_out := unanswered(rows, tuple(description["methods"])):
        lines = [f"- {name}: {', '.join(prompts)}\n" for name, prompts in left_out.items()]
        parts += ["## Prompts without an edit\n", "".join(lines)]
    return "\n".join(parts)


def figures_table(summary: Summary, group: str, columns: Columns) -> str:
    """Figures of the edits of a group, by method."""
    rows = [
        (
            method,
            str(summary.rows[method, group]),
            *(with_interval(summary.get(method, group, name), form) for name, _, form in columns),
        )
        for method in summary.methods
        if (method, group) in summary.rows
    ]
    return markdown_table(("method", "edits", *(heading for _, heading, _ in columns)), rows)


def ahead_table(rows: Sequence[MeasuredEdit], summary: Summary, method: str) -> str:
    """By group of prompts, how far a method is ahead of each that is none of `OURS`; "" if none.

    What is confined is compared with what is, the rest with the rest.
    """
    if method not in summary.methods:
        return ""
    others = [
        name
        for name in summary.methods
        if name.removesuffix(CONFINED) not in (*OURS, ORACLE)
        and name.endswith(CONFINED) == method.endswith(CONFINED)
    ]
    compared = {other: mean_differences(rows, method, other) for other in others}
    compared = {other: by_group for other, by_group in compared.items() if by_group}
    groups = [g for g in summary.groups if g != ALL and not g.startswith('"')]
    lines = [
        (group, *(with_interval(by_group.get(group), _points) for by_group in compared.values()))
        for group in groups
        if any(group in by_group for by_group in compared.values())
    ]
    return markdown_table(("prompts", *compared), lines) if lines else ""


def unanswered(rows: Sequence[MeasuredEdit], methods: Sequence[str]) -> dict[str, list[str]]:
    """By method, the prompts that others were asked and it was not, such as a mapper that was not
    trained for them; methods that there is no such prompt of are not there."""
    prompts = list(dict.fromkeys(row.prompt for row in rows))
    asked = {(row.method, row.prompt) for row in rows}
    left = {name: [each for each in prompts if (name, each) not in asked] for name in methods}
    return {name: missing for name, missing in left.items() if missing}


def with_interval(estimate: Estimate | None, form: Format) -> str:
    """A figure with its interval in brackets, if it has one; "-" where there is none."""
    if estimate is None:
        return "-"
    if estimate.low is None or estimate.high is None:
        return form(estimate.mean)
    return f"{form(estimate.mean)} [{form(estimate.low)}, {form(estimate.high)}]"


def exact_table(summary: Summary) -> str:
    """The exact rate of every family and prompt."""
    groups = [group for group in summary.groups if group not in (ALL, COUNTERFACTUAL, COLOURS)]
    rows = [
        (group, *(with_interval(summary.get(m, group, "exact"), percent) for m in summary.methods))
        for group in groups
    ]
    return markdown_table(("prompts", *summary.methods), rows)


def _methods(description: Mapping[str, Any]) -> str:
    rows = []
    for name, method in description["methods"].items():
        seconds = method["seconds_of_training"]
        settings = ", ".join(f"{key} {value}" for key, value in method["settings"].items())
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
