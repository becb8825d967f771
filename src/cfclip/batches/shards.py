"""Pictures in webdataset shards: tar archives whose members belong together by their names.

Only the headers are read here; a picture is read where it lies when its turn comes. Archives are
read by the standard library: webdataset's own reader takes addresses that run programs, and its
decoders unpickle.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from cfclip.batches.rows import Entry, Place, Refused
from cfclip.errors import InputError, failing_to, reason_of
from cfclip.images import is_other_picture, opens_by_name, skipped_line

SUFFIX = ".tar"
MAX_PICTURE_BYTES = 200_000_000
"""A larger member is no picture that would be decoded (see `decoding.MAX_PIXELS`)."""


def read_shard(path: Path) -> Iterator[Entry | Refused]:
    """The pictures of a shard; what cannot be used is refused, members that are no pictures are
    passed over.

    Raises `InputError` for what is no uncompressed tar archive.
    """
    count, last = 0, -1
    skipped: list[str] = []
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # all headers would be kept
                if member.offset <= last:  # of a size below zero: it would be read for ever
                    raise tarfile.ReadError("its members lie in a circle")
                last = member.offset
                name = PurePosixPath(member.name)
                if member.isreg() and opens_by_name(name):
                    count += 1
                    yield _entry(path, member)
                elif member.isreg() and is_other_picture(name):
                    skipped.append(member.name)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # tarfile meets damaged headers with every kind of exception
        reason = reason_of(error)
        if not count:
            raise InputError(
                f"{path} is no webdataset shard ({reason}); give an uncompressed tar archive"
            ) from error
        yield Refused(path.name, f"is damaged ({reason}) after {count} pictures; what follows")
    if (line := skipped_line(skipped)) is not None:
        yield Refused(path.name, line)


def _entry(path: Path, member: tarfile.TarInfo) -> Entry | Refused:
    where, name = f"{path.name}/{member.name}", PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        return Refused(where, "leads out of the archive; pack it again")
    if member.issparse() or not 0 < member.size <= MAX_PICTURE_BYTES:
        return Refused(
            where, f"has {member.size:,} bytes, a picture has 1 to {MAX_PICTURE_BYTES:,}"
        )
    place = Place("member", path=str(path.absolute()), offset=member.offset_data, size=member.size)
    # The key of a member is its path up to the first dot of its last part.
    return Entry(where, where, place, str(name.parent / name.name.split(".")[0]))


def read_member(place: Place) -> bytes:
    """The bytes of a picture in a shard. Raises `InputError` if they are not there."""
    with failing_to(f"read {place.path}"), open(place.path, "rb") as stream:
        stream.seek(place.offset)
        data = stream.read(place.size)
    if len(data) != place.size:
        raise InputError(f"{place.path} ends before its pictures do; get it again")
    return data
