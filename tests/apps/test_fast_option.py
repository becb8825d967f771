"""`--fast`, by the commands that edit, invert and train."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from cfclip.apps.cli import main
from cfclip.tensors import has_bfloat16

PRECISION = "bfloat16" if has_bfloat16(torch.device("cpu")) else "float32"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    from PIL import Image

    path = tmp_path / "me.png"
    Image.new("RGB", (32, 32), (200, 150, 90)).save(path)
    return path


def run(command: str, *words: object, pack: Path, out: Path) -> None:
    options = ["--pack", pack, "--out", out, "--fast", "--quiet"]
    assert main([command, *map(str, words), *map(str, options)]) == 0


def test_an_edit(tiny_pack: Path, picture: Path, tmp_path: Path) -> None:
    steps = ("--steps", 2, "--projection.steps", 4)
    run("edit", picture, "green hair", *steps, pack=tiny_pack, out=tmp_path / "a")
    (record,) = (tmp_path / "a").glob("*.json")
    content = json.loads(record.read_text())
    assert content["settings"]["precision"] == PRECISION
    assert content["settings"]["rendering"] == "seen"
    assert content["inversion"]["settings"]["precision"] == PRECISION
    assert content["inversion"]["settings"]["coarse"] == 0.75
    assert main(["rerun", str(record), "--pack", str(tiny_pack), "--out", str(tmp_path / "b")]) == 0


def test_an_option_of_its_own_counts_more(tiny_pack: Path, tmp_path: Path) -> None:
    own = ("--steps", 2, "--precision", "float32", "--rendering", "whole")
    run("edit", "sample:1", "green hair", *own, pack=tiny_pack, out=tmp_path / "a")
    (record,) = (tmp_path / "a").glob("*.json")
    settings = json.loads(record.read_text())["settings"]
    assert (settings["precision"], settings["rendering"]) == ("float32", "whole")


def test_an_inversion(tiny_pack: Path, picture: Path, tmp_path: Path) -> None:
    run("invert", picture, "--projection.steps", 4, pack=tiny_pack, out=tmp_path / "a")
    (record,) = (tmp_path / "a").glob("*.json")
    assert json.loads(record.read_text())["inversion"]["settings"]["coarse"] == 0.75


def test_a_training_and_a_batch_by_its_mapper(tiny_pack: Path, tmp_path: Path) -> None:
    few = ("--steps", 1, "--batch", 2, "--samples", 2, "--validation", 1, "--augmentations", 1)
    run("train", "--text", "green hair", *few, pack=tiny_pack, out=tmp_path / "run")
    run(
        "batch",
        "sample:1-2",
        *("--mapper", tmp_path / "run", "--text", "green hair", "--workers", 1),
        pack=tiny_pack,
        out=tmp_path / "batch",
    )
    assert len(list((tmp_path / "batch").rglob("*.png"))) == 2


def test_help_shows_the_defaults_that_it_decides(
    capsys: pytest.CaptureFixture[str], tiny_pack: Path
) -> None:
    shown: list[str] = []
    for options in ((), ("--fast",)):
        with pytest.raises(SystemExit):
            main(["edit", "--pack", str(tiny_pack), *options, "--help"])
        shown.append(" ".join(capsys.readouterr().out.replace("│", " ").split()))
    assert "(default: whole)" in shown[0]
    assert "(default: seen)" in shown[1]


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_a_device_that_is_not_there(
    device: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words: list[Any] = ["edit", "sample:1", "green hair", "--device", device, "--fast"]
    assert main([*words, "--out", str(tmp_path / "a")]) == 2
    error = capsys.readouterr().err
    assert device in error
    assert "Traceback" not in error
