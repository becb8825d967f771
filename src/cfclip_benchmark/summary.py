"""A benchmark's rows made into figures, by method and group of prompts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from cfclip_benchmark.avatars.scores import COLOUR_FAMILIES
from cfclip_benchmark.candidates import ORACLE
from cfclip_benchmark.intervals import Estimate, mean_with_interval
from cfclip_benchmark.measured_edits import MeasuredEdit

CONTROL = "control"
COUNTERFACTUAL = "counterfactual"
COLOURS = "colours"
ALL = "all"
KID = "kid"
MEDIAN_SECONDS = "median_seconds"

MEASURES: Mapping[str, Callable[[MeasuredEdit], float | None]] = {
    "success": lambda row: row.success,
    "preservation": lambda row: row.preservation,
    "exact": lambda row: row.exact,
    "readable": lambda row: row.success is not None,
    "psnr_outside": lambda row: row.psnr_outside,
    "truth_distance": lambda row: row.truth_distance,
    "truth_psnr": lambda row: row.truth_psnr,
    "inversion_distance": lambda row: row.inversion_distance,
    "inversion_psnr": lambda row: row.inversion_psnr,
    "clip_similarity": lambda row: row.clip_similarity,
    "judge_similarity": lambda row: row.judge_similarity,
    "seconds": lambda row: row.seconds,
    "peak_memory": lambda row: row.peak_memory,
}
"""What is averaged over rows. Success and exact rate are of the rows whose success can be read."""


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
        """In the order of `groups_of`."""
        return tuple(dict.fromkeys(group for _, group in self.rows))

    def get(self, method: str, group: str, measure: str) -> Estimate | None:
        """One figure; None if it is not there."""
        return self.figures.get((method, group), {}).get(measure)


def groups_of(rows: Sequence[MeasuredEdit]) -> dict[str, list[MeasuredEdit]]:
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
    return {name: found for name, found in groups.items() if found}


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
        own = groups_of([row for row in rows if row.method == method])
        for group, members in own.items():
            found = {
                name: mean_with_interval([(row.avatar, measure(row)) for row in members])
                for name, measure in MEASURES.items()
            }
            key = (method, group)
            figures[key] = {name: value for name, value in found.items() if value is not None}
            counts[key] = len(members)
            if seconds := [row.seconds for row in members if row.seconds is not None]:
                value = float(median(seconds))
                figures[key][MEDIAN_SECONDS] = Estimate(value, None, None, len(seconds))
            if key in realism:
                figures[key][KID] = Estimate(realism[key], None, None, len(members))
    return Summary(figures, counts)
