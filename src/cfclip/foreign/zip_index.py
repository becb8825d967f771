"""Where the entries of a zip archive lie, for archives that hold theirs as they are.

Only the plain form is read that PyTorch writes, and every number is checked against the file before
it is used, so that no archive can mean one thing here and another to the reader that comes after:
no two names are alike, the directory is the only one and stands right before the end. Nothing is
ever unpacked (an entry could unpack to any size); what is compressed is marked so.

Source: APPNOTE.TXT, the description of the format by PKWARE, sections 4.3 to 4.5.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from cfclip.errors import CheckpointError

ZIP_START = b"PK\x03\x04"
MAX_ENTRIES = 10_100
"""Large checkpoints have some thousands: one for each tensor, and a few more."""

_LONGEST_NAME = 1000

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_CENTRAL_START, _END_START = b"PK\x01\x02", b"PK\x05\x06"
_END64_START, _LOCATOR_START = b"PK\x06\x06", b"PK\x06\x07"
_IN_EXTRA = 0xFFFFFFFF
"""What stands in a field of 4 bytes whose value is in the extra field, in 8."""
_EXTRA64 = 1
_ENCRYPTED = 1


@dataclass(frozen=True)
class ZipMember:
    """A file in an archive: its bytes, perhaps compressed, are those from `start` to `end`."""

    name: str
    start: int
    end: int
    compressed: bool


def zip_entries(data: memoryview) -> list[ZipMember]:
    """The entries of an archive in the order of its directory.

    Raises `CheckpointError` that says what "it", the file, does: unless all is as the module says.
    """
    count, start, end = _directory(data)
    if count > MAX_ENTRIES:
        raise CheckpointError(f"it has {count} entries, at most {MAX_ENTRIES} are read")
    entries = list(_entries(data, count, start, end))
    names = {entry.name.lower() for entry in entries}  # PyTorch finds names in any case
    if len(names) < len(entries):
        raise CheckpointError("it has two entries of one name")
    if sum(entry.end - entry.start for entry in entries) > start:
        raise CheckpointError("its entries claim to be larger than the file")
    return entries


def _directory(data: memoryview) -> tuple[int, int, int]:
    """How many entries, and from where to where their directory is."""
    end = len(data) - _END.size
    if end < 0:
        raise CheckpointError("it ends early")
    signature, disk, _, _, count, size, start, comment = _END.unpack_from(data, end)
    if signature != _END_START or comment or disk:
        raise CheckpointError("it does not end as an archive does: it was cut, or added to")
    locator = end - _LOCATOR.size
    if locator >= 0 and bytes(data[locator : locator + 4]) == _LOCATOR_START:
        _, _, end, _ = _LOCATOR.unpack_from(data, locator)
        if end + _END64.size != locator:
            raise CheckpointError("its directory is not where it should be")
        signature, _, _, _, _, _, _, count, size, start = _END64.unpack_from(data, end)
        if signature != _END64_START:
            raise CheckpointError("its directory is not where it should be")
    if start + size != end:
        raise CheckpointError("its directory is not where it should be")
    return count, start, end


def _entries(data: memoryview, count: int, position: int, end: int) -> Iterator[ZipMember]:
    directory = position
    for _ in range(count):
        if position + _CENTRAL.size > end:
            raise CheckpointError("its directory ends early")
        fields = _CENTRAL.unpack_from(data, position)
        signature, _, _, flags, method, _, _, _, stored, size = fields[:10]
        name_size, extra_size, comment_size = fields[10:13]
        local = fields[16]
        position += _CENTRAL.size
        following = position + name_size + extra_size + comment_size
        if signature != _CENTRAL_START or following > end or name_size > _LONGEST_NAME:
            raise CheckpointError("its directory is damaged")
        name = bytes(data[position : position + name_size]).decode()
        extra = data[position + name_size : position + name_size + extra_size]
        size, stored, local = _widened(extra, size, stored, local)
        if flags & _ENCRYPTED or (size != stored and not method):
            raise CheckpointError("its directory is damaged, or it is encrypted")
        yield _located(data, name, local, stored, directory, bool(method))
        position = following
    if position != end:
        raise CheckpointError("its directory has entries that it does not count")


def _widened(extra: memoryview, size: int, stored: int, local: int) -> tuple[int, int, int]:
    """The three numbers, those taken from the extra field that stand there."""
    values = [size, stored, local]
    wide = [index for index, value in enumerate(values) if value == _IN_EXTRA]
    position = 0
    while wide and position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        position += 4
        if kind == _EXTRA64:
            if length < 8 * len(wide) or position + length > len(extra):
                raise CheckpointError("its directory is damaged")
            for index in wide:
                (values[index],) = struct.unpack_from("<Q", extra, position)
                position += 8
            break
        position += length
    return values[0], values[1], values[2]


def _located(
    data: memoryview, name: str, local: int, size: int, directory: int, compressed: bool
) -> ZipMember:
    if local + _LOCAL.size > directory:
        raise CheckpointError(f"its entry {name[:100]!r} lies outside of it")
    signature, *_, name_size, extra_size = _LOCAL.unpack_from(data, local)
    start = local + _LOCAL.size + name_size + extra_size
    if signature != ZIP_START or start + size > directory:
        raise CheckpointError(f"its entry {name[:100]!r} lies outside of it")
    return ZipMember(name, start, start + size, compressed)
