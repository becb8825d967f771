"""Folders with pictures of many kinds, through the commands: the rest of them is told."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from captioned import write_captioned_folder
from colour_files import p3_profile
from PIL import Image
from portrait import PORTRAIT_POINTS, PORTRAIT_SIZE
from tiny_process import environment

from cfclip.apps.cli import main

QUICK = ("--pack", "tiny", "--projection.steps", "0", "--projection.warn-below-psnr", "0")
TOLD = "2 pictures are skipped, which cannot be opened: raw.nef, x.jxl"


@pytest.fixture(autouse=True)
def packs(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures that open, two that do not, and what is no picture."""
    folder = tmp_path / "in"
    folder.mkdir()
    picture = Image.linear_gradient("L").convert("RGB")
    picture.save(folder / "a.jpg")
    picture.save(folder / "b.avif")
    picture.save(folder / "c.jfif", format="JPEG")
    for name in ("x.jxl", "raw.nef", "notes.txt", ".DS_Store"):
        (folder / name).write_bytes(b"something else")
    return folder


def errors(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = capsys.readouterr().err.splitlines()
    return [line for line in lines if line.startswith("cfclip: error: ")]


def test_commands_tell_what_they_skip(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    commands = (
        ("invert", str(folder), *QUICK),
        ("edit", str(folder), "green hair", *QUICK, "--steps", "1"),
    )
    for command in commands:
        assert main([*command, "--out", str(out)]) == 2
        assert errors(capsys) == [f"cfclip: error: {folder}: {TOLD}"]
    names = {path.name for path in out.glob("*.json")}
    assert names == {f"{each}{end}.json" for each in "abc" for end in ("_green-hair", "_inverted")}
    grid = ["grid", "contact", str(folder), "--out", str(tmp_path / "grid.png"), "--pack", "tiny"]
    assert main(grid) == 2
    assert errors(capsys) == [f"cfclip: error: {folder}: {TOLD}"]
    assert (tmp_path / "grid.png").exists()


@pytest.mark.slow
def test_a_batch_tells_what_it_skips(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = f"{folder}/*"
    batch = ["batch", given, "--text", "green hair", "--out", str(tmp_path / "out"), *QUICK]
    assert main([*batch, "--steps", "1", "--workers", "1"]) == 2
    assert errors(capsys) == [f"cfclip: error: {given}: {TOLD}"]
    results = (tmp_path / "out" / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["status"] for line in results] == ["done"] * 3
    assert "x.jxl" in (tmp_path / "out" / "summary.html").read_text()


def test_trainings_tell_what_they_skip(
    folder: Path, tmp_path: Path, tiny_pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = ["train", "--latents", str(folder), "--text", "green hair", "--steps", "1", *QUICK]
    assert main([*train, "--out", str(tmp_path / "run"), "--batch", "2"]) == 2
    assert errors(capsys) == [f"cfclip: error: {TOLD}"]
    captioned = tmp_path / "captioned"
    write_captioned_folder(captioned, tiny_pack)
    for name in ("raw.nef", "x.jxl"):
        (captioned / "images" / name).touch()
    fit = ["fit-text-map", str(captioned), "--out", str(tmp_path / "map.safetensors"), *QUICK]
    assert main(fit) == 2
    assert errors(capsys) == [f"cfclip: error: {TOLD}"]
    assert (tmp_path / "map.safetensors").exists()


def test_a_folder_of_nothing_that_opens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.jxl").touch()
    assert main(["edit", str(tmp_path), "green hair", "--out", str(tmp_path / "out")]) == 2
    (line,) = errors(capsys)
    assert line.endswith("1 picture is skipped, which cannot be opened: x.jxl")


def test_a_photo_put_back_is_srgb_and_says_so(tmp_path: Path) -> None:
    image = Image.linear_gradient("L").resize(PORTRAIT_SIZE).convert("RGB")
    profile = p3_profile()
    exif = Image.Exif()
    exif[0x0112] = 3
    image.save(tmp_path / "p3.jpg", icc_profile=profile, exif=exif)
    cmyk = image.convert("CMYK")
    cmyk.save(tmp_path / "cmyk.jpg", icc_profile=profile)  # which is none of CMYK
    (tmp_path / "points.json").write_text(json.dumps(PORTRAIT_POINTS))
    options = ("--landmarks", str(tmp_path / "points.json"), "--paste-back", "changed")
    for name in ("p3", "cmyk"):
        edit = ["edit", str(tmp_path / f"{name}.jpg"), "green hair", *options, *QUICK]
        assert main([*edit, "--steps", "1", "--out", str(tmp_path / "out")]) == 0
    for path in (tmp_path / "out").glob("*.png"):
        with Image.open(path) as written:
            assert written.info["srgb"] == 0
            assert not {"icc_profile", "exif", "gamma"} & set(written.info)


def test_nothing_but_our_line_is_said_about_a_damaged_picture(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "a.tif")
    data = (tmp_path / "a.tif").read_bytes()
    samples = struct.pack("<HHIH", 277, 3, 1, 3)  # tag, kind, count, value
    (tmp_path / "a.tif").write_bytes(data.replace(samples, samples[:-2] + struct.pack("<H", 278)))
    run = subprocess.run(
        [sys.executable, "-m", "cfclip", "inspect", str(tmp_path / "a.tif")],
        capture_output=True,
        text=True,
        check=False,
        env=environment({}),
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("cfclip: error: ")
    assert run.stderr.count("\n") == 1
