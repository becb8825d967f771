"""Opening pictures that people hand in, and writing those handed back.

`open_image` turns any file into a square 8-bit RGB picture, or raises `InputError` with one line
that says why not. What it had to change is listed as warnings, so that nothing happens unseen.
"""

import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal, TypeAlias, cast

import numpy as np
from PIL import Image, ImageOps

from cfclip.errors import InputError
from cfclip.files import write_whole
from cfclip.gif import encode_gif, packet_of
from cfclip.png import encode_png

MAX_PIXELS = 50_000_000
"""Read from the header and compared before anything is decoded: a file of a few kilobytes can
unpack to gigabytes. Larger than the picture of any common camera."""

MIN_SIDE = 16
"""Pixels of the short side under which a picture shows nothing that could be edited."""

ENLARGED_WARNING = 2.0
"""A picture enlarged by more than this factor is reported: its details are made up."""

ASPECT_WARNING = 1.25
"""Long side over short side from which the centre crop is reported: it loses a fifth or more."""

ASPECT_LIMIT = 4.0
"""Long side over short side beyond which a centre crop is a guess about what was meant."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""The only decoders used; Pillow has dozens more, some of which call other programs."""

_ONE_PICTURE_FORMATS = ("MPO",)
"""JPEG with a second view or a preview behind the picture: to its owner, one picture."""

_OPAQUE = 255
_16_TO_8_BITS = 257

Ground: TypeAlias = Literal["white", "black"]
"""What shows through the transparent parts of a picture."""


@dataclass(frozen=True)
class OpenedImage:
    """A picture ready for use."""

    image: Image.Image
    """Mode RGB, 8 bits, upright; square, of the size asked for, unless it was to be kept whole."""
    warnings: tuple[str, ...]
    """What was changed on the way in, one line each."""


def open_image(
    path: str | Path, size: int, max_pixels: int = MAX_PIXELS, ground: Ground = "white"
) -> OpenedImage:
    """Open a picture as 8-bit RGB, upright, centre-cropped and resized to `size` x `size` pixels.

    Transparent parts are shown on `ground`, white as on a page; 16-bit samples keep their high
    bits; of an animation the first frame is used. Raises `InputError` for anything but a regular,
    complete PNG, JPEG, WebP, GIF, BMP or TIFF file of at most `max_pixels`, at least `MIN_SIDE` a
    side and no longer than `ASPECT_LIMIT` times its width (or the reverse).
    """
    return _opened(Path(path), size, max_pixels, ground)


def open_whole(
    picture: Image.Image | str | Path, max_pixels: int = MAX_PIXELS, ground: Ground = "white"
) -> OpenedImage:
    """Open a picture as 8-bit RGB, upright, with all of its pixels and in any shape.

    Otherwise as `open_image`, and for a picture in memory as `prepare_image`.
    """
    if not isinstance(picture, Image.Image):
        return _opened(Path(picture), None, max_pixels, ground)
    name = "the image"
    with _decoding(name, max_pixels):
        return _prepared(name, picture, None, max_pixels, ground)


def _opened(path: Path, size: int | None, max_pixels: int, ground: Ground) -> OpenedImage:
    _check_regular(path)
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty; give a {_known_formats()} file")
    with _decoding(str(path), max_pixels), Image.open(path, formats=_FORMATS) as opened:
        return _prepared(str(path), opened, size, max_pixels, ground)


def decode_image(data: bytes, size: int, name: str, max_pixels: int = MAX_PIXELS) -> OpenedImage:
    """As `open_image`, from the bytes of a file; `name` stands for it in messages."""
    with _decoding(name, max_pixels), Image.open(BytesIO(data), formats=_FORMATS) as opened:
        return _prepared(name, opened, size, max_pixels, "white")


def prepare_image(
    image: Image.Image,
    size: int,
    max_pixels: int = MAX_PIXELS,
    name: str = "the image",
    ground: Ground = "white",
) -> OpenedImage:
    """The same for a picture in memory, of any mode; `name` stands for it in messages.

    `image` itself is not changed. Raises `InputError` as `open_image` does.
    """
    with _decoding(name, max_pixels):
        return _prepared(name, image, size, max_pixels, ground)


def read_xmp(path: str | Path, max_pixels: int = MAX_PIXELS) -> str | None:
    """The XMP packet of a picture file, as it is in there; None if it has none.

    Raises `InputError` for anything but a regular, complete file of the formats that `open_image`
    reads, of at most `max_pixels`.
    """
    path = Path(path)
    _check_regular(path)
    with _decoding(str(path), max_pixels), Image.open(path, formats=_FORMATS) as opened:
        if opened.width * opened.height > max_pixels:
            raise InputError(_too_many_pixels(str(path), max_pixels, opened.size))
        opened.load()  # PNG allows text behind the pixels
        if opened.format == "GIF":
            return packet_of(path.read_bytes())
        packet = opened.info.get("xmp")
        return packet.decode("utf-8", "replace") if isinstance(packet, bytes) else packet


def find_images(path: str | Path) -> list[Path]:
    """`[path]` for a file; for a folder the pictures directly in it, by suffix, sorted by name.

    Raises `InputError` if there is no such path, or no picture in the folder.
    """
    path = Path(path)
    try:
        if not path.is_dir():
            _check_regular(path)
            return [path]
        entries = sorted(path.iterdir())
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {_one_line(error)}") from error
    found = [
        entry
        for entry in entries
        if entry.suffix.lower() in SUFFIXES and not entry.name.startswith(".") and entry.is_file()
    ]
    if not found:
        raise InputError(f"folder {path} has no pictures ({', '.join(SUFFIXES)})")
    return found


def check_outputs(paths: Sequence[str | Path], overwrite: bool = False) -> None:
    """Make the folders of `paths`, and raise `InputError` if any of these cannot be written.

    Called before work begins, so that minutes of it are not lost to a full or read-only folder.
    Files that exist are refused unless `overwrite`; folders always.
    """
    targets = [Path(path) for path in paths]
    for folder in dict.fromkeys(target.parent for target in targets):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Asking for permissions misleads (root, network drives, full disks): write something.
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(b"0")
        except (OSError, ValueError) as error:
            raise InputError(
                f"cannot write to folder {folder}: {_one_line(error)}; choose another"
            ) from error
    for target in targets:
        try:
            taken = target.is_dir()
        except (OSError, ValueError) as error:
            raise InputError(
                f"cannot write {target}: {_one_line(error)}; choose a shorter or plainer name"
            ) from error
        if taken:
            raise InputError(f"{target} is a folder, a file is to be written there")
    existing = [target for target in targets if os.path.lexists(target)]
    if existing and not overwrite:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        raise InputError(
            f"{existing[0]}{more} exists already; choose another place or ask to overwrite"
            " (--overwrite)"
        )


def write_png(
    image: Image.Image,
    path: str | Path,
    metadata: Mapping[str, str] | None = None,
    overwrite: bool = False,
    seal: Callable[[bytes], bytes] | None = None,
) -> None:
    """Write what `encode_png` gives, whole or not at all.

    Raises `InputError` as that does, if `path` exists and not `overwrite`, or if it cannot be
    written.
    """
    check_outputs([path], overwrite)
    write_whole(path, encode_png(image, metadata, seal))


def write_gif(
    frames: Sequence[tuple[Image.Image, int]],
    path: str | Path,
    packet: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write what `encode_gif` gives, whole or not at all; raises `InputError` as `write_png`."""
    check_outputs([path], overwrite)
    write_whole(path, encode_gif(frames, packet))


def _check_regular(path: Path) -> None:
    """Only regular files: reading a pipe or a device may never end."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise InputError(f"cannot read {str(path)!r}: {_one_line(error)}") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{path} is a folder; give a picture file")
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is not a regular file; give a picture file")


@contextmanager
def _decoding(name: str, max_pixels: int) -> Iterator[None]:
    """Turn whatever decoding raises into an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError(_too_many_pixels(name, max_pixels)) from error
    except Image.UnidentifiedImageError as error:
        raise InputError(f"{name} is not a picture; give a {_known_formats()} file") from error
    except PermissionError as error:
        raise InputError(f"cannot read {name}: {error.strerror}") from error
    except Exception as error:  # decoders meet damaged bytes with every kind of exception
        raise InputError(
            f"{name} is damaged or incomplete ({_one_line(error)}); export it again"
        ) from error


def _prepared(
    name: str, image: Image.Image, size: int | None, max_pixels: int, ground: Ground
) -> OpenedImage:
    """Cut to a square of `size` pixels, or whole if there is none."""
    warnings: list[str] = []
    _check_size(name, image.size, max_pixels, whole=size is None)
    if _is_animated(image):
        warnings.append(f"{name} has several frames; only number {image.tell() + 1} is used")
    image.load()
    rgb = _as_rgb(name, _upright(image), ground, warnings)
    made = rgb if size is None else _square(name, rgb, size, warnings)
    return OpenedImage(made, tuple(warnings))


def _check_size(name: str, size: tuple[int, int], max_pixels: int, whole: bool) -> None:
    width, height = size
    if width * height > max_pixels:
        raise InputError(_too_many_pixels(name, max_pixels, size))
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


def _too_many_pixels(name: str, max_pixels: int, size: tuple[int, int] | None = None) -> str:
    found = f"{size[0]}x{size[1]}" if size else "far too many"
    return f"{name} has {found} pixels, the limit is {max_pixels:,} in all; scale it down first"


def _is_animated(image: Image.Image) -> bool:
    return image.format not in _ONE_PICTURE_FORMATS and bool(getattr(image, "is_animated", False))


def _upright(image: Image.Image) -> Image.Image:
    """The picture as its camera was held (EXIF orientation)."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a damaged EXIF block; other programs show such a picture as it is stored
        return image


def _as_rgb(name: str, image: Image.Image, ground: Ground, warnings: list[str]) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = _8_bit_grey(image)
    elif image.mode in ("I", "F"):
        raise InputError(f"{name} has 32-bit samples, which have no fixed range; save it as 8-bit")
    if image.mode == "CMYK":
        warnings.append(f"{name} is CMYK; its colours on screen may differ slightly")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        alpha = cast(tuple[int, int], layer.getchannel("A").getextrema())
        if alpha[0] < _OPAQUE:
            warnings.append(f"{name} is transparent in places; they are shown {ground}")
        # Not as stored: what lies under transparent pixels is arbitrary.
        image = Image.alpha_composite(Image.new("RGBA", layer.size, ground), layer)
    return image.convert("RGB")


def _8_bit_grey(image: Image.Image) -> Image.Image:
    samples = np.asarray(image).astype(np.uint32)
    grey = (samples + _16_TO_8_BITS // 2) // _16_TO_8_BITS
    return Image.fromarray(grey.astype(np.uint8))


def _square(name: str, image: Image.Image, size: int, warnings: list[str]) -> Image.Image:
    """The largest centred square, resized by Lanczos."""
    width, height = image.size
    side = min(width, height)
    if max(width, height) >= ASPECT_WARNING * side:
        warnings.append(f"{name} is {width}x{height} pixels; only its central square is used")
    if size > ENLARGED_WARNING * side:
        warnings.append(f"{name} is {width}x{height} pixels; it is enlarged to {size}x{size}")
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    if side == size:
        return image.crop(box)
    return image.resize((size, size), Image.Resampling.LANCZOS, box=box)


def _known_formats() -> str:
    return f"{', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}"


def _one_line(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__
