from math import nan
from pathlib import Path
from typing import Any

import pytest

from cfclip_benchmark.avatars import ATTRIBUTES
from recipes.avatars.evaluation_page import GOALS, Goal, format_report, write_report
from recipes.avatars.held_out import edits_of

SUCCESS = Goal("success", ("edits", "success"), 70, "%")
SECONDS = Goal("edit", ("timing", "seconds"), 15, "s", "at most")
FAMILIES = tuple(dict.fromkeys(edit.family for edit in edits_of("test")))


def edits(**success: float | None) -> dict[str, Any]:
    """An edits section whose groups have everything at its best but the given success."""
    best = {"preservation": 1.0, "exact": 1.0, "psnr_outside": 40.0, "readable": 1.0}
    groups = {
        name: {**best, "success": success.get(name, 1.0)} for name in (*FAMILIES, "colours", "all")
    }
    gained = {name: {"pack": 0.9, "judge": 0.8} for name in groups}
    return {
        **{"groups": groups, "gained": gained},
        **{"settings": {"steps": 60}, "seconds_per_edit_in_batch": 2.0},
    }


def line(text: str, what: str) -> list[str]:
    """The cells after `what` of the one line of the document that begins with it."""
    (found,) = [row for row in text.splitlines() if row.startswith(f"| {what} |")]
    return [cell.strip() for cell in found.split("|")[2:-1]]


@pytest.mark.parametrize(
    ("goal", "figure", "measured", "outcome"),
    [
        (SUCCESS, 0.71, "71.0 %", "reached"),
        (SUCCESS, 0.70, "70.0 %", "reached"),
        (SUCCESS, 0.6999, "70.0 %", "missed"),
        (SUCCESS, 0.0, "0.0 %", "missed"),
        (SUCCESS, None, "not measured", ""),
        (SUCCESS, nan, "not measured", ""),
        (SECONDS, 15.0, "15.00 s", "reached"),
        (SECONDS, 15.01, "15.01 s", "missed"),
        (Goal("pairs", SUCCESS.figure, None, "%"), 0.5, "50.0 %", ""),
        (Goal("PSNR", SUCCESS.figure, 28, "dB"), 27.99, "28.0 dB", "missed"),
    ],
)
def test_outcomes(goal: Goal, figure: float | None, measured: str, outcome: str) -> None:
    section, key = goal.figure
    assert goal.row({section: {key: figure}})[2:] == (measured, outcome)


def test_goals_are_told_with_their_direction() -> None:
    assert SUCCESS.row({})[:2] == ("success", "at least 70 %")
    assert SECONDS.row({})[:2] == ("edit", "at most 15 s")
    assert Goal("pairs", SUCCESS.figure, None, "%").row({})[1] == "none"


def test_the_worst_of_several_is_named_and_none_may_lack() -> None:
    goal = Goal("probe", ("probes", "plain"), 98, "%", worst_of=("hair", "lip_colour"))
    row = {"hair": 0.99, "lip_colour": 0.975, "brow_colour": 0.1}
    assert goal.row({"probes": {"plain": row}})[2:] == ("97.5 % (lip colour)", "missed")
    for spoilt in ({"hair": 0.99}, {**row, "hair": nan}, None):
        assert goal.row({"probes": {"plain": spoilt}})[2:] == ("not measured", "")
    distance = Goal("marginal", goal.figure, 2, "%", "at most", worst_of=goal.worst_of)
    wrong = {"hair": 0.01, "lip_colour": 0.025}
    assert distance.row({"probes": {"plain": wrong}})[2:] == ("2.5 % (lip colour)", "missed")


def test_families_have_their_own_goals() -> None:
    text = format_report({"edits": edits(hair=0.89, skin=0.85, brow=0.7, lip=None, excluded=0.3)})
    assert line(text, "test edits, hair: success") == ["at least 90 %", "89.0 %", "missed"]
    assert line(text, "test edits, skin: success") == ["at least 80 %", "85.0 %", "reached"]
    assert line(text, "test edits, brow: success") == ["at least 70 %", "70.0 %", "reached"]
    assert line(text, "test edits, lip: success") == ["at least 60 %", "not measured", ""]
    assert line(text, "test edits, excluded: success") == ["none", "30.0 %", ""]
    assert line(text, "test edits: preservation")[::2] == ["at least 97 %", "reached"]
    assert line(text, "test edits: PSNR outside the mask")[::2] == ["at least 28 dB", "reached"]
    assert line(text, "test edits: exact")[::2] == ["at least 60 %", "reached"]
    assert line(text, "one edit of one picture, warm") == ["at most 15 s", "not measured", ""]
    for family in FAMILIES:
        assert line(text, family)[-2:] == ["90.0 %", "80.0 %"]


def test_every_goal_finds_its_figure(tmp_path: Path) -> None:
    shares = dict.fromkeys(ATTRIBUTES, 1.0)
    same = ("attributes_read_the_same", "encoder_attributes_read_the_same")
    inversion = {"psnr": 30.0, "psnr_face": 25.0, **dict.fromkeys(same, 1.0)}
    none = dict.fromkeys(ATTRIBUTES, 0.0)
    read = {"count": 9, "read": shares, "all_read": 1.0, "marginals": none, "pairs_covered": 1.0}
    read |= {"precision": 1.0, "recall": 1.0, "unnatural": {"any": 0.0}}
    paths = {"path_length": {"w": 2.0}, "largest_step": {"w": 1.0}}
    figures = {
        "probes": {"plain": shares, "residual": shares},
        "clip": {"zero_shot": shares, "binding": {"changed": 1.0, "swapped": 1.0}},
        "samples": {**read, **paths, "real": read},
        "projection": inversion,
        "edits": edits(),
        "timing": {"one_edit_seconds": 4.0, "import_seconds": 0.1, "help_seconds": 0.2},
    }
    rows = [goal.row(figures) for goal in GOALS]
    assert {row[3] for row in rows if row[1] != "none"} == {"reached"}
    assert len({row[0] for row in rows}) == len(rows)
    write_report(figures, tmp_path / "EVALUATION.md")
    assert (tmp_path / "EVALUATION.md").read_text() == format_report(figures)
