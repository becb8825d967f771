"""Spoiling files without knowing what they are, and containers by what they hold."""

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random

_ODD_NUMBERS = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000)
_LONG_NUMBERS = (0xFFFFFFFF, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
_HEAD = 4096
"""Where a file says what it holds; most of the rest are numbers, any of which will do."""

Change = Callable[[bytearray, Random], str]


def spoilt_bytes(data: bytes, random: Random) -> tuple[bytes, str]:
    """`data` with something wrong, and what was done."""
    containers = [make for mark, make in _CONTAINERS if data.startswith(mark)]
    if containers and random.random() < 0.4:
        try:
            return containers[0](data, random)
        except (zipfile.BadZipFile, ValueError, IndexError, zlib.error, struct.error):
            pass
    spoilt, told = bytearray(data), []
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        change = random.choice(_CHANGES)
        told.append(change(spoilt, random))
    return bytes(spoilt), ", ".join(told)


def _place(data: bytearray, random: Random) -> int:
    if not data:
        return 0
    part = random.random()
    if part < 0.5:
        return random.randrange(min(len(data), _HEAD))
    if part < 0.7:
        return max(0, len(data) - 1 - random.randrange(_HEAD))
    return random.randrange(len(data))


def _flip(data: bytearray, random: Random) -> str:
    if not data:
        return "nothing"
    place = _place(data, random)
    data[place] ^= 1 << random.randrange(8)
    return f"a bit at {place}"


def _truncate(data: bytearray, random: Random) -> str:
    place = _place(data, random)
    del data[place:]
    return f"cut at {place}"


def _number(data: bytearray, random: Random) -> str:
    width = random.choice((1, 2, 4, 8))
    order = random.choice(("little", "big"))
    number = random.choice(_ODD_NUMBERS + _LONG_NUMBERS) % (1 << (8 * width))
    place = _place(data, random)
    data[place : place + width] = number.to_bytes(width, order)  # type: ignore[arg-type]
    return f"{number} at {place}"


def _splice(data: bytearray, random: Random) -> str:
    start, place = _place(data, random), _place(data, random)
    size = random.choice((1, 8, 64, 1000))
    data[place : place + random.choice((0, size))] = data[start : start + size]
    return f"{size} bytes of {start} to {place}"


def _remove(data: bytearray, random: Random) -> str:
    place, size = _place(data, random), random.choice((1, 2, 8, 100))
    del data[place : place + size]
    return f"{size} bytes less at {place}"


def _fill(data: bytearray, random: Random) -> str:
    place, size = _place(data, random), random.choice((1, 16, 1000))
    value = random.choice((0, 0x20, 0x41, 0x7F, 0xFF))
    data[place : place + size] = bytes([value]) * size
    return f"{size} times {value} at {place}"


def _append(data: bytearray, random: Random) -> str:
    size = random.choice((1, 100, 100_000))
    data += random.randbytes(size)
    return f"{size} bytes more"


def _empty(data: bytearray, random: Random) -> str:
    del data[random.choice((0, 1, 8, 64)) :]
    return f"only {len(data)} bytes"


_CHANGES: tuple[Change, ...] = (
    *(_flip, _flip, _flip, _truncate, _number, _number, _number),
    *(_splice, _splice, _remove, _fill, _append, _empty),
)


def _spoilt_zip(data: bytes, random: Random) -> tuple[bytes, str]:
    """One entry of an archive spoilt; the checksums fit."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [(info, archive.read(info)) for info in archive.infolist()]
    pickles = [i for i, (info, _) in enumerate(entries) if info.filename.endswith("data.pkl")]
    chosen = random.choice(pickles + pickles + list(range(len(entries))))
    info, content = entries[chosen]
    spoilt, told = spoilt_bytes(content, random)
    told = f"{info.filename}: {told}"
    extra = random.random()
    if extra < 0.1:
        spoilt, told = bytes(50_000_000), f"{info.filename}: zeros"
    names = {chosen: random.choice(_ENTRY_NAMES)} if extra > 0.9 else {}
    method = zipfile.ZIP_DEFLATED if random.random() < 0.3 or extra < 0.1 else zipfile.ZIP_STORED
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for index, (each, value) in enumerate(entries):
            name = names.get(index, each.filename)
            archive.writestr(name, spoilt if index == chosen else value)
    return buffer.getvalue(), told + (f" as {names[chosen]!r}" if names else "")


_ENTRY_NAMES = (
    "../../outside",
    "/outside",
    "a/" * 1000,
    "a\x1b[31m",
    "\u202eabc",
    "",
    "archive/data/0",
)


def _spoilt_gzip(data: bytes, random: Random) -> tuple[bytes, str]:
    if random.random() < 0.2:
        return gzip.compress(b"a b\n" * 30_000_000, 1), "120 MB of merges"
    content, told = spoilt_bytes(gzip.decompress(data), random)
    return gzip.compress(content), f"inside: {told}"


_CONTAINERS: tuple[tuple[bytes, Callable[[bytes, Random], tuple[bytes, str]]], ...] = (
    (b"PK\x03\x04", _spoilt_zip),
    (b"\x1f\x8b", _spoilt_gzip),
)
