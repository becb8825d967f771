"""Pictures of any mode as 8-bit RGB in sRGB, at bounded memory."""

from collections.abc import Callable
from typing import Literal, TypeAlias, cast

import numpy as np
from PIL import Image

from cfclip.errors import InputError
from cfclip.images.colour_profiles import Conversion, conversion_of

Ground: TypeAlias = Literal["white", "black"]
"""What shows through the transparent parts of a picture."""

_OPAQUE = 255
_16_TO_8_BITS = 257
_BAND_PIXELS = 1 << 20
"""Pixels that are converted at a time: the steps in between take up to 40 bytes for each."""


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
