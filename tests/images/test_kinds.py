"""Which files are pictures: formats by content, and listings that pass over nothing unsaid."""

import io
import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from cfclip.errors import InputError
from cfclip.images import open_image
from cfclip.images.kinds import (
    FORMATS,
    HEAD_BYTES,
    SUFFIXES,
    format_of,
    heif_available,
    list_pictures,
)

needs_heif = pytest.mark.skipif(not heif_available(), reason="needs the extra heic")
JXL = b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40)


def encoded(name: str) -> bytes:
    stream = io.BytesIO()
    if name == "HEIF":
        import pillow_heif

        pillow_heif.from_pillow(Image.linear_gradient("L").convert("RGB")).save(stream)
    else:
        Image.linear_gradient("L").convert("RGB").save(stream, format=name)
    return stream.getvalue()


def names(paths: tuple[Path, ...]) -> list[str]:
    return [path.name for path in paths]


@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_known_by_content(tmp_path: Path, name: str) -> None:
    assert format_of(encoded(name)[:HEAD_BYTES]) == name
    (tmp_path / "any.name").write_bytes(encoded(name))
    assert open_image(tmp_path / "any.name", 32).warnings == ()
    assert names(list_pictures(tmp_path).pictures) == ["any.name"]


@needs_heif
def test_heic_opens_with_its_extra(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(encoded("HEIF"))
    (tmp_path / "renamed.jpg").write_bytes(encoded("HEIF"))
    listing = list_pictures(tmp_path)
    assert names(listing.pictures) == ["a.heic", "renamed.jpg"]
    for path in listing.pictures:
        opened = open_image(path, 32)
        assert opened.warnings == ()
        assert opened.image.getpixel((16, 16)) == pytest.approx((131, 131, 131), abs=6)


def test_heic_without_its_extra_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # type: ignore[arg-type]
    head = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
    for name in ("a.heic", "b.HEIF", "c.hif", "d.heic", "any"):
        (tmp_path / name).write_bytes(head)
    Image.new("RGB", (32, 32)).save(tmp_path / "z.png")
    listing = list_pictures(tmp_path)
    assert names(listing.pictures) == ["z.png"]
    assert listing.complaint == (
        "5 pictures are skipped, which cannot be opened: a.heic, any, b.HEIF and 2 more; "
        "HEIC needs pip install 'cfclip[heic]', or save it as JPEG"
    )
    with pytest.raises(InputError, match=r"a\.heic is a HEIF file.*pip install 'cfclip\[heic\]'"):
        open_image(tmp_path / "a.heic", 32)


def test_a_folder_with_files_of_every_kind(tmp_path: Path) -> None:
    for name in ("b.PNG", "c.jfif", "d.jpe", "e.avif", "photo", "IMG_1.JPG_original"):
        (tmp_path / name).write_bytes(encoded("JPEG"))
    (tmp_path / "f.png").touch()  # told when it is opened
    for name in ("a.jxl", "raw.NEF", "layers.psd"):
        (tmp_path / name).touch()
    (tmp_path / "unnamed").write_bytes(JXL)
    for name in ("notes.txt", "list.json", "a.xmp", ".DS_Store", "._b.png", "BMI", "film.mov"):
        (tmp_path / name).write_bytes(b"BMI is a number")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "lost.jpg").symlink_to(tmp_path / "nowhere.jpg")
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe")
    listing = list_pictures(tmp_path)
    assert names(listing.pictures) == [
        *("IMG_1.JPG_original", "b.PNG", "c.jfif", "d.jpe", "e.avif", "f.png", "photo"),
    ]
    assert names(listing.skipped) == [
        *("a.jxl", "layers.psd", "lost.jpg", "pipe.png", "raw.NEF", "unnamed"),
    ]


def test_one_file_is_taken_whatever_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    listing = list_pictures(tmp_path / "notes.txt")
    assert (listing.pictures, listing.complaint) == ((tmp_path / "notes.txt",), None)


def test_what_cannot_be_listed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no pictures \(\.png, .*\)$"):
        list_pictures(tmp_path)
    (tmp_path / "a.jxl").touch()
    with pytest.raises(InputError, match=r"has no pictures .*; 1 picture is skipped.*: a\.jxl$"):
        list_pictures(tmp_path)
    with pytest.raises(InputError, match="there is no file"):
        list_pictures(tmp_path / "none")
    with pytest.raises(InputError, match="cannot read"):
        list_pictures("a\0b")
    assert len(", ".join(SUFFIXES)) < 200


@pytest.mark.parametrize(
    "head",
    [
        *(b"", b"hello", b"BM", b"BM is no picture, as its header tells", b"RIFF\0\0\0\0WAVE"),
        *(b"\0\0\0\x18ftypisom\0\0\0\0mp42", b"\0\0\0\x10ftyp", b"\xff\xff\xff\xffftypmif1"),
        *(b"%!PS-Adobe-3.0", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    ],
)
def test_other_content_is_no_picture(head: bytes) -> None:
    assert format_of(head) is None


def test_brands_of_avif_and_heic() -> None:
    def box(*brands: bytes) -> bytes:
        body = b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])
        return (len(body) + 4).to_bytes(4, "big") + body

    assert format_of(box(b"mif1", b"mif1", b"heic")) == "HEIF"
    assert format_of(box(b"mif1", b"miaf", b"avif")) == "AVIF"
    assert format_of(box(b"mif1", b"miaf") + b"avif") is None  # behind the box
