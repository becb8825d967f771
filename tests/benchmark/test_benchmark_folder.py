from contextlib import nullcontext
from pathlib import Path

import pytest
from PIL import Image

from cfclip.errors import InputError
from cfclip_benchmark.benchmark_folder import DESCRIPTION_FILE, BenchmarkFolder

DESCRIPTION = {
    "format": 1,
    "versions": {"torch": "2"},
    "methods": {"mine": {"settings": {"lr": 0.1}}},
}


@pytest.fixture
def folder(tmp_path: Path) -> BenchmarkFolder:
    return BenchmarkFolder(tmp_path / "bench")


def test_a_folder_is_claimed_once(folder: BenchmarkFolder) -> None:
    folder.claim(DESCRIPTION, resume=True)
    with pytest.raises(InputError, match=r"holds a benchmark already; go on with it \(--resume\)"):
        folder.claim(DESCRIPTION, resume=False)
    folder.claim(DESCRIPTION, resume=True)
    assert folder.description() == DESCRIPTION


def test_methods_come_and_go(folder: BenchmarkFolder) -> None:
    folder.claim(DESCRIPTION, resume=False)
    folder.claim({**DESCRIPTION, "methods": {"other": {"files": ("a",)}}}, resume=True)
    folder.claim({**DESCRIPTION, "methods": {}}, resume=True)
    assert folder.description()["methods"] == {**DESCRIPTION["methods"], "other": {"files": ["a"]}}
    with pytest.raises(InputError, match=r"another methods\.other\.files; choose another"):
        folder.claim({**DESCRIPTION, "methods": {"other": {"files": ("b",)}}}, resume=True)


def test_a_benchmark_that_is_older_than_a_term_goes_on(folder: BenchmarkFolder) -> None:
    folder.claim(DESCRIPTION, resume=False)
    for weight, goes_on in ((0.0, True), (0.5, False)):
        settings = {"lr": 0.1, "identity": weight}
        with nullcontext() if goes_on else pytest.raises(InputError, match=r"settings\.identity"):
            folder.claim({**DESCRIPTION, "methods": {"mine": {"settings": settings}}}, resume=True)


def test_every_difference_is_named(folder: BenchmarkFolder) -> None:
    folder.claim(DESCRIPTION, resume=False)
    changed = {"versions": {"torch": "3", "python": "4"}, "methods": {}, "seed": 0}
    with pytest.raises(
        InputError, match=r"another format, seed, versions\.python, versions\.torch;"
    ):
        folder.claim(changed, resume=True)
    assert folder.description() == DESCRIPTION


def test_another_ruler_is_one_difference_of_many(folder: BenchmarkFolder) -> None:
    folder.claim({**DESCRIPTION, "ruler": 1}, resume=False)
    folder.rows.write_text('{"avatar": 0, "verdicts": []}\n')  # rows that are no edits
    with pytest.raises(InputError, match="begun with another ruler;"):
        folder.claim({**DESCRIPTION, "ruler": 2}, resume=True)
    with pytest.raises(InputError, match="begun with another format;"):
        folder.claim({**DESCRIPTION, "format": 2, "ruler": 2}, resume=True, reads_anew=True)
    assert folder.description()["ruler"] == 1
    folder.rows.unlink()
    folder.claim({**DESCRIPTION, "ruler": 2}, resume=True, reads_anew=True)
    assert folder.description()["ruler"] == 2


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"methods": 3}'])
def test_a_record_that_is_none(folder: BenchmarkFolder, content: str) -> None:
    folder.path.mkdir()
    (folder.path / DESCRIPTION_FILE).write_text(content)
    with pytest.raises(InputError, match="choose another --out"):
        folder.claim(DESCRIPTION, resume=True)


def test_two_processes_do_not_work_in_one_folder(folder: BenchmarkFolder) -> None:
    pytest.importorskip("fcntl")
    folder.claim(DESCRIPTION, resume=False)
    with folder.alone():
        again = BenchmarkFolder(folder.path)
        with pytest.raises(InputError, match=r"another process works in .*; wait"), again.alone():
            pass
    with folder.alone():
        pass


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="cannot write"):
        BenchmarkFolder(tmp_path / "file").claim(DESCRIPTION, resume=False)
    with pytest.raises(InputError, match="cannot write"):
        BenchmarkFolder(tmp_path / "nonesuch").write("summary.md", "text")


def test_pictures(folder: BenchmarkFolder) -> None:
    path = folder.picture("mine", "green-hair-000")
    path.parent.mkdir(parents=True)
    with pytest.raises(InputError, match="--resume makes it again"):
        folder.open_picture(path)
    path.write_bytes(b"no picture")
    with pytest.raises(InputError, match="--resume makes it again"):
        folder.open_picture(path)
    Image.new("L", (3, 4), 7).save(path)
    assert folder.open_picture(path).getpixel((0, 0)) == (7, 7, 7)
