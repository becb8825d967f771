"""Pictures as the bytes of a GIF file, with XMP, which Pillow neither writes nor reads there.

XMP goes as its specification says (part 3, 1.1.2): an application extension with the packet
as it is, not in sub-blocks, and behind it a trailer of descending bytes. A reader that takes them
for sub-blocks lands somewhere in the trailer, and from everywhere in it at its end.
"""

from collections.abc import Iterator, Sequence
from io import BytesIO

from PIL import Image

from cfclip.errors import InputError

_SIGNATURE = b"GIF89a"
_SCREEN_BYTES = 13
"""Signature and logical screen descriptor; a colour table follows if the flags say so."""
_FLAGS_AT = 10
_HAS_TABLE = 0x80
_TABLE_SIZE = 0x07
_EXTENSION = 0x21
_APPLICATION = 0xFF
_XMP = b"\x0bXMP DataXMP"
_TRAILER = bytes([1, *range(255, -1, -1), 0])


def encode_gif(frames: Sequence[tuple[Image.Image, int]], packet: str | None = None) -> bytes:
    """The bytes of an animation that repeats.

    `frames` are one or more pictures of one size, each with the milliseconds that it is shown; the
    format knows 256 colours in a picture, and no mark of sRGB, which it is by custom. `packet` goes
    in as XMP, and nothing else of what the pictures were opened with. Raises `InputError` for no
    frames.
    """
    if not frames:
        raise InputError("an animation of no pictures: give at least one")
    first, *rest = [_with_few_colours(image) for image, _ in frames]
    stream = BytesIO()
    first.save(
        stream,
        format="GIF",
        save_all=True,
        append_images=rest,
        duration=[milliseconds for _, milliseconds in frames],
        loop=0,
    )
    data = stream.getvalue()
    return data if packet is None else with_packet(data, packet)


def _with_few_colours(image: Image.Image) -> Image.Image:
    # Without dither: noise that flickers is worse than steps in a gradient.
    made = image.convert("RGB").quantize(dither=Image.Dither.NONE)
    made.info = {}  # Pillow would write what a picture was opened with, such as a comment
    return made


def with_packet(data: bytes, packet: str) -> bytes:
    """A GIF's bytes with an XMP packet in front of its first picture.

    Raises `InputError` for data that is no GIF89a, which has no place for it.
    """
    if not data.startswith(_SIGNATURE):
        raise InputError("XMP goes into GIF files of version 89a only")
    start = _first_block(data)
    block = bytes([_EXTENSION, _APPLICATION]) + _XMP + packet.encode("utf-8") + _TRAILER
    return data[:start] + block + data[start:]


def packet_of(data: bytes) -> str | None:
    """The XMP packet in front of a GIF's first picture; None if there is none."""
    for start in _extensions(data):
        if data[start + 1] == _APPLICATION and data.startswith(_XMP, start + 2):
            first = start + 2 + len(_XMP)
            last = data.find(_TRAILER, first)
            return None if last < 0 else data[first:last].decode("utf-8", "replace")
    return None


def _first_block(data: bytes) -> int:
    """Where the first block starts: behind the screen descriptor and its colour table."""
    flags = data[_FLAGS_AT] if len(data) > _FLAGS_AT else 0
    table = 3 << ((flags & _TABLE_SIZE) + 1) if flags & _HAS_TABLE else 0
    return _SCREEN_BYTES + table


def _extensions(data: bytes) -> Iterator[int]:
    """Where each extension block in front of the first picture starts."""
    at = _first_block(data)
    while at + 2 < len(data) and data[at] == _EXTENSION:
        yield at
        at += 2
        while at < len(data) and data[at]:
            at += data[at] + 1
        at += 1
