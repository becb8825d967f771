"""`cfclip fit-text-map`, and edits with the map that it makes."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from captioned import write_captioned_folder
from refusals import refused
from safetensors.torch import load_file

from cfclip.apps.cli import main
from cfclip.packs import MANIFEST_FILE, TEXT_MAP_FILE, assemble_pack, read_manifest

TIMEOUT = 240.0
"""Seconds; a busy machine may take its time to start Python."""
QUICK = ("--pack", "tiny", "--projection.steps", "0", "--projection.warn-below-psnr", "0")


@pytest.fixture(autouse=True)
def packs(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))


@pytest.fixture
def folder(tiny_pack: Path, tmp_path: Path) -> Path:
    write_captioned_folder(tmp_path / "data", tiny_pack, count=44, edits=22)
    return tmp_path / "data"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "maps" / "map.safetensors"


def fit(folder: Path, out: Path, *options: str) -> int:
    return main(["fit-text-map", str(folder), "--out", str(out), *QUICK, *options])


def test_a_map_is_fitted_and_edits_start_from_it(
    folder: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(folder, out, "--holdout", "0") == 0
    captured = capsys.readouterr()
    assert captured.out.strip() == str(out)
    assert "44 captions of 44 pictures; concatenation fitted to 22 edits" in captured.err
    assert {path.name for path in out.parent.iterdir()} == {out.name, "map_inversions"}

    edits = tmp_path / "edits"
    command = ["edit", "sample:1", "green hair", "--out", str(edits), "--pack", "tiny"]
    start = ["--start", "text-map", "--text-map", str(out), "--fusion", "concatenate"]
    assert main([*command, *start, "--objective", "logit", "--optimizer", "sgd"]) == 0
    record = json.loads((edits / "sample-1_green-hair.json").read_text())
    assert record["settings"]["start"] == "text-map"
    assert record["text_map"]["path"] == str(out)
    again = ["rerun", str(edits / "sample-1_green-hair.json"), "--out", str(tmp_path / "again")]
    assert main(again) == 0
    moved = out.rename(tmp_path / "moved.safetensors")
    assert main([*again, "--overwrite"]) == 2
    assert "--text-map" in capsys.readouterr().err
    assert main([*again, "--overwrite", "--text-map", str(moved)]) == 0


def test_json_and_adam(folder: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    losses = []
    for solver in ("ridge", "adam"):
        assert fit(folder, out, "--overwrite", "--json", "--solver", solver, "--quiet") == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        told = json.loads(captured.out)
        assert (told["text_map"], told["pictures"], told["edits"]) == (str(out), 44, 22)
        losses.append(told["loss"])
    assert losses[0] <= losses[1] <= 1.01 * losses[0]


def test_the_same_command_goes_on(
    folder: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept"
    assert fit(folder, out, "--inversions", str(kept)) == 0
    first, files = load_file(out), sorted(kept.iterdir())
    times = [path.stat().st_mtime_ns for path in files]
    assert fit(folder, out, "--inversions", str(kept), "--overwrite") == 0
    again = load_file(out)
    assert all(torch.equal(again[name], tensor) for name, tensor in first.items())
    assert [path.stat().st_mtime_ns for path in files] == times


def test_pictures_that_fail_are_named_and_counted(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "images" / "7.png").write_bytes(b"no picture")
    (folder / "images" / "extra.png").write_bytes(b"without a caption, so never opened")
    assert fit(folder, out) == 2
    assert out.is_file()
    lines = capsys.readouterr().err.splitlines()
    assert "warning: 1 pictures without a caption were left out, 'extra.png' first" in lines[0]
    assert "7.png is not a picture" in lines[-2]
    assert lines[-1] == "43 of 44 pictures done"


def test_bad_input_is_one_line_and_writes_nothing(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(folder / "images", out) == 2
    assert "there is no folder" in refused(capsys)
    captions = (folder / "captions.jsonl").read_text()
    (folder / "captions.jsonl").write_text(captions + "{\n")
    assert fit(folder, out) == 2
    assert "captions.jsonl:45: is not JSON" in refused(capsys)
    (folder / "captions.jsonl").write_text("".join(captions.splitlines(keepends=True)[:19]))
    assert fit(folder, out) == 2
    assert "19 pictures with captions are too few" in refused(capsys)
    assert fit(folder, out.with_suffix(".pt")) == 2
    assert "expected the name of a .safetensors file" in refused(capsys)
    assert fit(folder, out, "--penalty", "0") == 2
    assert "penalty is 0.0" in refused(capsys)
    assert fit(folder, out, "--device", "gpu") == 2
    assert "unknown device" in refused(capsys)
    assert not out.exists()
    out.write_text("mine")
    assert fit(folder, out) == 2
    assert "exists already" in refused(capsys)
    assert out.read_text() == "mine"


def test_edits_without_a_map(
    tiny_pack_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tiny_pack_copy / TEXT_MAP_FILE).unlink()
    assemble_pack(tiny_pack_copy, read_manifest(tiny_pack_copy / MANIFEST_FILE))
    command = ["edit", "sample:1", "green hair", "--out", str(tmp_path / "out")]
    pack = ["--pack", str(tiny_pack_copy)]
    assert main([*command, *pack, "--start", "text-map"]) == 2
    assert "cfclip fit-text-map FOLDER --pack tiny" in refused(capsys)
    missing = ["--text-map", str(tmp_path / "no.safetensors")]
    assert main([*command, *pack, *missing]) == 2
    assert "--start text-map" in refused(capsys)
    assert main([*command, *pack, *missing, "--start", "text-map"]) == 2
    assert "there is no linear text map file" in refused(capsys)


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_inverted(folder: Path, out: Path, tiny_pack: Path) -> None:
    kept = out.with_name("map_inversions")
    slow = ["--projection.steps", "200", "--projection.patience", "0"]
    command = [sys.executable, "-m", "cfclip", "fit-text-map", str(folder), "--out", str(out)]
    process = subprocess.Popen(
        [*command, "--pack", str(tiny_pack), *slow], stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + TIMEOUT
    # Finished ones: a file that is being written has a hidden name.
    while process.poll() is None and len(list(kept.glob("[!.]*.json"))) < 2:
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=TIMEOUT)[1]
    assert process.returncode == 130, said
    assert "of 44 pictures are inverted and kept in" in said
    assert "Traceback" not in said
    assert not out.exists()
    assert 2 <= len(list(kept.iterdir())) < 44
