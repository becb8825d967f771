import io
import os
import stat
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from cfclip.errors import InputError
from cfclip.images import check_outputs, write_png
from cfclip.images.image_files import ASPECT_LIMIT, MAX_PIXELS, MIN_SIDE, open_image
from cfclip.images.kinds import FORMATS

SIZE = 32
RED, BLUE = (230, 20, 30), (10, 40, 220)


def picture(width: int = SIZE, height: int = SIZE) -> Image.Image:
    """Red left half, blue right half."""
    image = Image.new("RGB", (width, height), RED)
    ImageDraw.Draw(image).rectangle((width // 2, 0, width, height), fill=BLUE)
    return image


def pixel(path: Path, at: tuple[int, int] = (4, 4), size: int = SIZE) -> tuple[int, ...]:
    opened = open_image(path, size)
    assert opened.image.mode == "RGB"
    assert opened.image.size == (size, size)
    value = opened.image.getpixel(at)
    assert isinstance(value, tuple)
    return value


def refusal(path: object, **options: int) -> str:
    with pytest.raises(InputError) as caught:
        open_image(path, SIZE, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tiff", "avif"])
def test_every_format_opens_without_a_warning(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    picture().save(path)
    assert open_image(path, SIZE).warnings == ()
    np.testing.assert_allclose(pixel(path), RED, atol=12)
    np.testing.assert_allclose(pixel(path, (28, 4)), BLUE, atol=12)


def test_a_picture_of_the_right_size_keeps_every_bit(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(open_image(tmp_path / "a.png", SIZE).image), noise)


def test_the_suffix_does_not_matter(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert pixel(tmp_path / "a.jpg") == RED


def test_not_a_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    assert refusal(tmp_path / "a.png").endswith("incomplete (no header); export it again")
    (tmp_path / "a.png").write_text("hello")
    assert "not a picture; give a PNG" in refusal(tmp_path / "a.png")


def test_other_decoders_are_never_tried(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.pcx")
    (tmp_path / "a.eps").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\nshowpage\n"
    )
    for name in ("a.pcx", "a.eps"):
        assert "not a picture" in refusal(tmp_path / name)


def test_zero_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert "is empty" in refusal(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tiff", "avif"])
def test_truncated(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refusal(path)


def test_missing_folder_and_hostile_names(tmp_path: Path) -> None:
    assert "there is no file" in refusal(tmp_path / "none.png")
    assert "is a folder" in refusal(tmp_path)
    assert "cannot read" in refusal("a\0b.png")
    assert "cannot read" in refusal(tmp_path / ("x" * 5000))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_and_devices_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert "not a regular file" in refusal(tmp_path / "pipe.png")
    assert "not a regular file" in refusal("/dev/zero")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")
def test_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    picture().save(path)
    path.chmod(0)
    if os.geteuid() == 0:
        pytest.skip("permissions do not bind the superuser")
    assert "cannot read" in refusal(path)


def png_bytes(width: int, height: int, bits: int, rows: bytes) -> bytes:
    """An RGB PNG with any header, whatever the rows are."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0))
    content = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + content


@pytest.mark.parametrize("side", [9_000, 60_000])
def test_decompression_bomb_is_refused_by_its_header(tmp_path: Path, side: int) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes(side, side, 8, bytes(100_000)))
    assert f"{MAX_PIXELS:,}" in refusal(path)


def test_the_pixel_limit_can_be_set(tmp_path: Path) -> None:
    picture(40, 40).save(tmp_path / "a.png")
    assert "40x40" in refusal(tmp_path / "a.png", max_pixels=1599)
    open_image(tmp_path / "a.png", SIZE, max_pixels=1600)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tiff"])
def test_animation_gives_its_first_frame(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    frames = [Image.new("RGB", (SIZE, SIZE), colour) for colour in (RED, BLUE)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    opened = open_image(path, SIZE)
    assert ["frames" in line for line in opened.warnings] == [True]
    np.testing.assert_allclose(pixel(path), RED, atol=12)


def test_a_photo_with_a_second_view_is_one_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    picture().save(path, format="MPO", save_all=True, append_images=[picture()])
    assert open_image(path, SIZE).warnings == ()


@pytest.mark.parametrize("suffix", ["jpg", "tiff"])
def test_cmyk(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    picture().convert("CMYK").save(path)
    assert "CMYK" in open_image(path, SIZE).warnings[0]
    np.testing.assert_allclose(pixel(path), RED, atol=12)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    samples = np.full((SIZE, SIZE), 0x4080, dtype=np.uint16)
    Image.fromarray(samples).save(path)
    assert pixel(path) == (0x40,) * 3


def test_16_bit_rgb(tmp_path: Path) -> None:
    row = b"\0" + struct.pack(">HHH", 0xC0C0, 0x4040, 0x1010) * SIZE
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes(SIZE, SIZE, 16, row * SIZE))
    assert pixel(path) == (0xC0, 0x40, 0x10)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bit_samples_are_refused(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (SIZE, SIZE)).save(tmp_path / "a.tiff")
    assert "32-bit" in refusal(tmp_path / "a.tiff")


@pytest.mark.parametrize(("mode", "grey"), [("L", 90), ("1", 1)])
def test_grey_and_black_and_white(tmp_path: Path, mode: str, grey: int) -> None:
    Image.new(mode, (SIZE, SIZE), grey).save(tmp_path / "a.png")
    assert pixel(tmp_path / "a.png") == ((90,) * 3 if mode == "L" else (255,) * 3)


def test_palette(tmp_path: Path) -> None:
    picture().quantize(4).save(tmp_path / "a.png")
    np.testing.assert_allclose(pixel(tmp_path / "a.png"), RED, atol=2)


def test_transparent_parts_are_white_and_reported(tmp_path: Path) -> None:
    image = picture().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 16, SIZE))
    image.paste((0, 0, 0, 51), (16, 0, 32, SIZE))  # black at a fifth
    image.save(tmp_path / "a.png")
    assert "transparent" in open_image(tmp_path / "a.png", SIZE).warnings[0]
    assert pixel(tmp_path / "a.png") == (255, 255, 255)
    assert pixel(tmp_path / "a.png", (28, 4)) == (204, 204, 204)


def test_an_opaque_alpha_channel_is_not_reported(tmp_path: Path) -> None:
    picture().convert("RGBA").save(tmp_path / "a.png")
    assert open_image(tmp_path / "a.png", SIZE).warnings == ()
    assert pixel(tmp_path / "a.png") == RED


def test_grey_with_alpha_and_palette_with_transparency(tmp_path: Path) -> None:
    Image.new("LA", (SIZE, SIZE), (0, 0)).save(tmp_path / "la.png")
    palette = picture().quantize(4)
    palette.save(tmp_path / "p.png", transparency=palette.getpixel((0, 0)))
    for name in ("la.png", "p.png"):
        assert pixel(tmp_path / name) == (255, 255, 255)


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held turned: rotate a quarter clockwise to view
    picture().save(tmp_path / "a.png", exif=exif)
    opened = open_image(tmp_path / "a.png", SIZE).image
    assert opened.getpixel((16, 4)) == RED
    assert opened.getpixel((16, 28)) == BLUE


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_leaves_the_picture_as_stored(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png", exif=b"Exif\0\0MM\0*" + b"\xff" * 20)
    assert pixel(tmp_path / "a.png") == RED


def test_too_small(tmp_path: Path) -> None:
    picture(1, 1).save(tmp_path / "a.png")
    assert f"1x1 pixels, at least {MIN_SIDE}" in refusal(tmp_path / "a.png")


def test_strong_enlargement_is_reported(tmp_path: Path) -> None:
    picture(MIN_SIDE, MIN_SIDE).save(tmp_path / "a.png")
    assert open_image(tmp_path / "a.png", 2 * MIN_SIDE).warnings == ()
    assert "enlarged" in open_image(tmp_path / "a.png", 3 * MIN_SIDE).warnings[0]


@pytest.mark.parametrize(("size", "reported"), [((36, 32), False), ((60, 32), True)])
def test_centre_crop(tmp_path: Path, size: tuple[int, int], reported: bool) -> None:
    path = tmp_path / "a.png"
    for each in (size, size[::-1]):
        image = Image.new("RGB", each, BLUE)
        left, top = (each[0] - 32) // 2, (each[1] - 32) // 2
        image.paste(RED, (left, top, left + 32, top + 32))
        image.save(path)
        opened = open_image(path, SIZE)
        assert [("central square" in line) for line in opened.warnings] == [True] * reported
        assert opened.image.getcolors() == [(SIZE * SIZE, RED)]


def test_extreme_aspect_is_refused(tmp_path: Path) -> None:
    long = int(ASPECT_LIMIT * MIN_SIDE)
    picture(long, MIN_SIDE).save(tmp_path / "a.png")
    open_image(tmp_path / "a.png", SIZE)
    picture(MIN_SIDE, long + 1).save(tmp_path / "a.png")
    assert "crop it" in refusal(tmp_path / "a.png")


def test_pictures_in_memory_follow_the_same_rules(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(60, 32).convert("RGBA").save(tmp_path / "a.png", exif=exif)
    opened = open_image(tmp_path / "a.png", SIZE)
    with Image.open(tmp_path / "a.png") as image:
        prepared = open_image(image, SIZE)
        assert (image.mode, image.size) == ("RGBA", (60, 32))
    assert prepared.image.tobytes() == opened.image.tobytes()
    assert [line.startswith("the image is") for line in prepared.warnings] == [True]
    with pytest.raises(InputError, match="the mask is 1x1 pixels"):
        open_image(picture(1, 1), SIZE, name="the mask")
    with pytest.raises(InputError, match="32-bit"):
        open_image(Image.new("F", (SIZE, SIZE)), SIZE)
    with pytest.raises(InputError, match="limit is 100"):
        open_image(picture(), SIZE, max_pixels=100)


def test_a_picture_in_memory_that_turns_out_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(SEEDS["PNG"][:500])
    with Image.open(tmp_path / "a.png") as image, pytest.raises(InputError, match="damaged"):
        open_image(image, SIZE)


def encoded(name: str) -> bytes:
    stream = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    Image.fromarray(noise).save(stream, format=name)
    return stream.getvalue()


SEEDS = {name: encoded(name) for name in FORMATS}


@pytest.mark.filterwarnings("ignore")  # Pillow's own, about the damage
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(sorted(SEEDS)),
    cut=st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), max_size=8),
)
def test_damaged_files_raise_input_error_or_open(
    tmp_path: Path, name: str, cut: float, flips: list[tuple[float, int]]
) -> None:
    damaged = bytearray(SEEDS[name])
    for place, bit in flips:
        damaged[int(place * len(damaged))] ^= 1 << bit
    path = tmp_path / "a"
    path.write_bytes(damaged[: round(cut * len(damaged))])
    try:
        opened = open_image(path, SIZE)
    except InputError as error:
        message = str(error)
    else:
        message = ""
        assert (opened.image.mode, opened.image.size) == ("RGB", (SIZE, SIZE))
    assert "\n" not in message


def test_outputs_are_never_overwritten_unless_asked(tmp_path: Path) -> None:
    targets = [tmp_path / "new" / name for name in ("a.png", "b.png", "c.png")]
    check_outputs(targets)
    for target in targets[:2]:
        target.write_text("mine")
    with pytest.raises(InputError, match=r"a\.png and 1 more exists already.*--overwrite"):
        check_outputs(targets)
    check_outputs(targets, overwrite=True)
    with pytest.raises(InputError, match="exists already"):
        write_png(picture(), targets[0])
    assert targets[0].read_text() == "mine"
    write_png(picture(), targets[0], overwrite=True)
    assert Image.open(targets[0]).size == (SIZE, SIZE)


def test_unwritable_output_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot write to folder .*file"):
        check_outputs([tmp_path / "file" / "a.png"])
    with pytest.raises(InputError, match="cannot write"):
        check_outputs([tmp_path / "a\0b" / "a.png"])
    with pytest.raises(InputError, match="is a folder"):
        check_outputs([tmp_path], overwrite=True)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")
def test_read_only_output_folder(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
    if os.geteuid() == 0:
        pytest.skip("permissions do not bind the superuser")
    with pytest.raises(InputError, match="cannot write to folder"):
        write_png(picture(), folder / "a.png")


def test_png_metadata_survives_and_the_bytes_repeat(tmp_path: Path) -> None:
    notes = {"prompt": "grünes Haar", "seed": "3"}
    for name in ("a.png", "b.png"):
        write_png(picture(), tmp_path / name, notes)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert image.text == notes  # type: ignore[attr-defined]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize("keyword", ["", "x" * 80, "ключ", "a\nb"])
def test_bad_png_keywords(tmp_path: Path, keyword: str) -> None:
    with pytest.raises(InputError, match="keyword"):
        write_png(picture(), tmp_path / "a.png", {keyword: "x"})
    assert not list(tmp_path.iterdir())


def test_images_do_not_need_torch() -> None:
    code = "import sys, cfclip.images.image_files; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
