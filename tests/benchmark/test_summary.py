"""Rows to figures, by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cfclip_benchmark import MeasuredEdit, StrengthScore
from cfclip_benchmark.figures import seconds_series, strength_series
from cfclip_benchmark.report import (
    COSTS,
    ahead_table,
    csv_text,
    figures_table,
    markdown_text,
    unanswered,
)
from cfclip_benchmark.summary import (
    Estimate,
    mean_differences,
    mean_with_interval,
    prompt_groups,
    summarise_rows,
)

ROW = MeasuredEdit(
    method="mine",
    prompt="green hair",
    family="hair",
    avatar=0,
    success=True,
    preservation=1.0,
    lost=(),
    psnr_outside=30.0,
    exact=True,
    truth_distance=0.5,
    truth_psnr=20.0,
    inversion_distance=0.25,
    inversion_psnr=33.0,
    clip_similarity=0.3,
    judge_similarity=None,
    seconds=1.0,
    peak_memory=100.0,
    steps=2,
    stop_reason="completed",
    strengths=(StrengthScore(0.5, False, 1.0, False),),
)
FAILED = replace(ROW, avatar=1, success=False, exact=False, seconds=2.0, preservation=0.5)
UNREADABLE = replace(ROW, avatar=2, success=None, exact=None, seconds=9.0, strengths=())
CONTROL = replace(ROW, prompt="a smile", family="control", exact=False, lost=("beard",))
PAIR = replace(ROW, prompt="a beard and long hair", family="excluded", exact=False)
ORACLE = replace(ROW, method="oracle", seconds=None, peak_memory=None, strengths=())
ROWS = (ROW, FAILED, UNREADABLE, CONTROL, PAIR, ORACLE)
DESCRIPTION: dict[str, Any] = {
    "pack": {"name": "avatars", "version": "1", "fingerprint": "0123456789abcdef"},
    "versions": {"cfclip": "1", "torch": "2", "machine": "Linux", "threads": 1},
    "device": "cpu",
    "split": "test",
    "seed": 0,
    "judge_clip": "abc",
    "methods": {"mine": {"seconds_of_training": None, "settings": {"steps": 2}}},
}


def test_groups() -> None:
    mine = [row for row in ROWS if row.method == "mine"]
    groups = prompt_groups(mine)
    assert list(groups) == [
        *("all", "counterfactual", "colours", "hair", "control", "excluded"),
        *('"green hair"', '"a smile"', '"a beard and long hair"'),
    ]
    assert groups["counterfactual"] == [ROW, FAILED, UNREADABLE, PAIR]
    assert groups["colours"] == groups["hair"] == groups['"green hair"']
    assert "colours" not in prompt_groups([CONTROL])


def test_figures_by_hand() -> None:
    summary = summarise_rows(ROWS, {("mine", "all"): 0.125})
    assert summary.methods == ("oracle", "mine")

    def mean(measure: str, group: str = "hair", method: str = "mine") -> float | None:
        found = summary.get(method, group, measure)
        return None if found is None else found.mean

    assert (mean("success"), mean("exact"), mean("readable")) == (0.5, 0.5, pytest.approx(2 / 3))
    assert mean("exact", "counterfactual") == pytest.approx(1 / 3)
    assert mean("preservation") == pytest.approx(2.5 / 3)
    assert (mean("seconds"), mean("median_seconds")) == (4.0, 2.0)
    assert mean("judge_similarity") is None
    assert mean("seconds", method="oracle") is None
    assert (mean("kid", "all"), mean("kid")) == (0.125, None)
    exact = summary.get("mine", "hair", "exact")
    assert exact is not None
    assert (exact.low, exact.high, exact.count) == (0.0, 1.0, 2)
    assert summary.rows["mine", "hair"] == 3


def test_files_say_what_was_measured() -> None:
    summary = summarise_rows(ROWS, {})
    lines = csv_text(summary).splitlines()
    assert lines[0] == "method,group,measure,value,low,high,count"
    assert "mine,hair,success,0.5,0,1,2" in lines
    assert 'oracle,"""green hair""",exact,1,,,1' in lines
    text = markdown_text(ROWS, summary, DESCRIPTION)
    assert "| mine | 4 | 66.7 [" in text
    assert "| oracle | 1 | 100.0 | 100.0 | 100.0 | 30.0 | 0.500 | 20.0 | - |" in text
    assert '| "a smile" | - | 0.0 |' in text
    assert "| mine | not measured | steps 2 |" in text
    assert "without an edit" not in text


def test_what_a_method_was_not_asked_is_told_whichever_run_left_it_out() -> None:
    other = replace(ROW, method="mapper")
    rows = [*ROWS, other]
    assert unanswered(rows, ("mine",)) == {}
    description = {
        **DESCRIPTION,
        "methods": {**DESCRIPTION["methods"], "mapper": DESCRIPTION["methods"]["mine"]},
    }
    text = markdown_text(rows, summarise_rows(rows, {}), description)
    assert text.endswith("## Prompts without an edit\n\n- mapper: a smile, a beard and long hair\n")


def test_edits_of_a_moment_take_some_time() -> None:
    rows = [replace(ROW, seconds=0.00489), replace(ROW, method="slow", seconds=2.5)]
    lines = figures_table(summarise_rows(rows, {}), "counterfactual", COSTS).splitlines()
    assert [line.split(" | ")[2] for line in lines[2:]] == ["0.0049", "2.50"]


def test_differences_are_of_the_cases_that_both_were_asked() -> None:
    other = replace(ROW, method="other", exact=False)
    rows = [
        *(ROW, FAILED, CONTROL),
        *(other, replace(other, avatar=1), replace(other, avatar=2, exact=True)),
        replace(other, prompt="a smile", family="control", exact=True),
    ]
    found = mean_differences(rows, "mine", "other")
    assert {group: (e.mean, e.count) for group, e in found.items() if group[0] != '"'} == {
        "all": (0.0, 3),
        "counterfactual": (0.5, 2),
        "colours": (0.5, 2),
        "hair": (0.5, 2),
        "control": (-1.0, 1),
    }
    assert (found["hair"].low, found["hair"].high) == (0.0, 1.0)
    assert mean_differences(rows, "other", "mine", "preservation")["hair"].mean == 0.25
    assert mean_differences(rows, "mine", "nobody") == {}


def test_ours_are_compared_with_the_others() -> None:
    rows = [
        *(replace(row, method="cfclip-optimisation") for row in (ROW, FAILED)),
        *(replace(row, method="styleclip-global", exact=False) for row in (ROW, FAILED)),
        *(replace(row, method="logit-text-map") for row in (ROW, FAILED)),
        ORACLE,
    ]
    table = ahead_table(rows, summarise_rows(rows, {}), "cfclip-optimisation")
    assert table.splitlines()[0] == "| prompts | styleclip-global |"
    assert "| hair | +50.0 [+0.0, +100.0] |" in table
    assert ahead_table(rows, summarise_rows(rows, {}), "cfclip-mapper") == ""
    alone = [row for row in rows if row.method != "styleclip-global"]
    assert ahead_table(alone, summarise_rows(alone, {}), "cfclip-optimisation") == ""


def test_charts_are_of_counterfactual_edits() -> None:
    (series,) = strength_series(ROWS)
    assert series.name == "mine"
    # Own strength: exact, not, unreadable, not. Half of it: none of three.
    assert [(point.x, point.y) for point in series.points] == [(0.5, 0.0), (1.0, 1 / 3)]
    summary = summarise_rows(ROWS, {})
    (seconds,) = seconds_series(summary, summary)
    assert [(point.x, point.y) for point in seconds.points] == [(1.5, 1 / 3)]
    slower = summarise_rows([replace(row, seconds=9.0) for row in ROWS if row.seconds], {})
    (seconds,) = seconds_series(summary, slower)
    assert [(point.x, point.y) for point in seconds.points] == [(9.0, 1 / 3)]
    assert strength_series([ORACLE]) == []


def test_means_and_intervals_by_hand() -> None:
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


def test_an_interval_is_as_wide_as_it_should_be() -> None:
    """Of a mean of 100 numbers, the interval is near 1.96 standard errors to either side."""
    drawn = np.random.default_rng(0).normal(size=100)
    estimate = mean_with_interval(list(enumerate(drawn.tolist())))
    assert estimate is not None
    error = drawn.std() / 10.0
    assert estimate.low == pytest.approx(drawn.mean() - 1.96 * error, abs=0.2 * error)
    assert estimate.high == pytest.approx(drawn.mean() + 1.96 * error, abs=0.2 * error)
