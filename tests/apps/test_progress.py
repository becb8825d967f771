"""How far work is, on a terminal of 80 columns and where there is none."""

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from terminal import Terminal
from tiny_process import environment

from cfclip.apps import console
from cfclip.apps.cli import main
from cfclip.apps.console import Console, clock_time
from cfclip.optim import Progress

HOW_FAR = r"step \d+ of \d+(, (\d+:)?\d+:\d\d left)?"
LONG = "a picture with a name as long as those of photographs that were shared more than once"
FEW = "--batch 2 --validate-every 2 --validation 2 --samples 10 --augmentations 2"


@pytest.fixture(autouse=True)
def packs(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / f"{LONG}.png"
    Image.linear_gradient("L").convert("RGB").save(path)
    return path


# On a terminal


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        f"edit PICTURE TEXT --out OUT/{LONG} --steps 40 --patience 0",
        f"train --text TEXT --out OUT/{LONG} --steps 40 {FEW}",
    ],
)
def test_at_80_columns_step_and_time_left_come_first(
    tiny_pack: Path, tmp_path: Path, picture: Path, arguments: str
) -> None:
    words = {"PICTURE": str(picture), "TEXT": "green hair"}
    given = [words.get(word, word) for word in arguments.replace(LONG, "LONG").split()]
    given = [word.replace("LONG", LONG).replace("OUT", str(tmp_path)) for word in given]
    terminal = Terminal([*given, "--pack", "tiny"], tiny_pack.parent, columns=80)
    assert terminal.wait() == 0, terminal.said
    bars = [line for line in terminal.lines() if "━" in line]
    assert max(map(len, bars)) <= 80
    with_time = [bar for bar in bars if re.match(r"step \d+ of 40, \d+:\d\d left ", bar)]
    assert with_time
    assert any("clip" in bar for bar in with_time)
    # No bar is broken into two lines, and of a long name both ends are told.
    assert all(re.match(f"{HOW_FAR} |starting ", bar) for bar in bars), bars
    assert any("a picture" in bar and " ... " in bar for bar in bars)


# Elsewhere


def at(step: int, seconds_left: float | None = None) -> Progress:
    return Progress(step, 100, {"total": 0.5}, seconds_left)


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock shows."""
    shown = [0.0]
    monkeypatch.setattr(console, "monotonic", lambda: shown[0])
    return shown


def test_a_line_comes_every_ten_seconds(
    seconds: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    output = Console(quiet=False, as_json=False)
    for name in ("a", "b"):  # the clock goes on through short tasks
        with output.progress(name) as update:
            for step in range(13):
                update(at(step))
                seconds[0] += 1.0
    assert capsys.readouterr().err.splitlines() == [
        "a: step 10 of 100, 1:30 left  total 0.500",
        "b: step 7 of 100, 1:33 left  total 0.500",
    ]


def test_the_time_left_is_the_tasks_own_if_it_tells_any(
    seconds: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with Console(quiet=False, as_json=False).progress("a") as update:
        for each in (at(50, seconds_left=4000.0), at(50), at(60, seconds_left=0.0)):
            seconds[0] += 10.0
            update(each)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("  ")[0] for line in lines] == [
        "a: step 50 of 100, 1:06:40 left",
        "a: step 50 of 100",  # there is nothing to estimate from
        "a: step 60 of 100, 1:20 left",  # of the ten steps since, not of those of an earlier run
    ]


def test_times() -> None:
    assert [clock_time(each) for each in (0.2, 59.7, 3599.6, 86400.0)] == [
        *("0:00", "1:00", "1:00:00", "24:00:00")
    ]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "LINE_SECONDS", 0.0)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("command", "label"),
    [
        (["edit", "sample:1", "green hair", "--steps", "3"], "sample-1: editing: step 3 of 3"),
        (
            ["edit", "PICTURE", "green hair", "--tuning.steps", "3"],
            f"{LONG}: tuning the generator: step 1 of",
        ),
        (["invert", "PICTURE"], f"{LONG}: inverting: step 1 of"),
        (["batch", "sample:1-3", "--text", "green hair", "--workers", "1"], "out: step 3 of 3"),
        (["train", "--text", "green hair", "--steps", "4", *FEW.split()], "out: step 4 of 4"),
        (
            ["train", "--text", "a", "--steps", "2", "--latents", "FOLDER", *FEW.split()],
            "finding latents: step 1 of 3",
        ),
        (["doctor"], "self-test: step 1 of"),
    ],
)
def test_commands_tell_lines_where_no_bar_can_be_drawn(
    tmp_path: Path,
    picture: Path,
    command: list[str],
    label: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("b.png", "c.png"):
        (picture.parent / name).write_bytes(picture.read_bytes())
    words = {"PICTURE": str(picture), "FOLDER": str(picture.parent)}
    given = [words.get(word, word) for word in command]
    out = [] if command[0] == "doctor" else ["--out", str(tmp_path / "out")]
    assert main([*given, "--pack", "tiny", *out]) in (0, 2)
    lines = [line for line in capsys.readouterr().err.splitlines() if re.search(HOW_FAR, line)]
    assert any(line.startswith(label) for line in lines), lines
    again = ["--overwrite"] if command[0] in ("edit", "invert") else []
    out = [] if command[0] == "doctor" else ["--out", str(tmp_path / "quiet")]
    assert main([*given, "--pack", "tiny", *out, *again, "--quiet"]) in (0, 2)
    assert "step" not in capsys.readouterr().err


def test_quick_work_tells_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["edit", "sample:1", "green hair", "--pack", "tiny", "--out", str(tmp_path)]
    assert main(command) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_a_pipe_gets_plain_lines(tmp_path: Path, tiny_pack: Path) -> None:
    """Also where colours are forced, as services that run tests do."""
    code = """
import sys
from cfclip.apps import cli, console
console.LINE_SECONDS = 0.02
sys.exit(cli.main(sys.argv[1:]))
"""
    command = f"edit sample:1 face --pack tiny --steps 40 --patience 0 --out {tmp_path}"
    ran = subprocess.run(
        [sys.executable, "-c", code, *command.split()],
        env=environment({"FORCE_COLOR": "1", "CFCLIP_PACKS": str(tiny_pack.parent)}),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = io.StringIO(ran.stderr).readlines()
    assert lines
    assert all(re.match(rf"sample-1: (invert|edit)ing: {HOW_FAR}  \w", line) for line in lines)
