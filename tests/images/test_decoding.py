"""Large photos, bombs and files that decoders trip over, at bounded memory."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image
from tiny_process import environment

from cfclip.errors import InputError
from cfclip.images import open_image, read_xmp
from cfclip.images.decoding import MAX_PHOTO_PIXELS, MAX_PIXELS, MAX_WHOLE_BYTES

LARGEST = (16320, 12240)


def photo(size: tuple[int, int], **options: object) -> bytes:
    """A JPEG of a few kilobytes, dark above and light below."""
    stream = io.BytesIO()
    Image.linear_gradient("L").resize(size, Image.Resampling.BOX).save(
        stream, format="JPEG", **options
    )
    return stream.getvalue()


def claimed(data: bytes, width: int, height: int) -> bytes:
    """A JPEG whose header says another size."""
    at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def growth(path: Path, whole: bool) -> tuple[float, str]:
    """Megabytes that opening a picture adds to a process at most, and what became of it."""
    code = f"""
import resource
from cfclip.errors import InputError
from cfclip.images.image_files import open_image
from PIL import Image
open_image(Image.new("RGB", (64, 64)), 32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    opened = open_image({str(path)!r}, {None if whole else 64})
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, *opened.image.size)
except InputError as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, error)
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environment({}),
    )
    kilobytes, _, told = run.stdout.strip().partition(" ")
    return int(kilobytes) / 1024, told


@pytest.mark.parametrize("whole", [True, False])
def test_the_largest_photo_of_a_phone_opens_in_400_megabytes(tmp_path: Path, whole: bool) -> None:
    (tmp_path / "a.jpg").write_bytes(photo(LARGEST))
    megabytes, told = growth(tmp_path / "a.jpg", whole)
    assert told == ("8160 6120" if whole else "64 64")
    assert megabytes < 400


def test_a_photo_of_fifty_megapixels_is_not_reduced(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "a.jpg").write_bytes(photo((8192, 6144), exif=exif))
    megabytes, told = growth(tmp_path / "a.jpg", True)
    assert told == "6144 8192"
    assert megabytes < 500


def test_reduction_changes_nothing_but_the_size(tmp_path: Path) -> None:
    data = photo((1024, 768))
    whole = open_image(data, 64, "a").image
    for limit in (1024 * 768 // 4, 1024 * 768 // 16, 1024 * 768 // 64):
        reduced = open_image(data, 64, "a", limit)
        assert reduced.warnings == ("a is 1024x768 pixels; only its central square is used",)
        for at in ((5, 5), (60, 20), (30, 60)):
            assert reduced.image.getpixel(at) == pytest.approx(whole.getpixel(at), abs=3)
    (tmp_path / "a.jpg").write_bytes(data)
    opened = open_image(tmp_path / "a.jpg", None, max_pixels=1024 * 768 // 16)
    assert (opened.reduction, opened.image.size) == (4, (256, 192))
    assert opened.warnings[0].endswith("is 1024x768 pixels; all of it is used at 256x192")
    with pytest.raises(InputError, match=f"limit is {MAX_PHOTO_PIXELS:,}"):
        open_image(data, 64, "a", 1024 * 768 // 64 - 1)


def test_what_is_not_decoded_row_by_row_keeps_to_the_limit(tmp_path: Path) -> None:
    in_scans = photo((512, 512)).replace(b"\xff\xda\0\x08\x01", b"\xff\xda\0\x08\x02")
    for data in (photo((512, 512), progressive=True), in_scans):
        with pytest.raises(InputError, match="512x512 pixels, the limit is 100,000 in all"):
            open_image(data, 64, "a", 100_000)


@pytest.mark.parametrize("side", [17_000, 65_000])
def test_a_jpeg_that_claims_more_than_any_camera_makes(tmp_path: Path, side: int) -> None:
    (tmp_path / "a.jpg").write_bytes(claimed(photo((64, 64)), side, side))
    megabytes, told = growth(tmp_path / "a.jpg", True)
    assert f"has {side}x{side} pixels, the limit is {MAX_PHOTO_PIXELS:,} in all" in told
    assert megabytes < 50


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A black PNG (of a very high one some rows), with chunks in front of its pixels."""
    rows = zlib.compressobj(1)
    there = height if height < 7000 else 50
    packed = b"".join(rows.compress(bytes(1 + width * 3)) for _ in range(there)) + rows.flush()
    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in ((b"IHDR", header), *chunks, (b"IDAT", packed), (b"IEND", b""))
    )


@pytest.mark.parametrize(("side", "limit"), [(6300, 250), (20_000, 50)])
def test_bombs_are_bounded(tmp_path: Path, side: int, limit: int) -> None:
    data = png(side, side)
    assert len(data) < 2_500_000
    (tmp_path / "a.png").write_bytes(data)
    megabytes, told = growth(tmp_path / "a.png", False)
    assert megabytes < limit
    assert told == "64 64" or f"limit is {MAX_PIXELS:,}" in told


def test_a_file_that_has_to_be_in_memory_is_not_too_large(tmp_path: Path) -> None:
    head = io.BytesIO()
    Image.new("RGB", (32, 32)).save(head, format="AVIF")
    (tmp_path / "a.avif").write_bytes(head.getvalue())
    open_image(tmp_path / "a.avif", 32)
    with open(tmp_path / "a.avif", "r+b") as stream:
        stream.truncate(MAX_WHOLE_BYTES + 1)  # sparse
    with pytest.raises(InputError, match=r"more than 200,000,000 bytes.*save it as JPEG"):
        open_image(tmp_path / "a.avif", 32)


def test_metadata_of_a_large_photo_can_be_read(tmp_path: Path) -> None:
    data = photo((512, 512), xmp=b"<x/>")
    (tmp_path / "a.jpg").write_bytes(data)
    assert read_xmp(tmp_path / "a.jpg", 100_000) == "<x/>"


def test_a_word_on_colours_that_is_faulty_does_not_cost_the_picture(tmp_path: Path) -> None:
    bomb = b"big\0\0" + zlib.compress(bytes(50_000_000), 9)
    for chunk in (
        *((b"iCCP", bomb), (b"iCCP", b""), (b"iCCP", b"a\0\1"), (b"iCCP", b"a\0\0junk")),
        *((b"gAMA", b"\1"), (b"cHRM", bytes(31)), (b"sRGB", b""), (b"cICP", b"\1")),
    ):
        opened = open_image(png(32, 32, chunk), 32, "a.png")
        assert opened.image.getpixel((5, 5)) == (0, 0, 0)
        assert ["colour profile of a.png is not used" in line for line in opened.warnings] == [True]


@pytest.mark.parametrize("mark", [b"", b"CR"])
def test_a_raw_file_of_a_camera_is_not_taken_for_its_preview(tmp_path: Path, mark: bytes) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "a.tif", tiffinfo={254: 1})
    data = (tmp_path / "a.tif").read_bytes()
    if mark:
        data = b"II*\0\x10\0\0\0CR" + data[10:]
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(InputError, match=r"raw files of cameras do|camera's raw file"):
        open_image(tmp_path / "a.tif", 32)
    Image.new("RGB", (32, 32)).save(tmp_path / "b.tif", tiffinfo={254: 0})
    open_image(tmp_path / "b.tif", 32)
