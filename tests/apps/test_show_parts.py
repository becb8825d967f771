"""`cfclip fit-parts`, `cfclip parts`, and edits that are confined, by the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from refusals import refused

from cfclip.apps.cli import main
from cfclip.editing import Session, rerun
from cfclip.packs import PARTS_FILE

FEW = ("--images", "16")


@pytest.fixture
def pack(tiny_pack_copy: Path) -> Path:
    """The tiny pack with its parts."""
    assert main(["fit-parts", str(tiny_pack_copy), "--quiet", *FEW]) == 0
    return tiny_pack_copy


def refusal(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(command) == 2
    return refused(capsys)


def pixels(path: Path) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
    return np.asarray(Image.open(path)).astype(int)


def test_parts_are_kept_in_the_pack(
    tiny_pack_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit-parts", str(tiny_pack_copy), "--json", *FEW]) == 0
    told = json.loads(capsys.readouterr().out)
    session = Session.open(tiny_pack_copy)
    parts = session.pack.parts()
    assert parts is not None
    assert told["parts"] == str(tiny_pack_copy / PARTS_FILE)
    assert tuple(told["about"]) == parts.names
    assert told["images"] == 16
    assert 0.0 < told["agreement"] <= len(parts.names)
    assert parts.config.models == session.pack.mapped_models
    capsys.readouterr()
    error = refusal(["fit-parts", str(tiny_pack_copy), *FEW], capsys)
    assert "exists; give --overwrite to find the parts anew" in error
    assert main(["fit-parts", str(tiny_pack_copy), "--overwrite", *FEW]) == 0


def test_parts_of_a_picture_are_drawn(
    pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "drawn"
    command = ["parts", "sample:1", "--pack", str(pack), "--out", str(out), "--json"]
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert sum(told["parts"].values()) == pytest.approx(1.0, abs=1e-3)
    assert Image.open(told["sheet"]).width > 256
    session = Session.open(pack)
    (source,) = session.sample(1, 1)
    parts = session.parts(source)
    name = parts.at(0.5, 0.5)
    assert np.asarray(parts.mask(name))[16, 16] == 255
    assert told["parts"][name] == pytest.approx(parts.share(name), abs=1e-3)


def test_an_edit_of_a_part_leaves_the_others(pack: Path, tmp_path: Path) -> None:
    out = tmp_path / "edited"
    session = Session.open(pack)
    (source,) = session.sample(1, 1)
    parts = session.parts(source)
    name = max(parts.names, key=lambda each: parts.share(each) * (parts.share(each) < 0.6))
    edit = ["edit", "sample:1", "--text", "red hair", "--pack", str(pack), "--out", str(out)]
    edit += ["--strength", "4", "--quiet"]
    assert main([*edit, "--region", "parts", "--parts", name]) == 0
    (record,) = out.glob("*.json")
    changed = np.abs(pixels(record.with_suffix(".png")) - np.asarray(source.image).astype(int))
    free = tmp_path / "free"
    assert main([*edit, "--out", str(free), "--region", "off"]) == 0
    (other,) = free.glob("*_red-hair.png")
    everywhere = np.abs(pixels(other) - np.asarray(source.image).astype(int))
    inside = np.asarray(parts.mask(name)) > 0
    outside = changed.sum(2)[~inside].mean() / everywhere.sum(2)[~inside].mean()
    within = changed.sum(2)[inside].mean() / everywhere.sum(2)[inside].mean()
    assert outside < 0.9 * within
    assert json.loads(record.read_text())["settings"]["parts"] == name
    again = rerun(record, pack=pack)
    assert again.identical


def test_the_part_at_a_point(
    pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit = ["edit", "sample:1", "--text", "red hair", "--pack", str(pack), "--json"]
    points = ["--point", "0.5", "0.5", "--point", "0.1", "0.9"]
    capsys.readouterr()
    assert main([*edit, "--out", str(tmp_path / "edited"), *points]) == 0
    told = json.loads(capsys.readouterr().out)
    session = Session.open(pack)
    (source,) = session.sample(1, 1)
    parts = session.parts(source)
    names = list(dict.fromkeys((parts.at(0.5, 0.5), parts.at(0.1, 0.9))))
    record = json.loads(Path(told["record"]).read_text())
    assert told["confined_to"] == record["confined_to"] == {"name": "parts", "parts": names}
    assert rerun(told["record"], pack=pack).identical
    error = refusal([*edit, "--out", str(tmp_path / "none"), "--point", "0.5", "1.5"], capsys)
    assert "the point is (0.5, 1.5), expected numbers from 0 to 1" in error
    assert not [*(tmp_path / "none").glob("*")]


@pytest.mark.parametrize("region", ["changed", "parts"])
def test_a_confined_edit_is_made_again_from_its_record(
    pack: Path, tmp_path: Path, region: str
) -> None:
    out = tmp_path / region
    edit = ["edit", "sample:1", "--text", "red hair", "--pack", str(pack), "--out", str(out)]
    assert main([*edit, "--region", region, "--strength", "1", "2", "--quiet"]) == 0
    (record,) = out.glob("*.json")
    again = rerun(record, pack=pack)
    assert again.strengths == (1.0, 2.0)
    assert again.identical


def test_what_cannot_be_confined_is_refused(
    pack: Path, tiny_pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit = ["edit", "sample:1", "--text", "red hair", "--out", str(tmp_path / "none")]
    capsys.readouterr()
    error = refusal([*edit, "--pack", str(pack), "--region", "parts", "--parts", "nose"], capsys)
    assert "there is no part 'nose'; this pack has" in error
    error = refusal([*edit, "--pack", str(tiny_pack), "--region", "parts"], capsys)
    assert "confined to parts, but this pack has none; find them (cfclip fit-parts)" in error
    error = refusal(["parts", *edit[1:2], *edit[4:], "--pack", str(tiny_pack)], capsys)
    assert "has no parts; find them (cfclip fit-parts" in error
    assert not [*(tmp_path / "none").glob("*")]
