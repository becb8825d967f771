"""Writing pictures as PNG files and animations as GIFs, whole or not at all.

XMP goes into a GIF, where Pillow neither writes nor reads it, as its specification says (part 3,
1.1.2): an application extension with the packet as it is, not in sub-blocks, and behind it a
trailer of descending bytes. A reader that takes them for sub-blocks lands somewhere in the trailer,
and from everywhere in it at its end.
"""

import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from cfclip.errors import InputError, failing_to
from cfclip.io import remove_partials, write_whole

_MAX_KEYWORD = 79  # characters of a PNG text chunk's keyword

# Of the PNG specification, third edition: 5.2 (signature), 11.2.2 (header: 8 bits, RGB), 9.2
# (filter 2: the difference to the pixel above).
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BITS, _RGB, _CHANNELS = 8, 2, 3
_UP = 2
_PERCEPTUAL = b"\0"  # 11.3.2.5, the rendering intent of pictures; readers of sRGB do not need it
_QUICK_LEVEL = 6
_QUICK_MEMORY = 9

_GIF_SIGNATURE, _GIF_END = b"GIF89a", b";"
_XMP_START = b"\x21\xff\x0bXMP DataXMP"
_XMP_TRAILER = bytes([1, *range(255, -1, -1), 0])


def check_outputs(paths: Sequence[str | Path], overwrite: bool = False) -> None:
    """Make the folders of `paths`, and raise `InputError` if any of these cannot be written.

    Called before work begins, so that minutes of it are not lost to a full or read-only folder.
    Files that exist are refused unless `overwrite`; folders always.
    """
    targets = [Path(path) for path in paths]
    for folder in dict.fromkeys(target.parent for target in targets):
        with failing_to(f"write to folder {folder}", "choose another", ValueError):
            folder.mkdir(parents=True, exist_ok=True)
            # Asking for permissions misleads (root, network drives, full disks): write something.
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(b"0")
            remove_partials(folder)
    for target in targets:
        with failing_to(f"write {target}", "choose a shorter or plainer name", ValueError):
            taken = target.is_dir()
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


def encode_png(
    image: Image.Image,
    metadata: Mapping[str, str] | None = None,
    seal: Callable[[bytes], bytes] | None = None,
    quickly: bool = False,
) -> bytes:
    """The bytes of a PNG, in sRGB and saying so, with `metadata` as its text chunks (keyword to
    text), and nothing else.

    `seal` turns them into those that are given, as signing does. Without it, the same picture and
    metadata give the same bytes. `quickly` tries one filter and looks for runs only. Raises
    `InputError` if a keyword is not 1 to 79 plain ASCII characters.
    """
    texts = PngImagePlugin.PngInfo()
    texts.add(b"sRGB", _PERCEPTUAL)
    for keyword, text in (metadata or {}).items():
        plain = keyword.isascii() and keyword.isprintable()
        if not plain or not 0 < len(keyword) <= _MAX_KEYWORD:
            raise InputError(
                f"PNG keyword {keyword!r} is not 1 to {_MAX_KEYWORD} plain ASCII characters"
            )
        texts.add_itxt(keyword, text)
    data = _quick(image, texts) if quickly else _small(image, texts)
    return data if seal is None else seal(data)


def _small(image: Image.Image, texts: PngImagePlugin.PngInfo) -> bytes:
    stream = BytesIO()
    # Nothing of what a picture was opened with: Pillow would write its profile, and transparency.
    image.save(stream, format="PNG", pnginfo=texts, icc_profile=None, transparency=None)
    return stream.getvalue()


def _quick(image: Image.Image, texts: PngImagePlugin.PngInfo) -> bytes:
    """An eighth of the time of `_small`: Pillow tries five filters on every row, whatever it is
    asked for. The file is larger by an eighth (avatars) to a fifth (photos)."""
    pixels = np.asarray(image.convert("RGB"))
    height, width, _ = pixels.shape
    rows = pixels.reshape(height, width * _CHANNELS)
    filtered = np.empty((height, 1 + width * _CHANNELS), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    packer = zlib.compressobj(
        _QUICK_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, _QUICK_MEMORY, zlib.Z_RLE
    )
    packed = packer.compress(filtered.tobytes()) + packer.flush()
    header = struct.pack(">2I5B", width, height, _BITS, _RGB, 0, 0, 0)
    chunks = [
        (b"IHDR", header),
        *((kind, content) for kind, content, *_ in texts.chunks),
        (b"IDAT", packed),
        (b"IEND", b""),
    ]
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))
        for kind, content in chunks
    )


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
    durations = [milliseconds for _, milliseconds in frames]
    first.save(stream, "GIF", save_all=True, append_images=rest, duration=durations, loop=0)
    return stream.getvalue() if packet is None else with_packet(stream.getvalue(), packet)


def _with_few_colours(image: Image.Image) -> Image.Image:
    # Without dither: noise that flickers is worse than steps in a gradient.
    reduced = image.convert("RGB").quantize(dither=Image.Dither.NONE)
    reduced.info = {}  # Pillow would write what a picture was opened with, such as a comment
    return reduced


def with_packet(data: bytes, packet: str) -> bytes:
    """A GIF's bytes with an XMP packet behind its last picture.

    Raises `InputError` for data that is no GIF89a, which has no place for it.
    """
    if not (data.startswith(_GIF_SIGNATURE) and data.endswith(_GIF_END)):
        raise InputError("XMP goes into GIF files of version 89a only")
    pictures = data.removesuffix(_GIF_END)
    return pictures + _XMP_START + packet.encode("utf-8") + _XMP_TRAILER + _GIF_END


def packet_of(data: bytes) -> str | None:
    """The XMP packet in a GIF's bytes; None if there is none."""
    _, _, behind = data.partition(_XMP_START)
    packet, trailer, _ = behind.partition(_XMP_TRAILER)
    return packet.decode("utf-8", "replace") if trailer else None
