"""Tables of the page of results, from rows whose figures can be told by hand."""

import json
from pathlib import Path

from benchmark_rows import row

from recipes.avatars.results_tables import (
    attainable_table,
    lost_table,
    repeated_table,
    settings_table,
)

ROWS = (
    row("oracle", 0, True),
    row("oracle", 1, False, ("beard",)),
    row("ours", 0, True),
    row("ours", 1, False, ("beard", "lip_colour")),
    row("theirs", 0, False, ("lip_colour",)),
    row("theirs", 1, True),
)


def cells(table: str) -> list[list[str]]:
    return [[cell.split(" [")[0] for cell in line.split(" | ")] for line in table.splitlines()]


def test_what_is_attainable_is_what_the_oracle_reaches() -> None:
    assert cells(attainable_table(ROWS))[2:] == [
        ["| oracle", "50.0", "100.0", "1 |"],
        ["| ours", "50.0", "100.0", "1 |"],
        ["| theirs", "50.0", "0.0", "1 |"],
    ]


def test_the_attributes_that_are_lost_most_often_come_first() -> None:
    assert cells(lost_table(ROWS)) == [
        ["| method", "beard", "lip colour |"],
        ["| ---", "---", "--- |"],
        ["| oracle", "50.0", "0.0 |"],
        ["| ours", "50.0", "50.0 |"],
        ["| theirs", "0.0", "50.0 |"],
    ]


def test_two_runs_are_compared_on_the_cases_of_both() -> None:
    first = (row("ours", 0, True), row("ours", 1, True), row("ours", 2, False))
    second = (row("ours", 0, True), row("ours", 1, True), row("ours", 3, False))
    assert cells(repeated_table(first, second))[2] == [
        "| ours",
        "success",
        "100.0",
        "100.0",
        "yes |",
    ]


def test_a_method_that_no_trial_tells_anything_of_has_no_rates(tmp_path: Path) -> None:
    reached = {"strength": 1.0, "exact": None, "success": None, "preservation": None}
    content = {"trials": 1, "settings": {}, "reached": reached}
    (tmp_path / "cfclip-mapper.json").write_text(json.dumps(content))
    assert settings_table(tmp_path).splitlines()[2] == (
        "| cfclip-mapper | 1 | the defaults | - | - | - |"
    )
