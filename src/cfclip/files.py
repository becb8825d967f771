"""Writing files without ever leaving half of one, and hashing them."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CHUNK_BYTES = 1 << 20


_PREFIX = ".cfclip-"
_PARTIAL = ".partial"


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` when the block succeeds.

    The temporary file keeps the suffix of `path`, since image and tensor writers choose their
    format by it, but not the name, which may be as long as names can get. If the block raises,
    nothing remains and an existing `path` is untouched.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_PREFIX, suffix=_PARTIAL + path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files that only their owner reads; give the mode a plain open() would.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_partials(folder: str | Path) -> None:
    """Remove what writers that were killed left in a folder; nobody may be writing there."""
    for path in Path(folder).glob(f"{_PREFIX}*{_PARTIAL}*"):
        path.unlink(missing_ok=True)


def sha256_of(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
