"""Uploads are taken from the app's own folder only, and do not stay."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from cfclip.apps.web.uploads import remove_abandoned, taken_upload
from cfclip.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "uploads"
    (made / "abc").mkdir(parents=True)
    (made / "abc" / "cat.png").write_bytes(b"cat")
    return made


def test_a_file_is_gone_after_it_was_taken(folder: Path) -> None:
    with taken_upload({"path": str(folder / "abc" / "cat.png")}, folder) as (path, name):
        assert (path.read_bytes(), name) == (b"cat", "cat.png")
    assert list(folder.iterdir()) == []


def test_it_is_gone_though_it_could_not_be_used(folder: Path) -> None:
    with (
        pytest.raises(ValueError, match="bad"),
        taken_upload({"path": str(folder / "abc" / "cat.png")}, folder),
    ):
        raise ValueError("bad")
    assert not (folder / "abc").exists()


def test_others_of_the_same_folder_stay(folder: Path) -> None:
    (folder / "abc" / "dog.png").write_bytes(b"dog")
    with taken_upload({"path": str(folder / "abc" / "cat.png")}, folder):
        pass
    assert [path.name for path in (folder / "abc").iterdir()] == ["dog.png"]


@pytest.mark.parametrize(
    "data",
    [
        *(None, {}, {"path": None}, {"path": 5}, {"path": ""}, {"path": "a\0b"}, "text", []),
        *({"path": "/etc/passwd"}, {"path": "http://127.0.0.1/x"}, {"path": "FOLDER"}),
        *({"path": "FOLDER/../mine.png"}, {"path": "FOLDER/link.png"}, {"path": "FOLDER/no.png"}),
    ],
)
def test_nothing_else_is_opened(folder: Path, data: Any) -> None:
    mine = folder.parent / "mine.png"
    mine.write_bytes(b"mine")
    (folder / "link.png").symlink_to(mine)
    if isinstance(data, dict) and isinstance(data.get("path"), str):
        data = {"path": data["path"].replace("FOLDER", str(folder))}
    with pytest.raises(InputError, match="did not arrive"), taken_upload(data, folder):
        raise AssertionError
    assert mine.read_bytes() == b"mine"


def test_what_nobody_took_is_removed_after_a_while(folder: Path) -> None:
    fresh = folder / "new.png"
    fresh.write_bytes(b"new")
    long_ago = time.time() - 1000
    os.utime(folder / "abc" / "cat.png", (long_ago, long_ago))
    assert remove_abandoned(folder) == 1
    assert list(folder.iterdir()) == [fresh]
