"""Opening picture files: by content, with a limit on what is decoded, large photos reduced."""

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from cfclip.errors import InputError, reason_of
from cfclip.images.blocks import check_blocks
from cfclip.images.colour_profiles import CICP, MAX_PROFILE_BYTES
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
_SOF, _SOS = (0xC0, 0xC1), 0xDA  # markers of ITU-T T.81, table B.1: sequential Huffman; a scan
_WITHOUT_LENGTH = (0xFF, *range(0xD0, 0xDA))
_COMPONENTS_AT = 5
"""In a JPEG's frame header, where its number of components is; in that of a scan it comes first."""

_READ_WHOLE = ("WEBP", "AVIF", HEIF)
MAX_WHOLE_BYTES = 200_000_000
"""Of a file that its decoder wants whole in memory."""

_KIND, _REDUCED = 254, 1
"""Of TIFF 6.0: NewSubfileType, whose lowest bit says that a picture is a reduced version."""

_PNG_SIGNATURE_BYTES = 8
_COLOUR_BYTES = {b"cICP": 4, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32}
_NCLX = b"colrnclx"
"""ISO/IEC 14496-12, 12.1.5: a box that holds code points."""
_NCLX_WITHIN = 1 << 16


@dataclass(frozen=True)
class PictureFile:
    """A picture file, nothing of whose pixels is decoded yet."""

    image: Image.Image
    """Of at most the pixels that were asked for."""
    size: tuple[int, int]
    """Width and height in the file."""


@contextmanager
def opened(source: Path | bytes, name: str, max_pixels: int = MAX_PIXELS) -> Iterator[PictureFile]:
    """A picture file of known format, by its path or its bytes, not decoded yet.

    It has at most `max_pixels`, if need be by a reduction of its sides to a half, a quarter or an
    eighth, which only JPEG photos of up to `MAX_PHOTO_PIXELS` know. `name` stands for the file
    in messages.

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
        check_blocks(stream, found, name)
        with _image(stream, found, head) as image:
            if isinstance(image, TiffImagePlugin.TiffImageFile) and _is_preview(image):
                raise InputError(
                    f"{name} begins with a preview, as raw files of cameras do; save it as JPEG"
                )
            size = image.size
            if size[0] * size[1] > max_pixels:
                _reduce(image, stream, name, max_pixels)
            yield PictureFile(image, size)


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


def _image(stream: BinaryIO, found: str, head: bytes) -> Image.Image:
    """The picture of a file whose format is known, by its decoder alone, with what it says of its
    colours in `info`."""
    stream.seek(0)
    if found == "JPEG":
        # Not by `Image.open`, which knows nothing of the reduction when it counts pixels.
        return JpegImagePlugin.JpegImageFile(stream)
    if found == "PNG":
        return _png(stream)
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


def _png(stream: BinaryIO) -> Image.Image:
    """A PNG. Pillow does not tell cICP, and refuses a file for a faulty word on its colours, which
    is left out here instead."""
    code_points, faulty = _png_colours(stream)
    stream.seek(0)
    if faulty:
        data = stream.read(MAX_WHOLE_BYTES)
        for start, end in reversed(faulty):
            data = data[:start] + data[end:]
        stream = BytesIO(data)
    image = Image.open(stream, formats=("PNG",))
    if faulty:
        image.info["icc_profile"] = b""
    if code_points is not None:
        image.info[CICP] = code_points
    return image


def _png_colours(stream: BinaryIO) -> tuple[tuple[int, int] | None, list[tuple[int, int]]]:
    """The code points in front of a PNG's pixels, and where chunks on colours are that are not as
    they should be."""
    code_points = None
    faulty = []
    at = _PNG_SIGNATURE_BYTES
    stream.seek(at)
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        end = at + 12 + length
        if kind in (b"IDAT", b"IEND"):
            break
        if kind in _COLOUR_BYTES or kind == b"iCCP":
            content = stream.read(min(length, MAX_PROFILE_BYTES))
            whole = _fits_in_png(content) if kind == b"iCCP" else length == _COLOUR_BYTES[kind]
            if not whole:
                faulty.append((at, end))
            elif kind == b"cICP":
                code_points = (content[0], content[1])
        at = end
        stream.seek(at)
    return code_points, faulty


def _fits_in_png(content: bytes) -> bool:
    """Whether Pillow takes an iCCP chunk; what it unpacks is limited, since it may be hostile."""
    _, _, packed = content.partition(b"\0")
    unpacking = zlib.decompressobj()
    try:
        unpacking.decompress(packed[1:], PngImagePlugin.MAX_TEXT_CHUNK)
    except zlib.error:
        return False
    return packed[:1] == b"\0" and not unpacking.unconsumed_tail


def _reduce(image: Image.Image, stream: BinaryIO, name: str, max_pixels: int) -> None:
    """Have a photo decoded at no more than `max_pixels`. Raises `InputError` where that cannot be
    done row by row."""
    width, height = image.size
    limit = max_pixels
    if isinstance(image, JpegImagePlugin.JpegImageFile) and _row_by_row(stream):
        limit = MAX_PHOTO_PIXELS
        for by in _REDUCTIONS:
            if width * height <= limit and -(-width // by) * -(-height // by) <= max_pixels:
                image.draft(None, (width // by, height // by))
                return
    raise InputError(too_many_pixels(name, limit, image.size))


def _row_by_row(stream: BinaryIO) -> bool:
    """Whether a JPEG is decoded so; the others (progressive, in several scans) are held in memory
    as coefficients, whatever they are reduced to."""
    stream.seek(2)
    components = None
    while len(head := stream.read(4)) == 4 and head[0] == 0xFF and head[1] not in _WITHOUT_LENGTH:
        length = struct.unpack_from(">H", head, 2)[0] - 2
        content = stream.read(max(length, 0))
        if head[1] in _SOF and len(content) > _COMPONENTS_AT:
            components = content[_COMPONENTS_AT]
        elif head[1] == _SOS:
            return content[:1] == bytes([components or 0])
    return False
