"""Tables of docs/RESULTS.md beyond those that every benchmark's summary has."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cfclip.editing import COMPARED
from cfclip_benchmark import (
    ALL,
    CONTROL,
    COUNTERFACTUAL,
    ORACLE,
    MeasuredEdit,
    Summary,
    markdown_table,
    mean_with_interval,
    percent,
    summarise_rows,
    with_interval,
)

_REPEATED = ("success", "preservation", "exact")
_OFTEN_LOST = 8
"""Attributes, the most often lost ones, that have a column."""


def family_table(summary: Summary, measure: str) -> str:
    """A rate by method and family of prompts."""
    families = [each for each in summary.groups if each != ALL and not each.startswith('"')]
    lines = [
        (
            method,
            *(with_interval(summary.get(method, family, measure), percent) for family in families),
        )
        for method in summary.methods
    ]
    return markdown_table(("method", *families), lines)


def attainable_table(rows: Sequence[MeasuredEdit]) -> str:
    """Exact rate of the counterfactual edits whose true answer, inverted, is read as exact itself.

    In the others an attribute is lost in the inversion, or the probes see one where none is.
    """
    attainable = {row.key[1:] for row in rows if row.method == ORACLE and row.exact}
    lines = []
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method and row.family != CONTROL]
        there = [row for row in own if row.key[1:] in attainable]
        rates = [
            with_interval(mean_with_interval([(row.avatar, row.exact) for row in group]), percent)
            for group in (own, there)
        ]
        lines.append((method, *rates, str(len(there))))
    return markdown_table(("method", "exact, %", "where it is attainable, %", "edits"), lines)


def lost_table(rows: Sequence[MeasuredEdit]) -> str:
    """Per cent of the counterfactual edits that lost an attribute, for those lost most often."""
    counterfactual = [row for row in rows if row.family != CONTROL]
    methods = dict.fromkeys(row.method for row in counterfactual)
    lost = {
        method: Counter(name for row in counterfactual if row.method == method for name in row.lost)
        for method in methods
    }
    edits = Counter(row.method for row in counterfactual)
    often = [name for name, _ in sum(lost.values(), Counter()).most_common(_OFTEN_LOST)]
    lines = [
        (method, *(f"{100 * lost[method][name] / edits[method]:.1f}" for name in often))
        for method in methods
    ]
    return markdown_table(("method", *(name.replace("_", " ") for name in often)), lines)


def repeated_table(first: Sequence[MeasuredEdit], second: Sequence[MeasuredEdit]) -> str:
    """What a second run of some cases found, beside the interval that the first had of them."""
    cases = {row.key for row in first} & {row.key for row in second}
    lines = []
    before, after = (
        summarise_rows([row for row in run if row.key in cases], {}) for run in (first, second)
    )
    for method in after.methods:
        for measure in _REPEATED:
            old, new = (each.get(method, COUNTERFACTUAL, measure) for each in (before, after))
            if old is None or new is None or old.low is None or old.high is None:
                continue
            within = "yes" if old.low <= new.mean <= old.high else "no"
            lines.append((method, measure, with_interval(old, percent), percent(new.mean), within))
    return markdown_table(("method", "measure, %", "first run", "second run", "within"), lines)


def settings_table(tuned: Path) -> str:
    """What the tuning chose, and what it reached on validation; "-" where that cannot be told, as
    of mappers that were trained for none of its prompts."""
    lines = []
    for name in COMPARED:
        file = tuned / f"{name}.json"
        if not file.exists():
            continue
        found = json.loads(file.read_text(encoding="utf-8"))
        settings = ", ".join(f"{key} {value:.3g}" for key, value in found["settings"].items())
        reached = [found["reached"][each] for each in _REPEATED]
        rates = ("-" if rate is None else percent(rate) for rate in reached)
        lines.append((name, str(found["trials"]), settings or "the defaults", *rates))
    return markdown_table(
        ("method", "trials", "settings", *(f"{each}, %" for each in _REPEATED)), lines
    )
