"""Files that belong together are put in place together, and a killed command can be repeated."""

import os
import shlex
import signal
from pathlib import Path

import pytest
from deadly_rename import die_at_rename, killed_at
from refusals import refused
from tiny_mapper import write_mapper

from cfclip.apps.cli import main
from cfclip.apps.writing import Writing
from cfclip.errors import InputError

TEXT = "green hair"
SET = ("a.png", "a_strip.png", "a.json")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def write(out: Path, command: str = "edit", content: str = "new", overwrite: bool = False) -> None:
    """A set of files, as a command writes them."""
    files = [out / name for name in SET]
    with Writing(out, command, overwrite) as writing, writing.together(files) as folder:
        for name in SET:
            (folder / name).write_text(f"{content} {name}")


def write_and_die(out: Path, moved: int) -> None:
    """The same in a process that is killed after some of the files are in place."""
    child = os.fork()
    if child == 0:
        die_at_rename(moved)
        write(out, content="old")
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def test_a_set_is_put_in_place(tmp_path: Path) -> None:
    write(tmp_path)
    assert names(tmp_path) == set(SET)
    with pytest.raises(InputError, match="exists already"):
        write(tmp_path)
    write(tmp_path, content="newer", overwrite=True)
    assert {(tmp_path / name).read_text() for name in SET} == {f"newer {name}" for name in SET}
    assert names(tmp_path) == set(SET)


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with (
            Writing(tmp_path, "edit", False) as writing,
            writing.together([tmp_path / "a"]) as kept,
        ):
            (kept / "a").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert names(tmp_path) == set()


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_killed_command_is_repeated(tmp_path: Path, moved: int) -> None:
    write_and_die(tmp_path, moved)
    assert len(names(tmp_path)) == moved + 1
    write_and_die(tmp_path, moved)  # and killed once more
    write(tmp_path)
    assert names(tmp_path) == set(SET)
    assert (tmp_path / "a.png").read_text() == "new a.png"


def test_another_command_replaces_nothing(tmp_path: Path) -> None:
    write_and_die(tmp_path, 2)
    with pytest.raises(InputError, match=r"a\.png exists already"):
        write(tmp_path, command="edit --seed 1")
    assert (tmp_path / "a.png").read_text() == "old a.png"
    write(tmp_path)


@pytest.mark.parametrize("name", SET)
def test_a_file_of_the_user_is_never_replaced(tmp_path: Path, name: str) -> None:
    write_and_die(tmp_path, 2)
    (tmp_path / name).write_text("mine")  # where nothing was, or over what was left
    before = {each: (tmp_path / each).read_text() for each in names(tmp_path) & set(SET)}
    for _ in range(2):
        with pytest.raises(InputError, match=f"{name} exists already"):
            write(tmp_path)
        assert {
            each: (tmp_path / each).read_text() for each in names(tmp_path) & set(SET)
        } == before
    (tmp_path / name).unlink()
    write(tmp_path)
    assert names(tmp_path) == set(SET)


def test_no_link_is_followed(tmp_path: Path) -> None:
    write_and_die(tmp_path, 1)
    kept = tmp_path / "elsewhere"
    (tmp_path / "a.png").rename(kept)
    (tmp_path / "a.png").symlink_to(kept)
    with pytest.raises(InputError, match="exists already"):
        write(tmp_path)


def test_two_of_one_command_do_not_meet(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    with Writing(tmp_path, "edit", False), pytest.raises(InputError, match="another process"):
        write(tmp_path)
    write(tmp_path)


# The commands themselves


@pytest.fixture
def out(tiny_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "out"


def seen(folder: Path) -> set[str]:
    return {name for name in names(folder) if not name.startswith(".")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "renames", "left", "made"),
    [
        (f"edit sample:1 '{TEXT}' --steps 1", 4, 1, 3),  # the picture is in place
        (f"edit sample:1-2 --text '{TEXT}' --steps 1", 10, 4, 6),  # one is done, one is not
        (f"apply run sample:1-2 --text '{TEXT}'", 10, 4, 6),
        ("invert sample:1-2", 5, 2, 6),
        ("sample --count 2", 5, 2, 3),
        ("rerun first/sample-1_green-hair.json", 4, 1, 3),
    ],
)
def test_a_killed_process_is_repeated_without_overwrite(
    command: str,
    renames: int,
    left: int,
    made: int,
    out: Path,
    tiny_pack: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = shlex.split(command)
    pack = [] if words[0] == "rerun" else ["--pack", "tiny"]
    arguments = [*words, *pack, "--out", str(out)]
    if words[0] == "apply":
        write_mapper(Path("run"), tiny_pack, TEXT)
    if words[0] == "rerun":
        first = ["edit", "sample:1", TEXT, "--steps", "1", "--pack", "tiny", "--out", "first"]
        assert main(first) == 0
        capsys.readouterr()
    killed_at(renames, arguments)
    assert len(seen(out)) == left
    before = {name: (out / name).read_bytes() for name in seen(out)}
    if before and words[0] == "edit":
        assert main([*arguments, "--seed", "9"]) == 2  # another edit
        assert "exist" in refused(capsys)
        assert {name: (out / name).read_bytes() for name in seen(out)} == before
    assert main([*arguments, "--json"]) == 0
    assert len(names(out)) == made
    assert before.items() <= {name: (out / name).read_bytes() for name in names(out)}.items() or (
        words[0] in ("edit", "apply")  # whose records tell of seconds
    )
    capsys.readouterr()
    assert main(arguments) == 2  # it is done now, and nothing is replaced unasked
    assert "--overwrite" in refused(capsys)
