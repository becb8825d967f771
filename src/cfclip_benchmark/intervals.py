"""Means with the interval that another draw of avatars would leave them in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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
    there = [(avatar, value) for avatar, value in values if value is not None]
    if not there:
        return None
    names, place = np.unique([avatar for avatar, _ in there], return_inverse=True)
    sums = np.bincount(place, [value for _, value in there])
    counts = np.bincount(place)
    mean = float(sums.sum() / counts.sum())
    if len(names) < 2:
        return Estimate(mean, None, None, len(there))
    drawn = np.random.default_rng(_SEED).integers(len(names), size=(DRAWS, len(names)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return Estimate(mean, float(low), float(high), len(there))
