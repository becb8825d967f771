"""Folders of photos: trainings and text maps see the faces that edits see."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from captioned import write_captions
from PIL import Image
from portrait import PORTRAIT_POINTS, portrait

from cfclip.apps.cli import main
from cfclip.photos import FaceConfig, open_photo

QUICK = ("--pack", "tiny", "--projection.steps", "0", "--projection.warn-below-psnr", "0")
FEW = "--steps 1 --batch 1 --validation 1 --augmentations 1"


@pytest.fixture(autouse=True)
def packs(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))


def write_photos(folder: Path, points: Path, count: int) -> list[str]:
    """A half-size portrait `count` times, each a little other, with landmarks in `points`."""
    folder.mkdir(parents=True)
    points.mkdir()
    half = [[x / 2, y / 2] for x, y in PORTRAIT_POINTS]
    names = [f"photo-{index:02}" for index in range(count)]
    with Image.open(portrait()) as picture:
        small = picture.reduce(2)
    for index, name in enumerate(names):
        small.putpixel((0, 0), (index, 0, 0))
        small.save(folder / f"{name}.png")
        (points / f"{name}.json").write_text(json.dumps(half))
    return names


def kept_in(folder: Path) -> dict[str, dict[str, Any]]:
    contents = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    return {Path(content["source"]["path"]).stem: content for content in contents}


def test_a_mapper_is_trained_on_the_faces_of_photos(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, points, out = tmp_path / "photos", tmp_path / "points", tmp_path / "run"
    names = write_photos(photos, points, 3)
    (points / f"{names[1]}.json").unlink()
    options = ["--latents", str(photos), "--landmarks", str(points), "--out", str(out)]
    command = ["train", "--text", "green hair", *QUICK, *FEW.split(), *options]
    assert main(command) == 2  # one photo was of no use
    assert (out / "last.safetensors").is_file()
    lines = capsys.readouterr().err.splitlines()
    assert f"there are no landmarks of {photos / names[1]}.png in {points}" in lines[-2]
    assert lines[-1] == "2 of 3 pictures done"
    kept = kept_in(out / "inversions")
    assert sorted(kept) == [names[0], names[2]]
    # What an edit of the same photo starts from.
    photo = open_photo(photos / f"{names[0]}.png", FaceConfig(landmarks=points))
    found = kept[names[0]]
    assert found["source"]["quad"] == photo.origin["quad"]
    assert found["faces"] == 1


@pytest.mark.slow
def test_a_text_map_is_fitted_to_the_faces_of_photos(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, points = tmp_path / "data", tmp_path / "points"
    names = write_photos(folder / "images", points, 21)
    write_captions(folder, [{"image": f"{n}.png", "text": "a person with a hat"} for n in names])
    (points / f"{names[3]}.json").unlink()
    (points / f"{names[4]}.json").write_text(
        json.dumps([[[x / 2, y / 2] for x, y in PORTRAIT_POINTS]] * 2)
    )
    out = tmp_path / "map.safetensors"
    command = ["fit-text-map", str(folder), "--out", str(out), *QUICK]
    assert main([*command, "--landmarks", str(points), "--holdout", "0"]) == 2
    assert out.is_file()
    error = capsys.readouterr().err
    assert f"1 photos have several faces, of which the largest is used, '{names[4]}.png'" in error
    assert "20 of 21 pictures done" in error
    kept = kept_in(tmp_path / "map_inversions")
    assert len(kept) == 20
    # Cut otherwise, the same pictures are others.
    assert main([*command, "--overwrite", "--holdout", "0"]) == 0
    contents = [json.loads(p.read_text()) for p in (tmp_path / "map_inversions").glob("*.json")]
    assert len(contents) == 41
    assert sum("quad" in content["source"] for content in contents) == 20


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("dlib") is None, reason="no extra photos")
def test_photos_without_a_face_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "run"
    write_photos(photos, tmp_path / "points", 2)
    Image.new("RGB", (200, 200), (90, 120, 150)).save(photos / "sky.png")
    options = ["--latents", str(photos), "--align", "--out", str(out)]
    assert main(["train", "--text", "green hair", *QUICK, *FEW.split(), *options]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert f"no face was found in {photos / 'sky.png'}" in lines[-2]
    assert lines[-1] == "2 of 3 pictures done"
    assert all("quad" in content["source"] for content in kept_in(out / "inversions").values())


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--align"], "faces can be cut from photos only; give a folder of them (--latents)"),
        (["--latents", "folder", "--landmarks", "points"], "has the landmarks of one photo"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    options: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (name, *_) = write_photos(tmp_path / "photos", tmp_path / "points", 2)
    places = {"folder": tmp_path / "photos", "points": tmp_path / "points" / f"{name}.json"}
    given = [str(places.get(option, option)) for option in options]
    command = ["train", "--text", "green hair", *QUICK, *FEW.split(), "--out", str(tmp_path / "r")]
    assert main([*command, *given]) == 2
    error = capsys.readouterr().err
    assert why in error
    assert error.count("\n") == 1
