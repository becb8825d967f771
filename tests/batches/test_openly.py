"""What a batch hands on tells nothing of the folders it was made in."""

import json
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from cfclip.apps.cli import main
from cfclip.batches.openly import open_name, without_folders

SECRET = "alice's private photos"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cannot read /home/alice/a.png: gone", "cannot read a.png: gone"),
        ("'/home/alice/a.png' and (/srv/b)", "'a.png' and (b)"),
        (r"C:\Users\alice\a.png is a folder", "a.png is a folder"),
        ("at most 3 / 4 of it, and/or https://example.org/a/b", None),
        ("in/a.png has 20 km/h", None),
        ("there is no file /a.png", "there is no file a.png"),
    ],
)
def test_absolute_paths_are_cut(text: str, told: str | None) -> None:
    assert without_folders(text, ()) == (text if told is None else told)


def test_names_of_pictures() -> None:
    for image in ("in/a.png", "sample:7", "s.tar/a.png", "codes.pt:3"):
        assert open_name(image) == image
    assert open_name("/home/alice/codes.pt:3") == "codes.pt:3"
    assert open_name(r"C:\alice\a.png") == "a.png"


@pytest.mark.slow
@pytest.mark.parametrize("form", ["folder", "webdataset", "parquet"])
def test_no_folder_is_handed_on(
    tmp_path: Path,
    tiny_pack: Path,
    form: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow")
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))
    place = tmp_path / SECRET
    place.mkdir()
    Image.new("RGBA", (90, 64), (0, 0, 0, 0)).save(place / "warned.png")
    (place / "bad.png").write_bytes(b"no picture")
    (place / "list.csv").write_text(
        f"image,name\n{place / 'warned.png'},listed\n/outside/{SECRET}/x.png,\nmissing.png,\n"
    )
    out = tmp_path / SECRET / "out"
    given = [place / "warned.png", place / "bad.png", place / "list.csv"]
    command = ["batch", *map(str, given), "--text", "green hair", "--steps", "1", "--workers", "1"]
    options = ["--pack", "tiny", "--to", form, "--out", str(out)]
    assert main([*command, *options]) == 2
    capsys.readouterr()
    handed_on = [out / "results.jsonl", out / "summary.html", *(out / "shards").glob("*")]
    assert len(handed_on) == (2 if form == "folder" else 3)
    for file in handed_on:
        content = file.read_bytes().decode("latin-1")
        for secret in (SECRET, "private", str(tmp_path), tmp_path.name, "/outside"):
            assert secret not in content, (file, secret)
    told = {line["name"]: line for line in map(json.loads, (out / "results.jsonl").open())}
    assert told["warned_green-hair"]["image"] == "warned.png"
    assert any("warned.png is transparent" in each for each in told["listed"]["warnings"])
    assert told["bad_green-hair"]["error"].startswith("bad.png is not a picture")
    assert "missing.png" in (out / "summary.html").read_text()
    if form == "webdataset":
        with tarfile.open(next((out / "shards").glob("*.tar"))) as shard:
            member = shard.extractfile("listed.json")
            assert member is not None
            assert json.load(member)["image"] == "warned.png"
