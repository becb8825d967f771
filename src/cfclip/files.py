"""Writing files without ever leaving half of one, folders for one process alone, and hashes."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cfclip.errors import InputError

_CHUNK_BYTES = 1 << 20
_LOCK_FILE = ".lock"

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
    handle, temporary = _begin(path)
    os.close(handle)
    with _finishing(temporary, path):
        yield temporary


def write_whole(path: str | Path, data: bytes) -> None:
    """Write a file, whole or not at all. Raises `InputError` if it cannot be written."""
    path = Path(path)
    try:
        handle, temporary = _begin(path)
        with _finishing(temporary, path), open(handle, "wb") as stream:
            stream.write(data)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def _begin(path: Path) -> tuple[int, Path]:
    """An open temporary file beside `path`, and where it is."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_PREFIX, suffix=_PARTIAL + path.suffix)
    return handle, Path(name)


@contextmanager
def _finishing(temporary: Path, path: Path) -> Iterator[None]:
    """Rename a temporary file when the block succeeds, remove it when it does not."""
    try:
        yield
        # mkstemp makes files that only their owner reads; give the mode a plain open() would.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_partials(folder: str | Path) -> None:
    """Remove what writers that were killed left in a folder; nobody may be writing there."""
    for path in Path(folder).glob(f"{_PREFIX}*{_PARTIAL}*"):
        path.unlink(missing_ok=True)


def whole_lines(path: str | Path) -> list[bytes]:
    """The lines of a file that is only ever appended to; none if there is no file.

    A last line that its writer did not finish is cut off, in the file too. Raises `InputError` if
    that cannot be done.
    """
    path = Path(path)
    try:
        content = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        try:
            os.truncate(path, whole)
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    return content[:whole].splitlines()


@contextmanager
def alone_in(folder: str | Path) -> Iterator[None]:
    """No other process works in a folder during the block.

    Ends with the process, however that ends. On systems without `fcntl` nothing is locked.

    Raises:
        InputError: another process works there, or nothing can be written.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    try:
        stream = open(Path(folder) / _LOCK_FILE, "a")  # noqa: SIM115  # closed below
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror or error}") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"another process works in {folder}; wait for it, or choose another --out"
            ) from error
        yield


def sha256_of(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
