"""Rows as a table, and read again."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from benchmark_rows import row

from cfclip.errors import InputError
from cfclip_benchmark import StrengthScore, read_results, results_text

ROWS = (
    replace(row("ours", 0, True), ruler=2, psnr_outside=31.25),
    row("ours", 1, False, ("beard", "lip_colour")),
    replace(row("ours", 2, False), success=None, exact=None, psnr_outside=None),
    replace(
        row("theirs", 0, False),
        seconds=None,
        strengths=(StrengthScore(0.5, False, 1.0, False), StrengthScore(1.5, None, 0.25, None)),
    ),
)


def test_every_edit_has_a_line() -> None:
    lines = list(csv.DictReader(results_text(ROWS).splitlines()))
    assert list(lines[0])[:5] == ["method", "prompt", "family", "avatar", "success"]
    assert [line["success"] for line in lines] == ["1", "1", "", "0"]
    assert lines[0]["exact"] == "1"
    assert (lines[1]["lost"], lines[3]["seconds"]) == ("beard lip_colour", "")
    assert lines[3]["strengths"] == "0.5:0:1:0 1.5::0.25:"


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    file.write_text(results_text(ROWS))
    assert read_results(file) == ROWS


def test_rows_of_before_there_were_rulers(tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    lines = csv.DictReader(results_text(ROWS[1:3]).splitlines())
    with open(file, "w") as stream:
        writer = csv.DictWriter(
            stream,
            [name for name in lines.fieldnames or () if name not in ("ruler", "strengths")],
            extrasaction="ignore",
        )
        writer.writeheader()
        writer.writerows(lines)
    assert read_results(file) == ROWS[1:3]


@pytest.mark.parametrize(
    "spoilt",
    ["ours,green hair,hair,first", "ours,green hair,hair,0,yes", "ours", "ours,g,hair,0,1,x"],
)
def test_a_line_that_is_no_edit(tmp_path: Path, spoilt: str) -> None:
    file = tmp_path / "results.csv"
    file.write_text(results_text(ROWS[:1]) + spoilt + "\n")
    with pytest.raises(InputError, match=r"results\.csv"):
        read_results(file)
