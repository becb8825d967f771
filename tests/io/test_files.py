import hashlib
import os
import stat
from pathlib import Path

import pytest

from cfclip.errors import InputError
from cfclip.io import atomic_write, sha256_of, whole_lines


def test_the_file_appears_whole_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert temporary.parent == path.parent
        assert temporary.suffix == ".json"
        assert temporary.name.startswith(".")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half() -> None:
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "none" / "a.txt"):
        pass


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_the_mode_is_that_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with atomic_write(tmp_path / "a.txt") as temporary:
        temporary.write_text("x")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "a.txt")}
    assert len(modes) == 1


@pytest.mark.parametrize("size", [0, 3, (1 << 20) + 7])
def test_sha256(tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "a").write_bytes(content[:size])
    assert sha256_of(tmp_path / "a") == hashlib.sha256(content[:size]).hexdigest()


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "loop"])
def test_lines_are_read_from_plain_files_only(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else path.name)
    if kind == "loop":
        assert whole_lines(path) == []  # there is no file
        return
    with pytest.raises(InputError, match=r"rows\.jsonl is no plain file; remove it"):
        whole_lines(path)
