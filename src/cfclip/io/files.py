"""Writing files without ever leaving half of one, and hashes."""

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cfclip.errors import InputError
from cfclip.io.locking import alone_in, hold, is_abandoned

_CHUNK_BYTES = 1 << 20

_PREFIX = ".cfclip-"
_PARTIAL = ".partial"
_RANDOM_BYTES = 8
_ABANDONED_SECONDS = 86400.0
"""After which a file counts as left behind where locks cannot tell: nothing takes a day."""


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` when the block succeeds.

    The temporary file keeps the suffix of `path`, since image and tensor writers choose their
    format by it, but not the name, which may be as long as names can get. If the block raises,
    nothing remains and an existing `path` is untouched; if the process is killed, `remove_partials`
    finds what remains.
    """
    path = Path(path)
    handle, temporary = _begin(path)
    try:
        yield temporary
        if os.name != "posix":  # open files cannot be renamed there, nor removed by others
            os.close(handle)
            handle = -1
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        if handle >= 0:
            os.close(handle)


def write_whole(path: str | Path, data: bytes) -> None:
    """Write a file, whole or not at all. Raises `InputError` if it cannot be written."""
    try:
        with atomic_write(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def _begin(path: Path) -> tuple[int, Path]:
    """A new file beside `path`, held by this process, and where it is."""
    while True:
        name = f"{_PREFIX}{secrets.token_hex(_RANDOM_BYTES)}{_PARTIAL}{path.suffix}"
        temporary = path.parent / name
        # The system takes the umask off these rights, as for any new file.
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        if hold(handle, temporary):
            return handle, temporary
        os.close(handle)


@contextmanager
def partial_folder(parent: str | Path) -> Iterator[Path]:
    """An empty hidden folder in `parent`, to build something in. It is gone after the block; if the
    process is killed, `remove_partials` finds it.

    Raises `OSError` if it cannot be made.
    """
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=_PREFIX, suffix=_PARTIAL))
    try:
        with alone_in(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_partials(folder: str | Path) -> None:
    """Remove what writers that were killed left in a folder; what living ones write stays."""
    for path in Path(folder).glob(f"{_PREFIX}*{_PARTIAL}*"):
        with suppress(OSError, InputError):  # another process is at work there, or was quicker
            if path.is_dir() and not path.is_symlink():
                with alone_in(path):
                    shutil.rmtree(path)
            elif is_abandoned(path, _ABANDONED_SECONDS):
                path.unlink()


def whole_lines(path: str | Path) -> list[bytes]:
    """The lines of a file that is only ever appended to; none if there is no file.

    A last line that its writer did not finish is cut off, in the file too. Raises `InputError` if
    that cannot be done, or it is no plain file: a pipe or a device may never end.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is no plain file; remove it")
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


def leads_out(path: Path, folder: Path) -> bool:
    """Whether a file is none of a folder, but is reached by a link.

    Raises `OSError` or `RuntimeError` for a link to nothing.
    """
    return not path.resolve(strict=True).is_relative_to(folder.resolve())


def sha256_of(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
