"""Writing files without ever leaving half of one, one process at a time; and hashes.

Locks end with the process that holds them, however that ends.
"""

import hashlib
import os
import re
import secrets
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from cfclip.errors import CfclipWarning, InputError, failing_to, reason_of

LATENT_SUFFIXES = (".pt", ".pth", ".npy", ".npz", ".safetensors")
"""Of the files that codes of a generator are kept in."""

_SPEC = re.compile(
    rf"(?P<path>.+(?:{'|'.join(map(re.escape, LATENT_SUFFIXES))}))(?::(?P<which>.+))?",
    re.IGNORECASE | re.DOTALL,
)

_PREFIX = ".cfclip-"
_PARTIAL = ".partial"
_RANDOM_BYTES = 8
_ABANDONED_SECONDS = 86400.0
"""After which a file counts as left behind where locks cannot tell: nothing takes a day."""

_LOCK_FILE = ".lock"
_HOLDER = "-holder"
"""Ends the name of the file that takes the place of a lock where the system has none."""
_POLL_SECONDS = 0.05
_TAKE_OVER_SECONDS = 0.5
"""For the other lock: to find that its holder is gone, and to take it over."""
_OPEN = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


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
    with failing_to(f"write {path}"), atomic_write(path) as temporary:
        temporary.write_bytes(data)


def _begin(path: Path) -> tuple[int, Path]:
    """A new file beside `path`, held by this process, and where it is."""
    while True:
        name = f"{_PREFIX}{secrets.token_hex(_RANDOM_BYTES)}{_PARTIAL}{path.suffix}"
        temporary = path.parent / name
        # The system takes the umask off these rights, as for any new file.
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        if _hold(handle, temporary):
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
            elif _is_abandoned(path, _ABANDONED_SECONDS):
                path.unlink()


def whole_lines(path: str | Path) -> list[bytes]:
    """The lines of a file that is only ever appended to; none if there is no file.

    A last line that its writer did not finish is cut off, in the file too. Raises `InputError` if
    that cannot be done, or it is no plain file: a pipe or a device may never end.
    """
    path = Path(path)
    with failing_to(f"read {path}"):
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is no plain file; remove it")
        content = path.read_bytes() if path.exists() else b""
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with failing_to(f"write {path}"):
            os.truncate(path, whole)
    return content[:whole].splitlines()


def leads_out(path: Path, folder: Path) -> bool:
    """Whether a file is none of a folder, but is reached by a link.

    Raises `OSError` or `RuntimeError` for a link to nothing.
    """
    return not path.resolve(strict=True).is_relative_to(folder.resolve())


def split_latents_spec(spec: str | Path) -> tuple[Path, str | None] | None:
    """File and selection of "FILE" or "FILE:WHICH"; None for what does not end as such a file.

    >>> split_latents_spec("found/latents.pt:0-3")
    (PosixPath('found/latents.pt'), '0-3')
    """
    match = _SPEC.fullmatch(str(spec))
    return (Path(match["path"]), match["which"]) if match else None


def sha256_of(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def alone_in(
    folder: str | Path, remedy: str = "wait for it, or choose another --out"
) -> Iterator[None]:
    """No other process, and no other part of this one, works in a folder during the block.

    The folder is made if needed. Raises `InputError` as `alone_at` does.
    """
    folder = Path(folder)
    with _writing_in(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with alone_at(folder / _LOCK_FILE, f"works in {folder}; {remedy}"):
        yield


@contextmanager
def alone_at(path: Path, doing: str, patience: float = 0.0) -> Iterator[None]:
    """Nobody else has the lock file `path` during the block, after which it is gone.

    The lock is the system's, on the file. Where the file system has no locks, as some of clusters
    have not, a second file takes its place, which tells the process that made it; of a process of
    this machine that is gone it is taken over. That is told by a `CfclipWarning`.

    Args:
        path: in a folder that is there.
        doing: what another process does, and the remedy: the rest of the line that refuses.
        patience: seconds to wait for another process.

    Raises:
        InputError: another process has the lock, or nothing can be written there.
    """
    until = time.monotonic() + patience
    try:
        while (handle := _take(path)) is None:
            if time.monotonic() >= until:
                raise InputError(f"another process {doing}")
            time.sleep(_POLL_SECONDS)
    except OSError as error:
        with _other_lock(path, doing, patience, error):
            yield
        return
    try:
        yield
    finally:
        if os.name == "posix":
            path.unlink(missing_ok=True)
        os.close(handle)


def _hold(handle: int, path: Path) -> bool:
    """Mark an open file as one that this process writes, until it is closed.

    False if it is not at `path` any more: `_is_abandoned` was quicker.
    """
    from filelock import lock_descriptor

    try:
        held = lock_descriptor(handle, blocking=False)
    except OSError:  # no locks here
        held = True
    return held and _is_at(handle, path)


def _is_abandoned(path: Path, after_seconds: float) -> bool:
    """Whether nobody writes a file that its writer would `_hold`.

    Where that cannot be told, whether it was not written for so long. Raises `OSError` if it cannot
    be opened.
    """
    from filelock import lock_descriptor

    handle = os.open(path, _OPEN)
    try:
        return lock_descriptor(handle, blocking=False)
    except OSError:
        return time.time() - os.fstat(handle).st_mtime > after_seconds
    finally:
        os.close(handle)


def _take(path: Path) -> int | None:
    """A handle that has the lock of a file; None if another has it.

    Raises `InputError` if the file cannot be written, and `OSError` if there are no locks.
    """
    from filelock import lock_descriptor

    while True:
        with _writing_in(path.parent):
            handle = os.open(path, _OPEN | os.O_CREAT, 0o666)
        try:
            if not lock_descriptor(handle, blocking=False):
                os.close(handle)
                return None
        except OSError:
            os.close(handle)
            raise
        if _is_at(handle, path):
            return handle
        os.close(handle)  # who had it has just removed it: another one would not see this lock


@contextmanager
def _other_lock(path: Path, doing: str, patience: float, reason: OSError) -> Iterator[None]:
    from filelock import SoftFileLock, Timeout

    holder = path.with_name(path.name + _HOLDER)
    lock = SoftFileLock(holder)
    with _writing_in(path.parent):
        try:
            lock.acquire(timeout=max(patience, _TAKE_OVER_SECONDS), poll_interval=_POLL_SECONDS)
        except Timeout as error:
            raise InputError(
                f"another process ({lock.pid or 'unknown'}, see {holder}) {doing}; if it is gone, "
                "remove that file"
            ) from error
    try:
        warnings.warn(
            f"there are no locks of the system in {path.parent} ({reason_of(reason)}); the file "
            f"{holder.name} there keeps other processes out instead",
            CfclipWarning,
            stacklevel=2,
        )
        yield
    finally:
        lock.release()


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _writing_in(folder: Path) -> AbstractContextManager[None]:
    return failing_to(f"write {folder}", "choose another folder")
