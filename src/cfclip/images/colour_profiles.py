"""What a picture's file says of its colours, and pictures of any mode as 8-bit RGB in sRGB.

In the order of the PNG specification (third edition, 4.3): code points of ITU-T H.273 (PNG's cICP;
nclx in AVIF and HEIF, where an ICC profile comes first), an ICC profile, PNG's sRGB, PNG's gAMA
with cHRM. A picture that says nothing is sRGB. Code points and gAMA are written as an ICC profile,
so that one library, LittleCMS, converts all of them.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from cfclip.errors import InputError, reason_of

Ground: TypeAlias = Literal["white", "black"]
"""What shows through the transparent parts of a picture."""

CICP = "cicp"
"""Key of a picture's `info`: code points of its primaries and of its transfer function."""

MAX_PROFILE_BYTES = 4_000_000
"""The profiles of printing presses have up to 3 million."""

_SAME = 2
"""Levels of 255: a profile that moves no colour further is sRGB under another name. Such a picture
keeps its very pixels."""
_STEP = 17
"""Of the levels that are tried for this: 16 in each channel."""

_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F")
_MODE_OF_SPACE = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}
"""Colour space of a profile to the mode that it is for."""

_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION

_SRGB_POINTS = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_POINTS = {
    1: _SRGB_POINTS,
    2: _SRGB_POINTS,  # not specified
    5: (0.3127, 0.3290, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (0.3127, 0.3290, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (0.3127, 0.3290, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
"""H.273, table 2: chromaticities (x, y) of white, red, green, blue, as PNG's cHRM has them."""

_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_CURVES = {
    **dict.fromkeys((1, 2, 6, 13, 14, 15), _SRGB_CURVE),
    # The curve of BT.709 (1, 6, 14, 15) is a camera's; what it films is shown as browsers do it.
    4: (2.2, 1.0, 0.0, 0.0, 0.0),
    5: (2.8, 1.0, 0.0, 0.0, 0.0),
    8: (1.0, 1.0, 0.0, 0.0, 0.0),
}
"""H.273, table 3, as g, a, b, c, d of ICC's parametric curve: (a v + b)^g from d on, c v below."""
_HDR = (16, 18)

_PNG_GAMMA = 0.45455
_GAMMA_SLACK = 0.05
"""PNG's gAMA of sRGB, and the share by which another one is taken for it, as by libpng."""
_LARGEST_EXPONENT = 10.0

_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
"""ICC.1:2022, annex E: white is adapted to D50 by these cone responses."""

_OPAQUE = 255
_16_TO_8_BITS = 257
_BAND_PIXELS = 1 << 20
"""Pixels that are converted at a time: the steps in between take up to 40 bytes for each."""


@dataclass(frozen=True)
class Conversion:
    """Brings pictures of one mode to sRGB, pixel by pixel."""

    mode: str
    """RGB, L, CMYK or LAB."""
    transform: Any

    def __call__(self, image: Image.Image) -> Image.Image:
        """RGB of a picture of the mode."""
        made = ImageCms.applyTransform(image, self.transform)
        assert made is not None  # not in place
        return made


def as_srgb(
    image: Image.Image, name: str, ground: Ground, warnings: list[str], in_place: bool
) -> Image.Image:
    """A decoded picture as RGB in sRGB, its transparent parts on `ground`, without metadata.

    Args:
        image: of any mode with a fixed range.
        name: stands for it in messages.
        ground: what shows through.
        warnings: gets a line for whatever cannot be seen any more.
        in_place: `image` may be changed and become the result.

    Raises `InputError` for 32-bit samples.
    """
    if image.mode in ("I", "F"):
        raise InputError(f"{name} has 32-bit samples, which have no fixed range; save it as 8-bit")
    conversion = conversion_of(image, name, warnings)
    if image.mode == "CMYK" and conversion is None:
        warnings.append(f"{name} is CMYK without a usable profile; its colours may differ slightly")
    if image.mode == "RGB" and conversion is None and not image.has_transparency_data:
        made = image if in_place else image.copy()
    else:
        lowest = _OPAQUE

        def convert(band: Image.Image) -> Image.Image:
            nonlocal lowest
            rgb, least = _converted(band, conversion, ground)
            lowest = min(lowest, least)
            return rgb

        made = _by_bands(image, convert, in_place)
        if lowest < _OPAQUE:
            warnings.append(f"{name} is transparent in places; they are shown {ground}")
    made.info = {}
    return made


def _by_bands(
    image: Image.Image, convert: Callable[[Image.Image], Image.Image], in_place: bool
) -> Image.Image:
    width, height = image.size
    rows = max(1, _BAND_PIXELS // width)
    made = image if in_place and image.mode == "RGB" else Image.new("RGB", image.size)
    for top in range(0, height, rows):
        box = (0, top, width, min(top + rows, height))
        made.paste(convert(image.crop(box)), box)
    return made


def _converted(
    image: Image.Image, conversion: Conversion | None, ground: Ground
) -> tuple[Image.Image, int]:
    """RGB, and the least of its opacity (255 for all of it)."""
    if image.mode.startswith("I;16"):
        image = _8_bit_grey(image)
    if not image.has_transparency_data:
        return _coloured(image, conversion), _OPAQUE
    layer = image.convert("RGBA")
    alpha = layer.getchannel("A")
    if conversion is not None:
        layer = _coloured(layer, conversion)
        layer.putalpha(alpha)
    lowest, _ = cast(tuple[int, int], alpha.getextrema())
    # Not as stored: what lies under transparent pixels is arbitrary.
    shown = Image.alpha_composite(Image.new("RGBA", layer.size, ground), layer)
    return shown.convert("RGB"), lowest


def _coloured(image: Image.Image, conversion: Conversion | None) -> Image.Image:
    if conversion is None:
        return image.convert("RGB")
    if conversion.mode == "L" and image.mode == "RGBA":  # grey: its channels are the same
        return conversion(image.getchannel("R"))
    if image.mode != conversion.mode:
        image = image.convert(conversion.mode)
    return conversion(image)


def _8_bit_grey(image: Image.Image) -> Image.Image:
    samples = np.asarray(image).astype(np.uint32)
    grey = (samples + _16_TO_8_BITS // 2) // _16_TO_8_BITS
    return Image.fromarray(grey.astype(np.uint8))


def conversion_of(image: Image.Image, name: str, warnings: list[str]) -> Conversion | None:
    """How the colours of a picture become sRGB; None if they are, or if nothing usable is said.

    A profile that is damaged, too large or for another kind of picture is left out, and told in
    `warnings`, where `name` stands for the picture.
    """
    try:
        profile = stated_profile(image)
        found = None if profile is None else _conversion(profile, image.mode)
    except Exception as error:  # profiles are files of their own, and as damaged as others
        warnings.append(
            f"the colour profile of {name} is not used ({reason_of(error)}); its colours may differ"
        )
        profile = found = None
    if found is None and image.mode == "LAB":
        return _conversion(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB")
    return None if found is None or _changes_nothing(found) else found


def stated_profile(image: Image.Image) -> ImageCms.ImageCmsProfile | None:
    """The profile of what a picture says of its colours; None if it says nothing.

    Raises whatever the damage of a profile leads to.
    """
    info = image.info
    if CICP in info:
        return _of_code_points(*info[CICP])
    if "icc_profile" in info:
        data = info["icc_profile"]
        if not data:
            raise ValueError("it is damaged")
        if len(data) > MAX_PROFILE_BYTES:
            raise ValueError(f"it has {len(data):,} bytes, the limit is {MAX_PROFILE_BYTES:,}")
        return ImageCms.ImageCmsProfile(BytesIO(data))
    if "srgb" in info or not info.get("gamma"):
        return None
    exponent = 1 / info["gamma"]
    if exponent > _LARGEST_EXPONENT or exponent < 1 / _LARGEST_EXPONENT:
        raise ValueError(f"its gamma is {info['gamma']:g}, which no screen has")
    near = abs(info["gamma"] / _PNG_GAMMA - 1) <= _GAMMA_SLACK
    curve = _SRGB_CURVE if near else (exponent, 1.0, 0.0, 0.0, 0.0)
    return _written(info.get("chromaticity", _SRGB_POINTS), curve)


def _of_code_points(primaries: int, transfer: int) -> ImageCms.ImageCmsProfile:
    if transfer in _HDR:
        raise ValueError("it is for HDR screens; save the picture for usual ones")
    if primaries not in _POINTS or transfer not in _CURVES:
        raise ValueError(f"its code points, {primaries} and {transfer}, are not known")
    return _written(_POINTS[primaries], _CURVES[transfer])


def _conversion(profile: ImageCms.ImageCmsProfile, mode: str) -> Conversion:
    space = profile.profile.xcolor_space
    wanted = _MODE_OF_SPACE.get(space, "")
    if mode in ("CMYK", "LAB"):
        fits = wanted == mode
    else:
        fits = wanted == "RGB" or (wanted == "L" and mode in _GREY_MODES)
    if not fits:
        raise ValueError(f"it is for {space.strip()}, but the picture is {mode}")
    srgb = ImageCms.createProfile("sRGB")
    return Conversion(
        wanted, ImageCms.buildTransform(profile, srgb, wanted, "RGB", _INTENT, _FLAGS)
    )


def _changes_nothing(conversion: Conversion) -> bool:
    levels = np.arange(0, 256, _STEP, dtype=np.uint8)
    if conversion.mode == "L":
        before = np.stack([levels] * 3, axis=1)[None]
    elif conversion.mode == "RGB":
        before = np.stack(np.meshgrid(levels, levels, levels), axis=3).reshape(1, -1, 3)
    else:
        return False
    after = conversion(Image.fromarray(before).convert(conversion.mode))
    return int(np.abs(np.asarray(after, np.int16) - before).max()) <= _SAME


def _written(points: Sequence[float], curve: Sequence[float]) -> ImageCms.ImageCmsProfile:
    """The ICC profile of chromaticities and a parametric curve (ICC.1:2022, 7.2, 10.18, 10.31).

    Raises `ArithmeticError`, `ValueError` or `struct.error` for points that are none.
    """
    columns = _colorants(points)
    tags = {
        **{
            name: b"XYZ \0\0\0\0" + _fixed(columns[:, index])
            for index, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))
        },
        b"wtpt": b"XYZ \0\0\0\0" + _fixed(_D50),
        **dict.fromkeys(
            (b"rTRC", b"gTRC", b"bTRC"), b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + _fixed(curve)
        ),
    }
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content
    header = struct.pack(">I4sI", start + len(body), b"", 0x04300000) + b"mntrRGB XYZ "
    header += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp"
    header = header.ljust(68, b"\0") + _fixed(_D50)
    return ImageCms.ImageCmsProfile(BytesIO(header.ljust(128, b"\0") + table + body))


def _colorants(points: Sequence[float]) -> NDArray[np.float64]:
    """XYZ of full red, green and blue as columns `(3, 3)`, adapted to D50."""
    x, y = np.asarray(points, np.float64).reshape(4, 2).T
    with np.errstate(all="raise"):
        xyz = np.stack([x / y, np.ones(4), (1 - x - y) / y])
        white, primaries = xyz[:, 0], xyz[:, 1:]
        scaled = primaries * np.linalg.solve(primaries, white)
        cones = _BRADFORD @ _D50 / (_BRADFORD @ white)
        adaptation = np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD
    return np.asarray(adaptation @ scaled)


def _fixed(numbers: Sequence[float] | NDArray[np.float64]) -> bytes:
    """As ICC's s15Fixed16."""
    return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)
