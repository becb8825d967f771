"""The folder of a batch: claimed for one set of settings, by one process at a time."""

from dataclasses import replace
from pathlib import Path

import pytest
from full_disk import room_for

from cfclip.batches.batch_folder import RECORD_FILE, RESULTS_FILE, ROWS_FILE, BatchFolder
from cfclip.batches.rows import Place, Row
from cfclip.errors import InputError

ABOUT = {"pack": "abc", "settings": {"steps": 3, "lr": 0.1}}
ROWS = [Row(f"row-{seed}", f"sample:{seed}", Place("sample", seed), "x", 1.0, 0) for seed in (1, 2)]


@pytest.fixture
def folder(tmp_path: Path) -> BatchFolder:
    made = BatchFolder(tmp_path / "batch")
    with made.alone():
        return made


def test_a_batch_goes_on(folder: BatchFolder) -> None:
    assert folder.claim(ABOUT, ROWS) == 0
    folder.add_reports([{"name": "row-1", "error": None}])
    again = BatchFolder(folder.path)
    assert again.claim(ABOUT, ROWS) == 0
    assert again.report("row-1") == {"error": None, "psnr": None, "warnings": None}
    assert again.report("row-2") == {}


def test_settings_that_are_newer_than_a_batch_had_their_defaults(folder: BatchFolder) -> None:
    newer = {"precision": "float32", "rendering": "whole", "aspects": 0.0}
    about = {**ABOUT, "projection": {"steps": 5}}
    folder.claim(about, ROWS)
    folder.claim({**about, "settings": {**ABOUT["settings"], **newer}}, ROWS)  # type: ignore[dict-item]
    folder.claim({**about, "projection": {"steps": 5, "coarse": 0.0}}, ROWS)
    with pytest.raises(InputError, match=r"with another projection\.coarse"):
        folder.claim({**about, "projection": {"steps": 5, "coarse": 0.5}}, ROWS)


def test_other_settings_are_refused_by_name(folder: BatchFolder) -> None:
    folder.claim(ABOUT, ROWS)
    changed = {"pack": "def", "settings": {"steps": 4, "lr": 0.1}}
    with pytest.raises(InputError, match=r"with another pack, settings\.steps; choose another"):
        folder.claim(changed, ROWS)
    folder.claim(ABOUT, ROWS)


def test_rows_come_and_go_but_stay_the_same(folder: BatchFolder) -> None:
    folder.claim(ABOUT, ROWS)
    more = Row("row-3", "sample:3", Place("sample", 3), "x", 1.0, 0)
    assert folder.claim(ABOUT, [ROWS[0], more]) == 1
    assert folder.claim(ABOUT, [*ROWS, more]) == 0
    other = replace(ROWS[0], place=Place("sample", 9), strength=2.0)
    with pytest.raises(InputError, match=r"row-1 .* with another place\.seed, strength; choose"):
        folder.claim(ABOUT, [other])
    folder.claim(ABOUT, [replace(ROWS[0], image="listed in another way")])


def test_a_folder_of_something_else(folder: BatchFolder) -> None:
    (folder.path / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="holds other files; choose another --out"):
        folder.claim(ABOUT, ROWS)


@pytest.mark.parametrize("content", ["{", "[]", '{"kind": "bench"}'])
def test_a_record_that_is_none(folder: BatchFolder, content: str) -> None:
    (folder.path / RECORD_FILE).write_text(content)
    with pytest.raises(InputError, match="choose another --out"):
        folder.claim(ABOUT, ROWS)


def test_torn_lines(folder: BatchFolder) -> None:
    folder.claim(ABOUT, ROWS)
    folder.add_reports([{"name": "row-1", "psnr": 30.0}])
    with open(folder.path / RESULTS_FILE, "ab") as stream:
        stream.write(b'no JSON\n{"name": "row-2", "ps')
    again = BatchFolder(folder.path)
    again.claim(ABOUT, ROWS)
    again.add_reports([{"name": "row-2", "psnr": 31.0}])
    third = BatchFolder(folder.path)
    third.claim(ABOUT, ROWS)
    assert [third.report(row.name)["psnr"] for row in ROWS] == [30.0, 31.0]


def test_a_damaged_list_of_rows_is_told(folder: BatchFolder) -> None:
    folder.claim(ABOUT, ROWS)
    (folder.path / ROWS_FILE).write_text("{}\n")
    with pytest.raises(InputError, match=r"rows\.jsonl:1: missing field name, .* it is damaged"):
        BatchFolder(folder.path).claim(ABOUT, ROWS)


def test_one_process_at_a_time(folder: BatchFolder) -> None:
    pytest.importorskip("fcntl")
    with (
        folder.alone(),
        pytest.raises(InputError, match="another process works in"),
        BatchFolder(folder.path).alone(),
    ):
        pass


def test_a_full_disk(folder: BatchFolder) -> None:
    folder.claim(ABOUT, ROWS)
    with room_for(10), pytest.raises(InputError, match="cannot write"):
        folder.add_reports([{"name": "row-1", "warnings": ["x" * 100]}])
    BatchFolder(folder.path).claim(ABOUT, ROWS)
