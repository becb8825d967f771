"""Photos through the command line: cut, tuned, edited, pasted back, and made again."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from network_files import write_identity
from PIL import Image
from portrait import PORTRAIT_POINTS, PORTRAIT_SIZE, portrait
from refusals import refused

from cfclip.apps.cli import main

TEXT = "green hair"
NAME = "grace_hopper_green-hair"
TUNING = ("--tuning.steps", "2")


@pytest.fixture(autouse=True)
def packs(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))


@pytest.fixture
def landmarks(tmp_path: Path) -> Path:
    path = tmp_path / "points.json"
    path.write_text(json.dumps(PORTRAIT_POINTS))
    return path


def edit(image: object, *arguments: object) -> int:
    return main(["edit", str(image), TEXT, *map(str, arguments), "--pack", "tiny"])


def record_in(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / f"{NAME}.json").read_text())
    return content


def test_a_photo_is_edited_put_back_and_made_again(tmp_path: Path, landmarks: Path) -> None:
    out, again = tmp_path / "out", tmp_path / "again"
    options = ("--landmarks", landmarks, "--paste-back", "whole", *TUNING)
    assert edit(portrait(), *options, "--strength", "0.5", "1", "--out", out) == 0
    names = [f"{NAME}{x}_photo.png" for x in ("_x0.5", "_x1")]
    for name in names:
        made = np.asarray(Image.open(out / name), int)
        apart = np.abs(made - np.asarray(Image.open(portrait()).convert("RGB"), int)).max(2)
        assert made.shape[:2] == PORTRAIT_SIZE[::-1]
        assert apart[:, :60].max() == 0  # left of the crop
        assert apart[200, 265] > 0
    record = record_in(out)
    assert np.array(record["source"]["quad"]).shape == (4, 2)
    assert record["paste_back"] == {"region": "whole", "feather": 0.08}
    assert record["inversion"]["tuning"]["steps"] == 2
    assert main(["rerun", str(out / f"{NAME}.json"), "--out", str(again), "--quiet"]) == 0
    for name in (*names, f"{NAME}_x1.png"):
        assert (again / name).read_bytes() == (out / name).read_bytes()


def test_tuning_changes_the_edit_and_nothing_else_does(tmp_path: Path, landmarks: Path) -> None:
    options = ("--landmarks", landmarks, "--out")
    for name, more in (("a", ()), ("b", TUNING), ("c", ())):
        assert edit(portrait(), *options, tmp_path / name, *more) == 0
    pixels = [record_in(tmp_path / name)["outputs"][0]["pixels_sha256"] for name in "abc"]
    assert pixels[0] == pixels[2] != pixels[1]
    assert not (tmp_path / "a" / f"{NAME}_photo.png").exists()


@pytest.mark.skipif(importlib.util.find_spec("dlib") is None, reason="no extra photos")
def test_the_face_is_found(tmp_path: Path, landmarks: Path) -> None:
    assert edit(portrait(), "--align", "--out", tmp_path / "found") == 0
    assert edit(portrait(), "--landmarks", landmarks, "--out", tmp_path / "given") == 0
    found, given = (
        np.array(record_in(tmp_path / name)["source"]["quad"]) for name in ("found", "given")
    )
    assert np.abs(found - given).max() < 0.04 * np.ptp(given)


def test_a_mask_is_painted_over_the_photo(
    tmp_path: Path, landmarks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = Image.new("L", PORTRAIT_SIZE)
    mask.paste(255, (0, 0, PORTRAIT_SIZE[0], 150))
    mask.save(tmp_path / "mask.png")
    options = ("--landmarks", landmarks, "--mask", tmp_path / "mask.png", "--paste-back", "changed")
    assert edit(portrait(), *options, "--feather", "0", "--out", tmp_path / "out") == 0
    made = np.asarray(Image.open(tmp_path / "out" / f"{NAME}_photo.png"), int)
    apart = np.abs(made - np.asarray(Image.open(portrait()).convert("RGB"), int)).max(2)
    assert apart[:150].max() > 0
    assert apart[180:].max() == 0
    assert (
        main(["rerun", str(tmp_path / "out" / f"{NAME}.json"), "--out", str(tmp_path / "b")]) == 0
    )
    Image.new("L", (64, 64), 255).save(tmp_path / "small.png")
    capsys.readouterr()
    options = ("--landmarks", landmarks, "--mask", tmp_path / "small.png")
    assert edit(portrait(), *options, "--out", tmp_path / "c") == 2
    assert "paint it over the whole photo" in refused(capsys)


def test_a_photo_is_inverted_by_its_face(tmp_path: Path, landmarks: Path) -> None:
    command = ["invert", str(portrait()), "--landmarks", str(landmarks), "--pack", "tiny"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    content = json.loads((tmp_path / "grace_hopper_inverted.json").read_text())
    assert np.array(content["source"]["quad"]).shape == (4, 2)


def test_an_identity_network_tells_how_alike_the_person_is(
    tmp_path: Path, landmarks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = write_identity(tmp_path / "identity.pth")
    options = ("--landmarks", landmarks, "--identity-network", network, "--out", tmp_path)
    assert edit(portrait(), *options, "--strength", "0", "1") == 0
    told = record_in(tmp_path)["identity"]
    assert told["network"]["path"] == str(network)
    none, whole = told["edited"]
    assert none["similarity"] == pytest.approx(told["reconstruction"], abs=1e-6)
    assert whole["strength"] == 1.0
    assert -1.0 <= whole["similarity"] <= 1.0
    assert whole["similarity"] != none["similarity"]
    assert f"strength 1 keeps the identity by {whole['similarity']:.2f}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("image", "options", "why"),
    [
        ("sample:1", ("--align",), "no face to be cut"),
        ("sample:1", TUNING, "the generator's own picture"),
        ("photo", ("--paste-back", "whole"), "no face is cut from a photo"),
        ("photo", ("--landmarks", "missing.txt"), "missing.txt: cannot read it"),
        ("photo", ("--landmarks", "points", "--face", "2"), "face is 2, but"),
        ("folder", ("--landmarks", "points"), "has the landmarks of one photo, but 2 are given"),
        ("photo", ("--identity-network", "missing.pth"), "missing.pth"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    image: str,
    options: tuple[str, ...],
    why: str,
    tmp_path: Path,
    landmarks: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.open(portrait()).save(folder / name)
    places = {"photo": portrait(), "folder": folder}
    given = [landmarks if option == "points" else option for option in options]
    assert edit(places.get(image, image), *given, "--out", tmp_path / "out") == 2
    assert why in refused(capsys)
    assert not list((tmp_path / "out").glob("*"))
