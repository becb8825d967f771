"""Rows survive being killed, and say what they are."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from full_disk import room_for

from cfclip.errors import InputError
from cfclip_benchmark import KeptOffset, MeasuredEdit, RowLog, StrengthScore

ROW = MeasuredEdit(
    method="oracle",
    prompt="green hair",
    family="hair",
    avatar=3,
    success=True,
    preservation=0.75,
    lost=("mouth", "beard"),
    psnr_outside=30.5,
    exact=False,
    truth_distance=0.5,
    truth_psnr=20.0,
    inversion_distance=0.25,
    inversion_psnr=33.0,
    clip_similarity=0.3,
    judge_similarity=None,
    seconds=1.5,
    peak_memory=None,
    steps=2,
    stop_reason="completed",
    strengths=(StrengthScore(0.5, None, 1.0, None),),
    ruler=2,
    offset=KeptOffset("w", (0, 1), 1.5, "AAA="),
)


def test_a_row_comes_back_as_it_was(tmp_path: Path) -> None:
    log = RowLog(tmp_path / "rows.jsonl")
    assert log.rows == ()
    log.append([ROW])
    other = replace(ROW, avatar=4, strengths=())
    log.append([other])
    again = RowLog(tmp_path / "rows.jsonl")
    assert again.rows == log.rows == (ROW, other)
    assert ROW.key in again
    assert ("oracle", "green hair", 5) not in again


def test_numbers_that_are_not_finite_become_null() -> None:
    line = replace(ROW, psnr_outside=float("nan"), seconds=float("inf")).to_json()
    assert MeasuredEdit.from_json(line) == replace(ROW, psnr_outside=None, seconds=None)


@pytest.mark.parametrize("torn", ['{"method": "ora', "{", ROW.to_json()])
def test_a_torn_last_line_is_dropped(tmp_path: Path, torn: str) -> None:
    """A line without its end is torn, even if what there is of it could be read."""
    path = tmp_path / "rows.jsonl"
    whole = ROW.to_json() + "\n"
    path.write_text(whole + torn)
    log = RowLog(path)
    assert log.rows == (ROW,)
    assert path.read_text() == whole
    log.append([replace(ROW, avatar=4)])
    assert [row.avatar for row in RowLog(path).rows] == [3, 4]


def test_of_two_rows_for_one_edit_the_later_counts(tmp_path: Path) -> None:
    log = RowLog(tmp_path / "rows.jsonl")
    for steps in (1, 2):
        log.append([replace(ROW, steps=steps)])
    assert [row.steps for row in RowLog(tmp_path / "rows.jsonl").rows] == [2]


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "{}",
        json.dumps({**json.loads(ROW.to_json()), "more": 1}),
        json.dumps({**json.loads(ROW.to_json()), "strengths": [{"strength": 1}]}),
        json.dumps({**json.loads(ROW.to_json()), "strengths": 3}),
        "\xff",
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "rows.jsonl"
    content = f"{ROW.to_json()}\n{line}\n{ROW.to_json()}\n".encode("latin-1")
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"rows\.jsonl:2: .* the line is damaged"):
        RowLog(path)
    assert path.read_bytes() == content


def test_a_full_disk_keeps_the_rows_before(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    log = RowLog(path)
    log.append([ROW])
    size = path.stat().st_size
    with room_for(size + 10), pytest.raises(InputError, match="the rows before are kept"):
        log.append([replace(ROW, avatar=4)])
    assert log.rows == RowLog(path).rows == (ROW,)
    assert path.stat().st_size == size
    log.append([replace(ROW, avatar=4)])
    assert len(RowLog(path).rows) == 2


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").mkdir()
    with pytest.raises(InputError, match="is no plain file"):
        RowLog(tmp_path / "rows.jsonl")
