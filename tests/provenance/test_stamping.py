"""Pictures that tell how they were made: whatever writes them, whatever the choice."""

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from portrait import PORTRAIT_POINTS, PORTRAIT_SIZE
from refusals import refused

from cfclip import Session
from cfclip.apps.cli import main
from cfclip.errors import InputError
from cfclip.images import read_xmp
from cfclip.provenance.c2pa import credentials_available
from cfclip.provenance.stamping import (
    COMPOSED,
    GENERATED,
    Marking,
    Provenance,
    inspect_picture,
    write_picture,
    xmp_packet,
)
from cfclip.version import __version__

STATEMENT = Provenance(COMPOSED, ("green <hair>",), "tiny", "1", "a" * 64, 3)


@pytest.fixture(autouse=True)
def packs(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "private-name.png"
    Image.linear_gradient("L").convert("RGB").save(path)
    return path


def stated(path: Path) -> Provenance:
    provenance = inspect_picture(path).provenance
    assert provenance is not None
    return provenance


def test_the_pixels_and_the_bytes_do_not_depend_on_the_day(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    for name in ("a.png", "b.png"):
        write_picture(image, tmp_path / name, STATEMENT)
    write_picture(image, tmp_path / "bare.png", STATEMENT, Marking(metadata=False))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert stated(tmp_path / "a.png") == STATEMENT
    for name in ("a.png", "bare.png"):
        with Image.open(tmp_path / name) as written:
            assert written.tobytes() == noise.tobytes()
    with Image.open(tmp_path / "bare.png") as written:
        assert written.info == {"srgb": 0}


def test_saved_results_of_a_session_carry_it(tmp_path: Path, tiny_pack: Path) -> None:
    session = Session.open("tiny")
    result = session.edit("sample:2", ["green hair", "a smile"], seed=5)
    files = result.save(tmp_path, strengths=[0.5, 1])
    for path in (*files.images, files.strip):
        assert stated(path) == Provenance(
            GENERATED, ("green hair", "a smile"), "tiny", "1", session.pack.fingerprint, 5, 2
        )
    bare = result.save(tmp_path / "bare", marking=Marking(metadata=False))
    assert inspect_picture(bare.images[0]).provenance is None


def test_pictures_of_every_command(tmp_path: Path, picture: Path) -> None:
    pack = ["--pack", "tiny", "--out", str(tmp_path / "out")]
    assert main(["sample", "--count", "2", "--seed", "4", *pack]) == 0
    assert main(["invert", str(picture), *pack]) == 0
    assert main(["edit", str(picture), "green hair", "--seed", "6", *pack]) == 0
    record = tmp_path / "out" / "private-name_green-hair.json"
    assert main(["rerun", str(record), "--out", str(tmp_path / "again")]) == 0
    whole = Session.open("tiny").pack.fingerprint
    facts = {"pack": "tiny", "pack_version": "1", "pack_hash": whole}
    found = {path.name: stated(path) for path in (tmp_path / "out").glob("*.png")}
    inversion = Provenance(COMPOSED, **facts)
    edit = Provenance(COMPOSED, ("green hair",), seed=6, **facts)
    assert found == {
        "sample-4.png": Provenance(GENERATED, sample_seed=4, **facts),
        "sample-5.png": Provenance(GENERATED, sample_seed=5, **facts),
        "samples-4-5.png": Provenance(GENERATED, **facts),
        "private-name_inverted.png": inversion,
        "private-name_inverted_strip.png": inversion,
        "private-name_green-hair.png": edit,
        "private-name_green-hair_strip.png": edit,
    }
    for path in (tmp_path / "again").glob("*.png"):
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()
    for path in (tmp_path / "out").glob("*.png"):
        assert b"private" not in path.read_bytes()


def test_an_edited_photo_tells_nothing_of_the_metadata_of_the_photo(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x013B] = "Alice Secret"  # artist
    exif.get_ifd(0x8825)[1] = "N"  # GPS
    camera = xmp_packet(Provenance("", ("Alice Secret",), tool="Camera", version="1"))
    photo = Image.linear_gradient("L").resize(PORTRAIT_SIZE).convert("RGB")
    photo.save(tmp_path / "a.jpg", exif=exif, xmp=camera.encode(), comment=b"Alice Secret")
    (tmp_path / "points.json").write_text(json.dumps(PORTRAIT_POINTS))
    options = ["--landmarks", str(tmp_path / "points.json"), "--paste-back", "whole"]
    out = tmp_path / "out"
    command = ["edit", str(tmp_path / "a.jpg"), "green hair", *options, "--pack", "tiny"]
    assert main([*command, "--out", str(out)]) == 0
    assert len(list(out.glob("*.png"))) == 3
    for path in out.glob("*.png"):
        assert (stated(path).source_type, stated(path).prompts) == (COMPOSED, ("green hair",))
        assert b"Alice" not in path.read_bytes()
        with Image.open(path) as written:
            assert not written.getexif()
    assert main([*command, "--out", str(tmp_path / "bare"), "--no-metadata"]) == 0
    for path in (tmp_path / "bare").glob("*.png"):
        with Image.open(path) as written:
            assert set(written.info) == {"srgb"}


def test_metadata_is_left_out_where_asked(tmp_path: Path, picture: Path) -> None:
    options = ["--pack", "tiny", "--out", str(tmp_path / "out"), "--no-metadata"]
    for command in (
        ["sample"],
        ["invert", str(picture)],
        ["edit", str(picture), "green hair"],
    ):
        assert main([*command, *options]) == 0
    written = list((tmp_path / "out").glob("*.png"))
    assert len(written) == 5
    for path in written:
        with Image.open(path) as image:
            assert image.info == {"srgb": 0}


def test_inspect(tmp_path: Path, picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.png"
    hostile = Provenance(COMPOSED, ("green\nhair",), "tiny", "1", "a" * 64, 3, 9)
    write_picture(Image.new("RGB", (32, 32)), path, hostile)
    assert main(["inspect", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:-1] == [
        f"source type  {COMPOSED} (made from a picture by a trained model)",
        f"made by      cfclip {__version__}",
        "prompt       green hair",
        "pack         tiny 1",
        f"pack hash    {'a' * 64}",
        "seed         3",
        "sample       sample:9",
    ]
    expected = "none" if credentials_available() else "not looked for"
    assert lines[-1].startswith(f"signature    {expected}")
    assert main(["inspect", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["provenance"]["source_type"] == COMPOSED
    assert told["credentials_read"] == credentials_available()


def test_inspect_of_a_picture_that_tells_nothing(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(picture)]) == 0
    assert "none: the picture does not tell how it was made" in capsys.readouterr().out
    assert main(["inspect", str(picture), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["provenance"] is None


def test_inspect_of_several_names_each_and_goes_on_after_a_bad_one(
    tmp_path: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, bad = tmp_path / "a.png", tmp_path / "bad.png"
    write_picture(Image.new("RGB", (32, 32)), made, Provenance(GENERATED, ("green hair",)))
    bad.write_text("no picture")
    several = ["inspect", str(made), str(bad), str(picture)]
    assert main(several) == 2
    captured = capsys.readouterr()
    first, second = captured.out.split("\n\n")
    assert first.startswith(f"picture      {made}\nsource type  ")
    assert second.startswith(f"picture      {picture}\nprovenance   none")
    error, count = captured.err.splitlines()
    assert error.startswith(f"cfclip: error: {bad} is not a picture")
    assert count == "2 of 3 pictures done"
    assert main([*several, "--json"]) == 2
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["image"] for each in told] == several[1:]
    assert "is not a picture" in told[1]["error"]
    assert main(["inspect"]) == 2
    assert "no pictures; give files" in refused(capsys)


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_inspect_of_other_formats_and_programs(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    statement = Provenance(GENERATED, ("a cat",), tool="Painter", version="3")
    Image.new("RGB", (32, 32)).save(path, xmp=xmp_packet(statement).encode())
    assert stated(path) == statement


def test_xmp_that_acts_on_a_terminal_is_shown_without_its_powers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.jpg"
    packet = xmp_packet(Provenance(GENERATED, ("green hair",))).replace("green", "a&#x9b;31m")
    Image.new("RGB", (32, 32)).save(path, xmp=packet.encode())
    assert main(["inspect", str(path)]) == 0
    assert "a\ufffd31m hair" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", "document type"),
        (b"\xff\xfe\x00garbage", "damaged"),
    ],
)
def test_hostile_xmp_is_one_line(
    tmp_path: Path, packet: bytes, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (32, 32)).save(path, xmp=packet)
    assert main(["inspect", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{path}: its XMP" in captured.err
    assert why in captured.err
    assert captured.err.count("\n") == 1


def itxt(text: bytes, compressed: bool = False) -> bytes:
    """A PNG chunk of XMP."""
    data = b"iTXtXML:com.adobe.xmp\0" + bytes([compressed, 0, 0, 0])
    data += zlib.compress(text) if compressed else text
    return struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))


def test_xmp_behind_the_pixels_is_read(picture: Path) -> None:
    png, end = picture.read_bytes(), 12
    picture.write_bytes(png[:-end] + itxt(xmp_packet(STATEMENT).encode()) + png[-end:])
    assert stated(picture) == STATEMENT


def test_xmp_that_unpacks_to_gigabytes_is_refused(picture: Path) -> None:
    png, header = picture.read_bytes(), 8 + 25
    bomb = itxt(bytes(100_000_000), compressed=True)
    picture.write_bytes(png[:header] + bomb + png[header:])
    with pytest.raises(InputError) as caught:
        inspect_picture(picture)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_inspected(tmp_path: Path, picture: Path) -> None:
    (tmp_path / "hello.png").write_text("hello")
    (tmp_path / "half.png").write_bytes(picture.read_bytes()[:500])
    for name, why in (
        ("hello.png", "not a picture"),
        ("half.png", "damaged"),
        ("none.png", "no file"),
        (".", "is a folder"),
    ):
        with pytest.raises(InputError, match=why):
            read_xmp(tmp_path / name)
    with pytest.raises(InputError, match="limit is 1,000"):
        read_xmp(picture, max_pixels=1000)
