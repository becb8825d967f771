"""Opening pictures that people hand in.

`open_image` turns any file into a square 8-bit RGB picture, or raises `InputError` with one line
that says why not. What it had to change is listed as warnings, so that nothing happens unseen.
"""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from cfclip.errors import InputError
from cfclip.images.colour_profiles import Ground, as_srgb
from cfclip.images.decoding import MAX_PIXELS, MAX_WHOLE_BYTES, decoding, opened, too_many_pixels
from cfclip.images.output_files import packet_of

MIN_SIDE = 16
"""Pixels of the short side under which a picture shows nothing that could be edited."""

ENLARGED_WARNING = 2.0
"""A picture enlarged by more than this factor is reported: its details are made up."""

ASPECT_WARNING = 1.25
"""Long side over short side from which the centre crop is reported: it loses a fifth or more."""

ASPECT_LIMIT = 4.0
"""Long side over short side beyond which a centre crop is a guess about what was meant."""

_ONE_PICTURE_FORMATS = ("JPEG", "MPO")
"""JPEG may have a second view or a preview behind the picture: to its owner, one picture."""

_ORIENTATION = 0x0112  # of EXIF


@dataclass(frozen=True)
class OpenedImage:
    """A picture ready for use."""

    image: Image.Image
    """Mode RGB, 8 bits, sRGB, upright; square, of the size asked for, unless it was to be kept
    whole."""
    warnings: tuple[str, ...]
    """What was changed on the way in, one line each."""
    reduction: int = 1
    """How many pixels of the file, each way, one of a picture stands for that was kept whole."""


def open_image(
    picture: Image.Image | bytes | str | Path,
    size: int | None,
    name: str = "",
    max_pixels: int = MAX_PIXELS,
    ground: Ground = "white",
) -> OpenedImage:
    """Open a picture as 8-bit sRGB, upright, centre-cropped and resized to `size` x `size` pixels.

    Colours are brought to sRGB by what the file says of them (see `colour_profiles`); transparent
    parts are shown on `ground`, white as on a page; 16-bit samples keep their high bits; of an
    animation the first frame is used. No more than `max_pixels` are decoded: larger JPEG photos,
    up to `decoding.MAX_PHOTO_PIXELS`, are reduced on the way.

    Args:
        picture: its file, the bytes of one, or a picture in memory, which is not changed.
        size: None for all of it, in any shape; a photo that was reduced is then told.
        name: stands for it in messages; its path if it has one.
        max_pixels: of what is decoded.
        ground: what shows through.

    Raises `InputError` for anything but a regular, complete PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF
    or (with the extra `heic`) HEIC file of at most so many pixels, at least `MIN_SIDE` a side and,
    with a `size`, no longer than `ASPECT_LIMIT` times its width (or the reverse).
    """
    if isinstance(picture, str | Path):
        name = name or str(picture)
        picture = Path(picture)
    if not isinstance(picture, Image.Image):
        with opened(picture, name, max_pixels) as (image, full):
            return _prepared(name, image, full, size, ground, ours=True)
    name = name or "the image"
    with decoding(name, max_pixels):
        if picture.width * picture.height > max_pixels:
            raise InputError(too_many_pixels(name, max_pixels, picture.size))
        return _prepared(name, picture, picture.size, size, ground, ours=False)


def read_xmp(path: str | Path, max_pixels: int = MAX_PIXELS) -> str | None:
    """The XMP packet of a picture file, as it is in there; None if it has none.

    Raises `InputError` for anything but a regular, complete file of the formats and sizes that
    `open_image` reads.
    """
    path = Path(path)
    with opened(path, str(path), max_pixels) as (image, _):
        image.load()  # PNG allows text behind the pixels
        if image.format == "GIF":
            with open(path, "rb") as stream:
                return packet_of(stream.read(MAX_WHOLE_BYTES))
        packet = image.info.get("xmp")
        return packet.decode("utf-8", "replace") if isinstance(packet, bytes) else packet


def _prepared(
    name: str,
    image: Image.Image,
    full: tuple[int, int],
    size: int | None,
    ground: Ground,
    ours: bool,
) -> OpenedImage:
    """Cut to a square of `size` pixels, or whole if there is none.

    `full` is the size in the file, of which `image` may be a reduction; if it is `ours`, it may be
    changed.
    """
    warnings: list[str] = []
    _check_size(name, full, whole=size is None)
    if _is_animated(image):
        warnings.append(f"{name} has several frames; only number {image.tell() + 1} is used")
    image.load()
    reduction = -(-full[0] // image.width)
    upright = _upright(image)
    if upright.size == image.size[::-1] != image.size:
        full = full[::-1]
    made = as_srgb(upright, name, ground, warnings, in_place=ours or upright is not image)
    if size is not None:
        return OpenedImage(_square(name, made, full, size, warnings), tuple(warnings))
    if reduction > 1:
        warnings.append(
            f"{name} is {full[0]}x{full[1]} pixels; all of it is used at {made.width}x{made.height}"
        )
    return OpenedImage(made, tuple(warnings), reduction)


def _check_size(name: str, size: tuple[int, int], whole: bool) -> None:
    width, height = size
    short, long = sorted(size)
    if short < MIN_SIDE:
        raise InputError(
            f"{name} is {width}x{height} pixels, at least {MIN_SIDE} a side are needed; "
            "use a larger version"
        )
    if long > ASPECT_LIMIT * short and not whole:
        raise InputError(
            f"{name} is {width}x{height} pixels, one side more than {ASPECT_LIMIT:g} times the "
            "other; crop it to a square first"
        )


def _is_animated(image: Image.Image) -> bool:
    return image.format not in _ONE_PICTURE_FORMATS and bool(getattr(image, "is_animated", False))


def _upright(image: Image.Image) -> Image.Image:
    """The picture as its camera was held (EXIF orientation); itself if it is upright."""
    try:
        # Not without a look first: what is upright would be copied.
        turned = image.getexif().get(_ORIENTATION, 1) != 1
        return ImageOps.exif_transpose(image) if turned else image
    except Exception:  # a damaged EXIF block; other programs show such a picture as it is stored
        return image


def _square(
    name: str, image: Image.Image, full: tuple[int, int], size: int, warnings: list[str]
) -> Image.Image:
    """The largest centred square, resized by Lanczos."""
    width, height = image.size
    side = min(width, height)
    if max(width, height) >= ASPECT_WARNING * side:
        warnings.append(f"{name} is {full[0]}x{full[1]} pixels; only its central square is used")
    if size > ENLARGED_WARNING * side:
        warnings.append(f"{name} is {full[0]}x{full[1]} pixels; it is enlarged to {size}x{size}")
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    if side == size:
        return image.crop(box)
    return image.resize((size, size), Image.Resampling.LANCZOS, box=box)
