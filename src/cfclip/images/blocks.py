"""What picture files are put together of besides pixels, counted before any decoder reads them.

Decoders join what belongs together piece by piece, and search lists of pieces again for each of
them: a few megabytes of tiny pieces then take minutes. No picture has so many.
"""

import struct
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO, TypeAlias

from cfclip.errors import InputError

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
_FILL, _START_OF_SCAN, _APP1 = 0xFF, 0xDA, 0xE1
_WITHOUT_LENGTH = (0x00, 0x01, *range(0xD0, 0xD9))
_EXIF = b"Exif\0\0"
_GIF_HEAD_BYTES, _GIF_FRAME_BYTES = 13, 9
_EXTENSION, _FRAME, _COMMENT = 0x21, 0x2C, 0xFE
_HAS_TABLE, _TABLE_SIZE = 0x80, 0x07
_GIF_END = b";"


def check_blocks(stream: BinaryIO, found: str, name: str) -> None:
    """Raise `InputError` if a picture file of format `found` has more pieces than any picture."""
    pieces = {"PNG": _png, "JPEG": _jpeg, "GIF": _gif}.get(found)
    if pieces is None:
        return
    counts: Counter[str] = Counter()
    for kind, count in pieces(stream):
        counts[kind] += count
        if counts[kind] > MOST[kind]:
            raise InputError(
                f"{name} has more than {MOST[kind]:,} {kind}, which no picture has; export it again"
            )


def _png(stream: BinaryIO) -> Pieces:
    at = _PNG_SIGNATURE_BYTES
    stream.seek(at)
    while len(head := stream.read(4)) == 4:
        yield "PNG chunks", 1
        at += _PNG_FRAME_BYTES + int(struct.unpack(">I", head)[0])
        stream.seek(at)


def _jpeg(stream: BinaryIO) -> Pieces:
    stream.seek(2)
    while byte := stream.read(1):
        if byte[0] != _FILL:
            yield "stray bytes", 1
            continue
        while (byte := stream.read(1)) == bytes([_FILL]):
            yield "stray bytes", 1
        if not byte or byte[0] == _START_OF_SCAN:
            return
        if byte[0] in _WITHOUT_LENGTH:
            yield "stray bytes", 2
            continue
        yield "JPEG segments", 1
        length = int.from_bytes(stream.read(2), "big") - 2
        start = stream.tell()
        if byte[0] == _APP1 and stream.read(len(_EXIF)) == _EXIF:
            yield "EXIF segments", 1
        stream.seek(start + max(length, 0))


def _gif(stream: BinaryIO) -> Pieces:
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
