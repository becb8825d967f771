"""The rehearsal from files of other programs to edits: small, and as it was measured."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from cfclip.apps.cli import parse
from cfclip_benchmark import put_measured
from recipes.rehearsal.__main__ import MEASURED, MOST_GIBIBYTES, main
from recipes.rehearsal.performance_page import MARK
from recipes.rehearsal.stages import stages

BEGIN, END = f"<!-- measured: {MARK} -->", "<!-- end -->"
PAGE = Path(__file__).parents[2] / "docs" / "PERFORMANCE.md"
_GIB = 2**30


def rows(head: str) -> list[list[str]]:
    """The cells of the table that begins with a heading."""
    lines = PAGE.read_text(encoding="utf-8").split(f"| {head} |")[1].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux does")
def test_small_networks_go_all_the_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At full size it takes many minutes: `python -m recipes.rehearsal` is for that."""
    page, out = tmp_path / "page.md", tmp_path / "out"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    with pytest.raises(SystemExit) as ended:
        main(["--out", str(out), "--reduced", "--page", str(page), "--threads", "1"])
    assert ended.value.code == 0, capsys.readouterr().err
    measured = json.loads((out / MEASURED).read_text())
    assert [each["kind"] for each in measured["opened"]] == [
        *(["generator"] * 3),
        *("encoder", "identity", "clip"),
    ]
    assert [each["stage"] for each in measured["ran"]] == [name for name, _ in stages()]
    assert all(each["mebibytes"] > 100 for each in measured["ran"])
    assert len(list((out / "applied").glob("*_green-lipstick.png"))) == 5
    text = page.read_text()
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith(f"{END}\nafter\n")
    for each in measured["ran"]:
        assert f"| {each['stage']} |" in text
        assert each["command"] in text


def test_a_folder_in_use_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(SystemExit) as ended:
        main(["--out", str(tmp_path)])
    assert ended.value.code == 2
    assert "is not empty" in capsys.readouterr().err


def test_a_page_without_marks_is_left_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("text")
    with pytest.raises(Exception, match="has no lines"):
        put_measured(page, MARK, "more")
    assert page.read_text() == "text"


def test_the_page_is_of_these_stages_and_within_the_limits() -> None:
    ran = rows("stage")
    assert [row[0] for row in ran] == [name for name, _ in stages()]
    assert max(float(row[2]) for row in ran) * 1e9 < MOST_GIBIBYTES * _GIB
    for file, kind, size, seconds, memory in rows("file"):
        assert float(seconds) < 5, file
        if kind == "generator":
            assert float(memory) < 3 * float(size), file


def test_the_commands_of_the_page_are_those_that_are_run(tiny_pack: Path) -> None:
    measured = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    commands = re.findall(r"^cfclip .*$", measured, re.MULTILINE)
    assert commands == [shlex.join(["cfclip", *arguments]) for _, arguments in stages()]
    for command in commands:  # the options are made of a pack's defaults
        parse(shlex.split(command.replace("--pack rehearsal", f"--pack {tiny_pack}"))[1:])
