"""A benchmark's rows made into figures, by method and group of prompts, and compared by pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from cfclip_benchmark.avatars import COLOUR_FAMILIES
from cfclip_benchmark.measured_edits import ORACLE, MeasuredEdit

CONTROL = "control"
COUNTERFACTUAL = "counterfactual"
COLOURS = "colours"
ALL = "all"
KID = "kid"
MEDIAN_SECONDS = "median_seconds"

MEASURES = (
    *("success", "preservation", "exact", "readable", "psnr_outside", "truth_distance"),
    *("truth_psnr", "inversion_distance", "inversion_psnr", "clip_similarity", "judge_similarity"),
    *("seconds", "peak_memory"),
)
"""What is averaged over rows. Success and exact rate are of the rows whose success can be read."""

DRAWS = 2000
CONFIDENCE = 0.95
_SEED = 20220712  # any will do, as long as it is always the same


@dataclass(frozen=True)
class Estimate:
    """A mean and its interval."""

    mean: float
    low: float | None
    """Lower end; None where one avatar alone says nothing of others."""
    high: float | None
    count: int
    """Values behind the mean."""


@dataclass(frozen=True)
class Summary:
    """Figures of a benchmark."""

    figures: Mapping[tuple[str, str], Mapping[str, Estimate]]
    """By (method, group), then by measure; what cannot be told is not there."""
    rows: Mapping[tuple[str, str], int]
    """How many rows are behind them."""

    @property
    def methods(self) -> tuple[str, ...]:
        """The oracle first, then in the order of their first rows."""
        names = dict.fromkeys(method for method, _ in self.rows)
        return tuple(sorted(names, key=lambda name: name != ORACLE))

    @property
    def groups(self) -> tuple[str, ...]:
        """In the order of `prompt_groups`."""
        return tuple(dict.fromkeys(group for _, group in self.rows))

    def get(self, method: str, group: str, measure: str) -> Estimate | None:
        """One figure; None if it is not there."""
        return self.figures.get((method, group), {}).get(measure)


def mean_with_interval(values: Sequence[tuple[int, float | None]]) -> Estimate | None:
    """The mean over all values, and the interval of a bootstrap over avatars.

    What edits of one avatar have in common makes them no independent draws, so that avatars are
    drawn, each with all its values (Efron & Tibshirani 1993, percentile intervals). The draws are
    seeded: the same values, the same interval.

    Args:
        values: (avatar, value) pairs; None is left out.

    Returns:
        None if there is no value.
    """
    known = [(avatar, value) for avatar, value in values if value is not None]
    if not known:
        return None
    names, place = np.unique([avatar for avatar, _ in known], return_inverse=True)
    sums = np.bincount(place, [value for _, value in known])
    counts = np.bincount(place)
    mean = float(sums.sum() / counts.sum())
    if len(names) < 2:
        return Estimate(mean, None, None, len(known))
    drawn = np.random.default_rng(_SEED).integers(len(names), size=(DRAWS, len(names)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return Estimate(mean, float(low), float(high), len(known))


def prompt_groups(rows: Sequence[MeasuredEdit]) -> dict[str, list[MeasuredEdit]]:
    """Rows of all, of the counterfactual ones, of the four colour families, by family, by prompt.

    A prompt's group is its text in quotation marks. A group without rows is not there.
    """
    groups: dict[str, list[MeasuredEdit]] = {ALL: list(rows)}
    groups[COUNTERFACTUAL] = [row for row in rows if row.family != CONTROL]
    groups[COLOURS] = [row for row in rows if row.family in COLOUR_FAMILIES]
    for row in rows:
        groups.setdefault(row.family, []).append(row)
    for row in rows:
        groups.setdefault(f'"{row.prompt}"', []).append(row)
    return {name: members for name, members in groups.items() if members}


def summarise_rows(
    rows: Sequence[MeasuredEdit], realism: Mapping[tuple[str, str], float]
) -> Summary:
    """Every figure of every method and group.

    Args:
        rows: each edit once.
        realism: KID by (method, group), where there is one.
    """
    figures: dict[tuple[str, str], dict[str, Estimate]] = {}
    counts: dict[tuple[str, str], int] = {}
    for method in dict.fromkeys(row.method for row in rows):
        for group, members in prompt_groups([row for row in rows if row.method == method]).items():
            key = (method, group)
            means = {name: _mean(members, name) for name in MEASURES}
            figures[key] = {name: mean for name, mean in means.items() if mean is not None}
            counts[key] = len(members)
            if seconds := [row.seconds for row in members if row.seconds is not None]:
                value = float(median(seconds))
                figures[key][MEDIAN_SECONDS] = Estimate(value, None, None, len(seconds))
            if key in realism:
                figures[key][KID] = Estimate(realism[key], None, None, len(members))
    return Summary(figures, counts)


def _mean(rows: Sequence[MeasuredEdit], measure: str) -> Estimate | None:
    return mean_with_interval([(row.avatar, getattr(row, measure)) for row in rows])


def mean_differences(
    rows: Sequence[MeasuredEdit], method: str, other: str, measure: str = "exact"
) -> dict[str, Estimate]:
    """Mean difference of a measure, `method` minus `other`, by group of prompts.

    Of the cases that both have a row and a value of: what avatars and prompts have in common drops
    out, so that the interval is narrower than those of the two means tell.

    Args:
        rows: each edit once.
        method, other: names in the rows.
        measure: one of `MEASURES`.
    """
    values = {row.key: getattr(row, measure) for row in rows}
    differences = {}
    for group, members in prompt_groups([row for row in rows if row.method == method]).items():
        pairs = [
            (row.avatar, values[row.key], values.get((other, row.prompt, row.avatar)))
            for row in members
        ]
        estimate = mean_with_interval(
            [
                (avatar, own - theirs)
                for avatar, own, theirs in pairs
                if own is not None and theirs is not None
            ]
        )
        if estimate is not None:
            differences[group] = estimate
    return differences
