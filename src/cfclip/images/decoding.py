"""Opening picture files: by content, with a limit on what is decoded, large photos reduced."""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image, JpegImagePlugin, TiffImagePlugin

from cfclip.errors import InputError, reason_of
from cfclip.images.blocks import Structure, structure_of
from cfclip.images.colour_profiles import CICP
from cfclip.images.kinds import (
    HEAD_BYTES,
    HEIF,
    can_open,
    check_regular,
    format_of,
    heif_remedy,
    known_formats,
)

MAX_PIXELS = 65_000_000
"""Of a picture in memory, where each takes 4 bytes, and while it is opened up to 8 (17 of a WebP).
Read from the header and compared before anything is decoded: a file of a few kilobytes can unpack
to gigabytes. The sensors of most cameras have fewer."""

MAX_PHOTO_PIXELS = 260_000_000
"""Of a JPEG, as the largest sensors of phones make them (200 million); reduced while it is decoded,
row by row, to at most `MAX_PIXELS`."""

_REDUCTIONS = (2, 4, 8)
"""Of a JPEG's sides that its decoder knows."""

_READ_WHOLE = ("WEBP", "AVIF", HEIF)
MAX_WHOLE_BYTES = 200_000_000
"""Of a file that its decoder wants whole in memory."""

_KIND, _REDUCED = 254, 1
"""Of TIFF 6.0: NewSubfileType, whose lowest bit says that a picture is a reduced version."""

_NCLX = b"colrnclx"
"""ISO/IEC 14496-12, 12.1.5: a box that holds code points."""
_NCLX_WITHIN = 1 << 16


@contextmanager
def opened(
    source: Path | bytes, name: str, max_pixels: int = MAX_PIXELS
) -> Iterator[tuple[Image.Image, tuple[int, int]]]:
    """A picture file of known format, by its path or its bytes, not decoded yet, and its size.

    The picture has at most `max_pixels`, if need be by a reduction of its sides to a half, a
    quarter or an eighth, which only JPEG photos of up to `MAX_PHOTO_PIXELS` know; the size is that
    in the file, width and height. `name` stands for the file in messages.

    Raises `InputError`, in one line, for anything else, and for whatever goes wrong in the block.
    """
    with decoding(name, max_pixels), _stream(source, name) as stream:
        head = stream.read(HEAD_BYTES)
        if not head:
            raise InputError(f"{name} is empty; give a {known_formats()} file")
        found = format_of(head)
        if found is None:
            raise InputError(f"{name} is not a picture; give a {known_formats()} file")
        if not can_open(found):
            remedy = heif_remedy() if found == HEIF else f"give a {known_formats()} file"
            raise InputError(f"{name} is a {found} file, which cannot be opened; {remedy}")
        if found in _READ_WHOLE and stream.seek(0, os.SEEK_END) > MAX_WHOLE_BYTES:
            raise InputError(
                f"{name} has more than {MAX_WHOLE_BYTES:,} bytes, the limit for {found} files; "
                "save it as JPEG"
            )
        structure = structure_of(stream, found, name)
        with _image(stream, found, structure) as image:
            if isinstance(image, TiffImagePlugin.TiffImageFile) and _is_preview(image):
                raise InputError(
                    f"{name} begins with a preview, as raw files of cameras do; save it as JPEG"
                )
            size = image.size
            if size[0] * size[1] > max_pixels:
                _reduce(image, structure, name, max_pixels)
            yield image, size


@contextmanager
def decoding(name: str, max_pixels: int) -> Iterator[None]:
    """Turn whatever decoding raises into an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{name} needs more memory than there is; scale it down first") from error
    except Image.DecompressionBombError as error:
        raise InputError(too_many_pixels(name, max_pixels)) from error
    except Image.UnidentifiedImageError as error:  # whose text names objects in memory
        raise InputError(f"{name} is damaged or incomplete (no header); export it again") from error
    except PermissionError as error:
        raise InputError(f"cannot read {name}: {error.strerror}") from error
    except Exception as error:  # decoders meet damaged bytes with every kind of exception
        raise InputError(
            f"{name} is damaged or incomplete ({reason_of(error)}); export it again"
        ) from error


def too_many_pixels(name: str, max_pixels: int, size: tuple[int, int] | None = None) -> str:
    """The line about a picture that is too large."""
    found = f"{size[0]}x{size[1]}" if size else "far too many"
    return f"{name} has {found} pixels, the limit is {max_pixels:,} in all; scale it down first"


@contextmanager
def _stream(source: Path | bytes, name: str) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        yield BytesIO(source)
        return
    check_regular(source)
    with open(source, "rb") as stream:
        yield stream


def _image(stream: BinaryIO, found: str, structure: Structure) -> Image.Image:
    """The picture of a file whose format is known, by its decoder alone, with what it says of its
    colours in `info`."""
    stream.seek(0)
    if found == "JPEG":
        # Not by `Image.open`, which knows nothing of the reduction when it counts pixels.
        return JpegImagePlugin.JpegImageFile(stream)
    if found == "PNG":
        return _png(stream, structure)
    if found == HEIF:
        import pillow_heif

        heif = pillow_heif.HeifImageFile(stream)
        if "nclx_profile" in heif.info:
            told = heif.info["nclx_profile"]
            heif.info[CICP] = (told["color_primaries"], told["transfer_characteristics"])
        return heif
    start = stream.read(_NCLX_WITHIN) if found == "AVIF" else b""
    stream.seek(0)
    image = Image.open(stream, formats=(found,))
    at = start.find(_NCLX) + len(_NCLX)
    if at >= len(_NCLX) and "icc_profile" not in image.info and len(start) >= at + 4:
        image.info[CICP] = struct.unpack_from(">2H", start, at)
    return image


def _is_preview(image: TiffImagePlugin.TiffImageFile) -> bool:
    """Whether the first picture of a TIFF is a smaller version of another one in it."""
    kind = image.tag_v2.get(_KIND, 0)
    return isinstance(kind, int) and bool(kind & _REDUCED)


def _png(stream: BinaryIO, structure: Structure) -> Image.Image:
    """A PNG. Pillow does not tell cICP, and refuses a file for a faulty word on its colours, which
    is left out here instead."""
    if structure.faulty:
        data = stream.read(MAX_WHOLE_BYTES)
        ends = [0, *(place for faulty in structure.faulty for place in faulty), None]
        kept = zip(ends[::2], ends[1::2], strict=True)
        stream = BytesIO(b"".join(data[start:end] for start, end in kept))
    image = Image.open(stream, formats=("PNG",))
    if structure.faulty:
        image.info["icc_profile"] = b""
    if structure.code_points is not None:
        image.info[CICP] = structure.code_points
    return image


def _reduce(image: Image.Image, structure: Structure, name: str, max_pixels: int) -> None:
    """Have a photo decoded at no more than `max_pixels`. Raises `InputError` where that cannot be
    done row by row."""
    width, height = image.size
    limit = max_pixels
    if structure.row_by_row:
        limit = MAX_PHOTO_PIXELS
        for by in _REDUCTIONS:
            if width * height <= limit and -(-width // by) * -(-height // by) <= max_pixels:
                image.draft(None, (width // by, height // by))
                return
    raise InputError(too_many_pixels(name, limit, image.size))
