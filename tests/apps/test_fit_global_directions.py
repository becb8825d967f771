"""`cfclip fit-global-directions` on the tiny pack: what it writes, says, refuses and resumes."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from full_disk import room_for
from refusals import refused
from safetensors.torch import load_file

from cfclip.apps.cli import main
from cfclip.editing import Session
from cfclip.editors import ChannelFitConfig, channel_report
from cfclip.fitting import fit_channels
from cfclip.training import CHECKPOINT

TIMEOUT = 240.0
"""Seconds; a busy machine may take its time to start Python."""


@pytest.fixture(autouse=True)
def packs(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "made" / "channels.safetensors"


def fit(out: Path, *options: str) -> int:
    quick = ["--pack", "tiny", "--images", "2", "--batch", "40"]
    return main(["fit-global-directions", "--out", str(out), *quick, *options])


def test_statistics_are_written_and_told(
    tiny_pack: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(out) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{out}\n"
    assert captured.err == "136 channels, measured on 2 pictures\n"
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    report = channel_report(out)
    assert {name: report[name] for name in ("images", "batch", "truncation", "seed")} == {
        **{"images": 2, "batch": 40},
        **{"truncation": 0.7, "seed": 0},
    }
    assert report["seconds"] > 0
    assert len(Session.open(tiny_pack).pack.channel_statistics(out).spread) == 136


def test_json_and_quiet(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(out, "--json", "--quiet") == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert (told["statistics"], told["images"], captured.err) == (str(out), 2, "")


def test_the_same_command_goes_on_and_others_are_refused(
    tiny_pack: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(out) == 0
    expected = load_file(out)
    other = out.with_name("other.safetensors")
    config = ChannelFitConfig(images=2, batch=40)
    partial = out.with_name("other_partial")
    fit_channels(Session.open(tiny_pack), partial, config, lambda progress: progress.step < 3)
    capsys.readouterr()
    assert fit(other, "--seed", "1") == 2
    assert "was made with other settings (seed 0, now 1)" in refused(capsys)
    assert (partial / CHECKPOINT).is_file()
    assert fit(other) == 0
    assert not partial.exists()
    assert all(torch.equal(load_file(other)[name], tensor) for name, tensor in expected.items())


def test_bad_input_is_one_line_and_writes_nothing(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(out.with_suffix(".pt")) == 2
    assert "expected the name of a .safetensors file" in refused(capsys)
    assert fit(out, "--images", "0") == 2
    assert "images is 0" in refused(capsys)
    assert fit(out, "--batch", "1") == 2
    assert "batch is 1, it must be a number at least 2" in refused(capsys)
    assert fit(out, "--device", "gpu") == 2
    assert "unknown device" in refused(capsys)
    assert not out.exists()
    out.write_text("mine")
    assert fit(out) == 2
    assert "exists already" in refused(capsys)
    assert out.read_text() == "mine"


def test_a_full_disk_is_one_line_and_loses_nothing(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with room_for(1000):
        assert fit(out) == 2
    assert "make room and resume" in refused(capsys)
    assert not out.exists()
    assert fit(out) == 0
    assert out.is_file()


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_measured(out: Path, tiny_pack: Path) -> None:
    command = [sys.executable, "-m", "cfclip", "fit-global-directions", "--out", str(out)]
    process = subprocess.Popen(
        [*command, "--pack", str(tiny_pack), "--images", "5000"], stderr=subprocess.PIPE, text=True
    )
    partial = out.with_name("channels_partial")
    end = time.monotonic() + TIMEOUT
    while process.poll() is None and not (partial / CHECKPOINT).is_file():
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=TIMEOUT)[1]
    assert process.returncode == 130, said
    assert "the same command goes on from there" in said
    assert "Traceback" not in said
    assert not out.exists()
    assert (partial / CHECKPOINT).is_file()
