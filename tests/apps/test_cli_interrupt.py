"""Ctrl-C in the middle of real work, in a process and a terminal of its own."""

import json
from pathlib import Path

import pytest
from terminal import Terminal

from cfclip.apps.cli import main

INTERRUPTED = 130


def edit(image: str, out: Path, steps: int) -> list[str]:
    options = f"--pack tiny --steps {steps} --patience 0"
    return ["edit", image, "green hair", "--out", str(out), *options.split()]


@pytest.mark.slow
def test_an_edit_in_progress_is_saved(
    tiny_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    terminal = Terminal(edit("sample:1", out, 100_000), tiny_pack.parent)
    # The progress bar tells that a step is done: before, there is nothing to keep.
    terminal.wait_for(r"step [1-9]\d* of 100000.*editing")
    assert terminal.press_ctrl_c() == INTERRUPTED
    assert "interrupted; what it had reached is saved" in terminal.said
    assert "Traceback" not in terminal.said
    record = json.loads((out / "sample-1_green-hair.json").read_text())
    assert record["interrupted"] is True
    assert record["steps"] > 0
    assert len(list(out.iterdir())) == 3
    # What was saved is a result like any other: it can be made again.
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))
    path = str(out / "sample-1_green-hair.json")
    assert main(["rerun", path, "--out", str(tmp_path / "again"), "--quiet"]) == 0
    assert (
        json.loads((tmp_path / "again" / "sample-1_green-hair.json").read_text())["outputs"]
        == (record["outputs"])
    )


@pytest.mark.slow
def test_finished_pictures_are_kept(tiny_pack: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    terminal = Terminal(edit("sample:1-50", out, 30), tiny_pack.parent)
    terminal.wait_for("sample-3: editing")
    assert terminal.press_ctrl_c() == INTERRUPTED
    assert "Traceback" not in terminal.said
    assert "of 50 pictures were finished and are kept" in terminal.said
    finished = sorted(out.glob("*.json"))
    assert len(finished) >= 2
    assert len(list(out.iterdir())) == 3 * len(finished)  # no half results, no temporary files
