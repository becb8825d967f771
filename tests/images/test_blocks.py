"""Pictures of a few megabytes whose metadata would keep decoders busy for minutes."""

import struct
import time
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin
from refusals import refused

from cfclip.apps.cli import main
from cfclip.images import open_image
from cfclip.images.blocks import MOST

MOST_SECONDS = 5.0


def encoded(form: str, **options: object) -> bytes:
    stream = BytesIO()
    Image.new("RGB", (64, 64)).save(stream, format=form, **options)
    return stream.getvalue()


def png(kind: bytes, content: bytes, count: int) -> bytes:
    data, checked = encoded("PNG"), kind + content
    chunk = struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))
    end = data.rindex(b"IEND") - 4
    return data[:end] + chunk * count + data[end:]


def jpeg(marker: int, content: bytes, count: int) -> bytes:
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content
    data = encoded("JPEG")
    return data[:2] + segment * count + data[2:]


def behind_the_first_segment(content: bytes) -> bytes:
    data = encoded("JPEG")
    end = 4 + int.from_bytes(data[4:6], "big")
    return data[:end] + content + data[end:]


def gif(blocks: bytes) -> bytes:
    data = encoded("GIF")
    start = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    return b"GIF89a" + data[6:start] + blocks + data[start:]


FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "texts.png": (lambda: png(b"iTXt", b"a\0\0\0\0\0", 200_000), "PNG chunks"),
    "pixels.png": (lambda: png(b"IDAT", b"", 300_000), "PNG chunks"),
    "exif.jpg": (lambda: jpeg(0xE1, b"Exif\0\0" + b"x" * 65_000, 500), "EXIF segments"),
    "segments.jpg": (lambda: jpeg(0xE5, b"", 2_000_000), "JPEG segments"),
    "stray.jpg": (lambda: behind_the_first_segment(b"x" * 5_000_000), "stray bytes"),
    "filled.jpg": (
        lambda: b"\xff\xd8" + b"\xff" * 5_000_000 + encoded("JPEG")[3:],
        "stray bytes",
    ),
    "comments.gif": (lambda: gif(b"\x21\xfe\x01a\0" * 1_000_000), "bytes of comments"),
    "comment.gif": (
        lambda: gif(b"\x21\xfe" + b"\x01a" * 2_000_000 + b"\0"),
        "bytes of comments",
    ),
    "empty.gif": (lambda: gif(b"\x21\xfe\0" * 2_000_000), "bytes of comments"),
    "program.gif": (lambda: gif(b"\x21\xff" + b"\x01a" * 3_000_000 + b"\0"), "GIF blocks"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("command", ["inspect", "edit"])
def test_they_are_refused_at_once(
    tmp_path: Path, name: str, command: str, tiny_pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, what = FILES[name]
    path = tmp_path / name
    path.write_bytes(content())
    options = ["green hair", "--pack", str(tiny_pack), "--out", str(tmp_path / "out")]
    began = time.process_time()  # of computing: other work on the machine may make it wait
    assert main([command, str(path), *(options if command == "edit" else [])]) == 2
    assert time.process_time() - began < MOST_SECONDS
    assert f"has more than {MOST[what]:,} {what}" in refused(capsys)


def test_pictures_with_much_to_tell_open(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a description " * 4000
    frames = [Image.new("RGB", (64, 64), (shade, 0, 0)) for shade in range(100)]
    texts = PngImagePlugin.PngInfo()
    for number in range(1000):
        texts.add_text(f"key {number}", "text")
    files = {
        "a.jpg": encoded("JPEG", exif=exif, icc_profile=b"x" * 300_000, comment=b"c" * 60_000),
        "a.png": encoded("PNG", pnginfo=texts, exif=exif),
        "a.gif": encoded("GIF", save_all=True, append_images=frames, comment=b"c" * 60_000),
        "more.gif": encoded("GIF") + b"behind the end" * 300_000,
        "many.png": encoded("PNG", save_all=True, append_images=frames),
    }
    for name, content in files.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert open_image(path, 32).image.size == (32, 32)
