import numpy as np
import pytest

from cfclip_benchmark.intervals import Estimate, mean_with_interval


def test_by_hand() -> None:
    assert mean_with_interval([]) is None
    assert mean_with_interval([(0, None)]) is None
    assert mean_with_interval([(0, 1.0), (0, 0.0), (1, None)]) == Estimate(0.5, None, None, 2)
    assert mean_with_interval([(0, True), (1, True)]) == Estimate(1.0, 1.0, 1.0, 2)
    # Two avatars: a draw has the one twice, the other twice, or both.
    assert mean_with_interval([(3, 0.0), (9, 1.0)]) == Estimate(0.5, 0.0, 1.0, 2)
    # The mean is over edits, not over avatars' means.
    estimate = mean_with_interval([(0, 0.0), (0, 0.0), (0, 0.0), (1, 1.0)])
    assert estimate is not None
    assert estimate.mean == 0.25


def test_the_same_values_have_the_same_interval_whatever_their_order() -> None:
    values = [(avatar, float(avatar % 3)) for avatar in range(12)]
    assert mean_with_interval(values) == mean_with_interval(values[::-1])


def test_edits_of_one_avatar_count_as_one_draw() -> None:
    """Ten edits of an avatar that all end alike say no more of other avatars than one does."""
    values = [(avatar, float(avatar % 2)) for avatar in range(20)]
    once, often = mean_with_interval(values), mean_with_interval(values * 10)
    assert once is not None
    assert often is not None
    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_it_is_as_wide_as_it_should_be() -> None:
    """Of a mean of 100 numbers, the interval is near 1.96 standard errors to either side."""
    drawn = np.random.default_rng(0).normal(size=100)
    estimate = mean_with_interval(list(enumerate(drawn.tolist())))
    assert estimate is not None
    error = drawn.std() / 10.0
    assert estimate.low == pytest.approx(drawn.mean() - 1.96 * error, abs=0.2 * error)
    assert estimate.high == pytest.approx(drawn.mean() + 1.96 * error, abs=0.2 * error)
