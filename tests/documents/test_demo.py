"""The demo that the README begins with, on a small pack."""

from pathlib import Path

import pytest

from examples.demo import EDITS, SHEET, main


def test_demo(tiny_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--out", "demo", "--pack", str(tiny_pack)]) == 0
    assert (tmp_path / "demo" / SHEET).is_file()
    assert len(list((tmp_path / "demo").glob("*_strip.png"))) == len(EDITS)
    assert main(["--out", "demo", "--pack", "nonesuch"]) == 2
