"""Colours of files become sRGB, and what is written says that it is."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from colour_files import grey_profile, p3_profile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

from cfclip.images import encode_png, open_image, write_png
from cfclip.images.colour_profiles import MAX_PROFILE_BYTES, conversion_of

SIDE = 64
P3_OF_H273, BT2020_OF_H273, SRGB_OF_H273 = (12, 13), (9, 13), (1, 13)

# Display P3 and sRGB share white and curve. P3's matrix is from its primaries (SMPTE RP 431-2), the
# one of sRGB from IEC 61966-2-1.
P3_TO_XYZ = np.array(
    [[0.486571, 0.265668, 0.198217], [0.228975, 0.691739, 0.079287], [0.0, 0.045113, 1.043944]]
)
XYZ_TO_SRGB = np.array(
    [
        [3.240970, -1.537383, -0.498611],
        [-0.969244, 1.875968, 0.041555],
        [0.055630, -0.203977, 1.056972],
    ]
)


def colours() -> NDArray[np.uint8]:
    """Smooth ones, none at the edges of what sRGB holds."""
    x, y = np.meshgrid(np.linspace(60, 200, SIDE), np.linspace(60, 200, SIDE))
    return np.stack([x, y, (x + y) / 2], axis=2).round().astype(np.uint8)


def linear(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def in_p3(srgb: NDArray[np.uint8]) -> Image.Image:
    """The same colours by the numbers of Display P3."""
    light = linear(srgb / 255) @ np.linalg.inv(XYZ_TO_SRGB).T @ np.linalg.inv(P3_TO_XYZ).T
    made = np.where(light <= 0.0031308, light * 12.92, 1.055 * light.clip(0) ** (1 / 2.4) - 0.055)
    return Image.fromarray((made * 255).round().clip(0, 255).astype(np.uint8))


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def apart(image: Image.Image, wanted: NDArray[np.uint8]) -> float:
    """Mean difference, of 255."""
    assert image.mode == "RGB"
    return float(np.abs(np.asarray(image, float) - wanted).mean())


def chunked(image: Image.Image, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG with more chunks in front of its pixels."""
    texts = PngImagePlugin.PngInfo()
    for kind, content in chunks:
        texts.add(kind, content)
    stream = io.BytesIO()
    image.save(stream, format="PNG", pnginfo=texts)
    return stream.getvalue()


def opened(tmp_path: Path, data: bytes) -> tuple[Image.Image, tuple[str, ...]]:
    (tmp_path / "a").write_bytes(data)
    found = open_image(tmp_path / "a", None)
    assert found.image.info == {}
    return found.image, found.warnings


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_a_profile_in_every_format(tmp_path: Path, name: str) -> None:
    stream = io.BytesIO()
    quality = {} if name in ("PNG", "TIFF") else {"quality": 100}
    in_p3(colours()).save(stream, format=name, icc_profile=p3_profile(), **quality)
    image, warnings = opened(tmp_path, stream.getvalue())
    assert warnings == ()
    assert apart(image, colours()) < 1.0


def test_a_profile_in_heic(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    pillow_heif.from_pillow(in_p3(colours())).save(
        stream, quality=-1, chroma=444, icc_profile=p3_profile(), matrix_coefficients=0
    )
    image, warnings = opened(tmp_path, stream.getvalue())
    assert warnings == ()
    assert apart(image, colours()) < 1.5


def test_code_points_of_png(tmp_path: Path) -> None:
    def cicp(primaries: int, transfer: int) -> tuple[bytes, bytes]:
        return b"cICP", bytes([primaries, transfer, 0, 1])

    image, warnings = opened(tmp_path, chunked(in_p3(colours()), cicp(*P3_OF_H273)))
    assert warnings == ()
    assert apart(image, colours()) < 0.6
    plain = Image.fromarray(colours())
    assert apart(opened(tmp_path, chunked(plain, cicp(*SRGB_OF_H273)))[0], colours()) == 0
    assert apart(opened(tmp_path, chunked(plain, cicp(*BT2020_OF_H273)))[0], colours()) > 5
    for primaries, transfer, why in ((9, 16, "HDR"), (9, 18, "HDR"), (77, 13, "not known")):
        image, warnings = opened(tmp_path, chunked(plain, cicp(primaries, transfer)))
        assert len(warnings) == 1
        assert why in warnings[0]
        assert apart(image, colours()) == 0
    before_profile = chunked(
        plain, cicp(*SRGB_OF_H273), (b"iCCP", b"p\0\0" + zlib.compress(p3_profile()))
    )
    assert apart(opened(tmp_path, before_profile)[0], colours()) == 0


def test_code_points_of_avif(tmp_path: Path) -> None:
    stream = io.BytesIO()
    in_p3(colours()).save(stream, format="AVIF", quality=100, subsampling="4:4:4")
    data = stream.getvalue()
    at = data.index(b"colrnclx") + 8
    image, warnings = opened(tmp_path, data[:at] + struct.pack(">2H", *P3_OF_H273) + data[at + 4 :])
    assert warnings == ()
    assert apart(image, colours()) < 1.0


def test_gamma_and_chromaticities_of_png(tmp_path: Path) -> None:
    def gamma(value: float) -> tuple[bytes, bytes]:
        return b"gAMA", struct.pack(">I", round(value * 100_000))

    def points(*numbers: float) -> tuple[bytes, bytes]:
        return b"cHRM", struct.pack(">8I", *(round(each * 100_000) for each in numbers))

    p3 = points(0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
    usual = points(0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
    plain = Image.fromarray(colours())
    assert (
        apart(opened(tmp_path, chunked(in_p3(colours()), gamma(0.45455), p3))[0], colours()) < 0.6
    )
    for untouched in ((gamma(0.45455),), (gamma(0.45455), usual), (p3,), (gamma(0),)):
        image, warnings = opened(tmp_path, chunked(plain, *untouched))
        assert (apart(image, colours()), warnings) == (0, ())
    image, _ = opened(tmp_path, chunked(plain, gamma(1.0)))  # the numbers are light
    wanted = np.where(
        colours() / 255 <= 0.0031308, 0, 1.055 * (colours() / 255) ** (1 / 2.4) - 0.055
    )
    assert apart(image, (wanted * 255).round().astype(np.uint8)) < 0.6
    said = chunked(plain, (b"sRGB", b"\0"), gamma(1.0))
    assert apart(opened(tmp_path, said)[0], colours()) == 0
    for hostile in (
        (gamma(0.00001),),
        (gamma(0.5), points(*[0.0] * 8)),
        (gamma(0.5), points(*[0.3] * 8)),
    ):
        image, warnings = opened(tmp_path, chunked(plain, *hostile))
        assert apart(image, colours()) == 0
        assert ["colour profile" in line for line in warnings] == [True]


def test_a_profile_of_srgb_changes_no_pixel(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png", icc_profile=srgb_profile())
    np.testing.assert_array_equal(np.asarray(open_image(tmp_path / "a.png", None).image), noise)


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_grey_profiles(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.full((SIDE, SIDE), 0x8080, np.uint16))
    else:
        image = Image.new(mode, (SIDE, SIDE), 0x80 if mode == "L" else (0x80, 255))
    image.save(tmp_path / "a.png", icc_profile=grey_profile(1))
    found = open_image(tmp_path / "a.png", None)
    assert found.warnings == ()
    assert found.image.getpixel((3, 3)) == pytest.approx((188, 188, 188), abs=1)


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGBA"])
def test_a_profile_of_rgb_goes_with_every_mode_of_it(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGB", (SIDE, SIDE), (255, 255, 255))
    image.paste((0, 0, 0), (0, 0, SIDE, SIDE // 2))
    image.convert(mode).save(tmp_path / "a.png", icc_profile=p3_profile())
    found = open_image(tmp_path / "a.png", None)
    assert found.warnings == ()
    assert found.image.getpixel((3, 60)) == (255, 255, 255)


def test_transparent_parts_are_converted_and_shown_on_the_ground(tmp_path: Path) -> None:
    image = in_p3(colours())
    image.putalpha(255)
    image.paste((9, 9, 9, 0), (0, 0, 8, 8))
    image.save(tmp_path / "a.png", icc_profile=p3_profile())
    found = open_image(tmp_path / "a.png", None).image
    assert found.getpixel((2, 2)) == (255, 255, 255)
    wanted = np.where(np.arange(SIDE)[:, None, None] < 8, np.asarray(found), colours())
    assert apart(found, wanted.astype(np.uint8)) < 0.6


def test_lab(tmp_path: Path) -> None:
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = ImageCms.applyTransform(Image.fromarray(colours()), to_lab)
    assert lab is not None
    lab.save(tmp_path / "a.tiff")
    lab.save(tmp_path / "b.tiff", icc_profile=p3_profile())  # of another kind of picture
    for name, told in (("a.tiff", 0), ("b.tiff", 1)):
        found = open_image(tmp_path / name, None)
        assert len(found.warnings) == told
        assert apart(found.image, colours()) < 2.5  # of 8 bits of LAB


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_profiles_that_cannot_be_used(tmp_path: Path, mode: str) -> None:
    cmyk = bytearray(p3_profile())
    cmyk[16:20] = b"CMYK"
    grey = Image.linear_gradient("L").convert(mode)
    plain = open_image(grey, 256).image
    for profile in (
        *(b"", b"junk", bytes(200), p3_profile()[:300], bytes(cmyk), bytes(MAX_PROFILE_BYTES + 1)),
        *((p3_profile(),) if mode == "CMYK" else ()),
        *((grey_profile(1),) if mode != "L" else ()),
    ):
        grey.save(tmp_path / "a.tiff", icc_profile=profile)
        with Image.open(tmp_path / "a.tiff") as written:
            written.load()
            written.info["icc_profile"] = profile  # Pillow writes no empty one
            found = open_image(written, None)
        assert "the colour profile of the image is not used" in found.warnings[0]
        assert len(found.warnings[0]) < 300
        assert found.image.tobytes() == plain.tobytes()


@settings(max_examples=300, deadline=None)
@given(
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6),
    cut=st.integers(1, 10_000),
    source=st.sampled_from(["p3", "srgb", "grey"]),
)
def test_damaged_profiles_convert_or_are_told(
    flips: list[tuple[int, int]], cut: int, source: str
) -> None:
    made = {"p3": p3_profile, "srgb": srgb_profile, "grey": lambda: grey_profile(2)}[source]()
    damaged = bytearray(made)
    for place, value in flips:
        damaged[place % len(damaged)] = value
    image = Image.fromarray(colours()[:16, :16])
    image.info["icc_profile"] = bytes(damaged[:cut])
    warnings: list[str] = []
    conversion = conversion_of(image, "a.png", warnings)
    assert conversion is None or conversion(image.convert(conversion.mode)).mode == "RGB"
    assert all(len(line) < 400 and line.isprintable() for line in warnings)


def test_what_is_written_says_that_it_is_srgb(tmp_path: Path) -> None:
    image = Image.fromarray(colours())
    image.info = {"icc_profile": p3_profile(), "transparency": (1, 2, 3), "gamma": 1.0}
    for data in (encode_png(image), encode_png(image, quickly=True)):
        with Image.open(io.BytesIO(data)) as written:
            assert written.tobytes() == colours().tobytes()
            assert written.info == {"srgb": 0}
    write_png(image, tmp_path / "a.png")
    assert open_image(tmp_path / "a.png", None).image.tobytes() == colours().tobytes()
