"""How far one method is ahead of another, on the cases that both were asked."""

from collections.abc import Callable, Mapping, Sequence

from cfclip_benchmark.intervals import Estimate, mean_with_interval
from cfclip_benchmark.measured_edits import MeasuredEdit
from cfclip_benchmark.summary import MEASURES, groups_of


def differences(
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
    read: Callable[[MeasuredEdit], float | None] = MEASURES[measure]
    others: Mapping[tuple[str, int], float | None] = {
        row.key[1:]: read(row) for row in rows if row.method == other
    }
    found = {}
    for group, members in groups_of([row for row in rows if row.method == method]).items():
        pairs = [(row.avatar, read(row), others.get(row.key[1:])) for row in members]
        values = [
            (avatar, None if mine is None or theirs is None else mine - theirs)
            for avatar, mine, theirs in pairs
        ]
        if (estimate := mean_with_interval(values)) is not None:
            found[group] = estimate
    return found
