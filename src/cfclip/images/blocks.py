"""What picture files are put together of besides pixels, looked at before any decoder reads them.

Decoders join what belongs together piece by piece, and search lists of pieces again for each of
them: a few megabytes of tiny pieces then take minutes. No picture has so many.
"""

import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, TypeAlias

from PIL import PngImagePlugin

from cfclip.errors import InputError
from cfclip.images.colour_profiles import MAX_PROFILE_BYTES

MOST = {
    "PNG chunks": 30_000,  # of the 8 KB that libpng writes: 240 MB
    "JPEG segments": 10_000,
    "EXIF segments": 64,
    "stray bytes": 1 << 16,
    "GIF blocks": 2_000_000,  # of 255 bytes
    "bytes of comments": 1 << 16,
}

Pieces: TypeAlias = Iterator[tuple[str, int]]
"""Kinds of `MOST`, each with how many there are."""

# PNG specification, third edition, 5.3; ITU-T T.81, B.1.1; GIF89a, 17 to 27.
_PNG_SIGNATURE_BYTES = 8
_PNG_FRAME_BYTES = 12
_COLOUR_BYTES = {b"cICP": 4, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32}
_FILL, _START_OF_SCAN, _APP1 = 0xFF, 0xDA, 0xE1
_SEQUENTIAL_HUFFMAN = (0xC0, 0xC1)
_COMPONENTS = slice(5, 6)
"""In a JPEG's frame header, where its number of components is; in that of a scan it comes first."""
_WITHOUT_LENGTH = (0x00, 0x01, *range(0xD0, 0xDA))
_EXIF = b"Exif\0\0"
_GIF_HEAD_BYTES, _GIF_FRAME_BYTES = 13, 9
_EXTENSION, _FRAME, _COMMENT = 0x21, 0x2C, 0xFE
_HAS_TABLE, _TABLE_SIZE = 0x80, 0x07
_GIF_END = b";"


@dataclass
class Structure:
    """What a file's pieces say."""

    code_points: tuple[int, int] | None = None
    """Of a PNG, those in front of its pixels."""
    faulty: list[tuple[int, int]] = field(default_factory=list)
    """Where a PNG's chunks on colours are that are not as they should be."""
    row_by_row: bool = False
    """Whether a JPEG is decoded so; the others (progressive, in several scans) are held in memory
    as coefficients, whatever they are reduced to."""


def structure_of(stream: BinaryIO, found: str, name: str) -> Structure:
    """What the pieces say of a picture file of format `found`.

    Raises `InputError` if it has more of them than any picture.
    """
    structure = Structure()
    pieces = {"PNG": _png, "JPEG": _jpeg, "GIF": _gif}.get(found)
    counts: Counter[str] = Counter()
    for kind, count in pieces(stream, structure) if pieces else ():
        counts[kind] += count
        if counts[kind] > MOST[kind]:
            raise InputError(
                f"{name} has more than {MOST[kind]:,} {kind}, which no picture has; export it again"
            )
    return structure


def _png(stream: BinaryIO, structure: Structure) -> Pieces:
    at = _PNG_SIGNATURE_BYTES
    before_pixels = True
    stream.seek(at)
    while len(head := stream.read(8)) == 8:
        yield "PNG chunks", 1
        length, kind = struct.unpack(">I4s", head)
        end = at + _PNG_FRAME_BYTES + length
        before_pixels = before_pixels and kind not in (b"IDAT", b"IEND")
        if before_pixels and (kind in _COLOUR_BYTES or kind == b"iCCP"):
            content = stream.read(min(length, MAX_PROFILE_BYTES))
            whole = _fits_in_png(content) if kind == b"iCCP" else length == _COLOUR_BYTES[kind]
            if not whole:
                structure.faulty.append((at, end))
            elif kind == b"cICP":
                structure.code_points = (content[0], content[1])
        at = end
        stream.seek(at)


def _fits_in_png(content: bytes) -> bool:
    """Whether Pillow takes an iCCP chunk; what it unpacks is limited, since it may be hostile."""
    _, _, packed = content.partition(b"\0")
    unpacking = zlib.decompressobj()
    try:
        unpacking.decompress(packed[1:], PngImagePlugin.MAX_TEXT_CHUNK)
    except zlib.error:
        return False
    return packed[:1] == b"\0" and not unpacking.unconsumed_tail


def _jpeg(stream: BinaryIO, structure: Structure) -> Pieces:
    stream.seek(2)
    components, in_order = b"\0", True
    while byte := stream.read(1):
        if byte[0] != _FILL:
            in_order = False
            yield "stray bytes", 1
            continue
        while (byte := stream.read(1)) == bytes([_FILL]):
            in_order = False
            yield "stray bytes", 1
        if not byte:
            return
        if byte[0] in _WITHOUT_LENGTH:
            in_order = False
            yield "stray bytes", 2
            continue
        length = int.from_bytes(stream.read(2), "big") - 2
        start = stream.tell()
        content = stream.read(len(_EXIF))
        if byte[0] == _START_OF_SCAN:
            structure.row_by_row = in_order and content[:1] == components
            return
        yield "JPEG segments", 1
        if byte[0] in _SEQUENTIAL_HUFFMAN:
            components = content[_COMPONENTS] or components
        elif byte[0] == _APP1 and content == _EXIF:
            yield "EXIF segments", 1
        stream.seek(start + max(length, 0))


def _gif(stream: BinaryIO, structure: Structure) -> Pieces:
    stream.seek(0)
    head = stream.read(_GIF_HEAD_BYTES)
    stream.seek(_table_bytes(head[10:11]), 1)
    while (kind := stream.read(1)) and kind != _GIF_END:
        label = b""
        if kind[0] == _EXTENSION:
            label = stream.read(1)
        elif kind[0] == _FRAME:
            stream.seek(_table_bytes(stream.read(_GIF_FRAME_BYTES)[8:9]) + 1, 1)
        else:
            yield "GIF blocks", 1
            continue
        comment = label == bytes([_COMMENT])
        if comment:
            yield "bytes of comments", 1
        while (size := stream.read(1)) and size[0]:
            yield "GIF blocks", 1
            if comment:
                yield "bytes of comments", size[0]
            stream.seek(size[0], 1)


def _table_bytes(flags: bytes) -> int:
    """Of the table of colours that is told by the flags in front of it."""
    if not flags or not flags[0] & _HAS_TABLE:
        return 0
    return 3 << ((flags[0] & _TABLE_SIZE) + 1)
