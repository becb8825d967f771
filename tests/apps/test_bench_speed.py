"""`cfclip bench-speed` on tiny models: what it tells, writes and refuses."""

import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import refusals
from tiny_process import environment

from cfclip.apps.cli import main, parse
from cfclip_benchmark.speed import WORKS, Line, Plan, Rates, speed_table

PAGE = Path(__file__).parents[2] / "docs" / "PERFORMANCE.md"
TINY = ["--resolution", "32", "--width", "16", "--clip", "tiny", "--repeats", "1", "--threads", "1"]
ONE = ["--works", "synthesis"]
BEGIN, END = "<!-- measured: speed -->", "<!-- end -->"
RATES = Rates("2 cores of X, 2 threads", "2.6", "3.11", {"float32": 1e11, "bfloat16": 2e11})


@pytest.mark.slow
def test_it_tells_the_table_and_writes_it_into_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n{END}\n")
    assert main(["bench-speed", *TINY, *ONE, "--page", str(page)]) == 0
    told = capsys.readouterr()
    table = told.out[told.out.index("| work") :]
    assert len(table.splitlines()) == 3
    assert "| synthesis of 1 picture | exact |" in table
    assert ", 1 threads, torch" in told.out
    assert "synthesis, exact: " in told.err
    text = page.read_text()
    assert text == f"before\n{BEGIN}\n\n{told.out.strip()}\n\n{END}\nafter\n{END}\n"


@pytest.mark.slow
def test_a_process_of_its_own_measures_each_line() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "cfclip", "bench-speed", *TINY, "--json", "--quiet"],
        capture_output=True,
        text=True,
        check=True,
        env=environment({}),
    )
    assert run.stderr == ""
    told = json.loads(run.stdout)
    found = {(line["work"], line["way"]): line for line in told["lines"]}
    assert list(found) == [(name, way) for name, work in WORKS.items() for way in work.ways]
    for line in told["lines"]:
        rate = told["operations"][line["precision"]]
        assert line["floor"] == pytest.approx(line["operations"] / rate)
        assert line["share"] == pytest.approx(line["floor"] / line["seconds"])
        if sys.platform == "linux":
            assert 0.1 < line["memory"] < 3.0
    # CLIP sees no less of a picture of its own size.
    assert found["training", "fast"]["operations"] == found["training", "exact"]["operations"]


@pytest.mark.slow
def test_ctrl_c_ends_with_what_is_measured() -> None:
    command = [sys.executable, "-m", "cfclip", "bench-speed", *TINY, "--works"]
    process = subprocess.Popen(
        [*command, "synthesis", "mapper", "--repeats", "1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment({}),
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("synthesis, exact"):
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate()
    assert process.returncode == 130
    assert "| synthesis of 1 picture |" in out
    assert err.splitlines()[-1] == "cfclip: error: interrupted; 1 of 2 lines are measured"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("--works swimming", "one of works is 'swimming'"),
        ("--ways slow", "one of ways is 'slow'"),
        ("--works synthesis --ways fast", "nothing to measure"),
        ("--clip ViT-G", "clip is 'ViT-G'"),
        ("--repeats 0", "repeats is 0"),
        ("--threads 0", "threads is 0"),
        ("--width 0", "width is 0"),
        ("--resolution 48", "resolution is 48"),
        ("--resolution 0", "resolution is 0"),
        ("--resolution -8", "resolution is -8"),
        ("--device tpu", "unknown device 'tpu'"),
        ("--device cuda:99", "no usable device"),
        ("--page none.md", "none.md"),
        (f"--page {PAGE.parent / 'EDITING.md'}", "has no lines <!-- measured: speed -->"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    options: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench-speed", *shlex.split(options)]) == 2
    assert why in refusals.refused(capsys)


def test_the_table_has_a_row_for_each_line() -> None:
    lines = [
        Line("training", "exact", "float32", 11.32, 6.71, 10**12, 10.0),
        Line("training", "fast", "bfloat16", 0.5, None, 10**10, 0.05),
    ]
    text = speed_table(Plan(), RATES, lines)
    assert "Medians of 3, on 2 cores of X, 2 threads, torch 2.6, Python 3.11; StyleGAN2" in text
    assert "100 in float32, 200 in bfloat16" in text
    title = WORKS["training"].title
    assert f"| {title} | exact | 11.3 | 6.7 | 10.0 | 88% |" in text
    assert f"| {title} | fast (bfloat16) | 0.50 | - | 0.050 | 10% |" in text


def test_the_page_has_a_place_for_it_and_its_commands_are_understood() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(BEGIN) == 1
    commands = re.findall(r"^cfclip bench-speed.*$", text, re.MULTILINE)
    assert commands
    for command in commands:
        parse(shlex.split(command)[1:])
