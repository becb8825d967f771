"""One process at a time: locks that end with the process that holds them, however that ends."""

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cfclip.errors import CfclipWarning, InputError, reason_of

_LOCK_FILE = ".lock"
_HOLDER = "-holder"
"""Ends the name of the file that takes the place of a lock where the system has none."""
_POLL_SECONDS = 0.05
_TAKE_OVER_SECONDS = 0.5
"""For the other lock: to find that its holder is gone, and to take it over."""
_OPEN = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@contextmanager
def alone_in(
    folder: str | Path, remedy: str = "wait for it, or choose another --out"
) -> Iterator[None]:
    """No other process, and no other part of this one, works in a folder during the block.

    The folder is made if needed. Raises `InputError` as `alone_at` does.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
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


def hold(handle: int, path: Path) -> bool:
    """Mark an open file as one that this process writes, until it is closed.

    False if it is not at `path` any more: `is_abandoned` was quicker.
    """
    from filelock import lock_descriptor

    try:
        held = lock_descriptor(handle, blocking=False)
    except OSError:  # no locks here
        held = True
    return held and _is_at(handle, path)


def is_abandoned(path: Path, after_seconds: float) -> bool:
    """Whether nobody writes a file that its writer would `hold`.

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
        try:
            handle = os.open(path, _OPEN | os.O_CREAT, 0o666)
        except OSError as error:
            raise _unwritable(path.parent, error) from error
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
    try:
        lock.acquire(timeout=max(patience, _TAKE_OVER_SECONDS), poll_interval=_POLL_SECONDS)
    except Timeout as error:
        raise InputError(
            f"another process ({lock.pid or 'unknown'}, see {holder}) {doing}; if it is gone, "
            "remove that file"
        ) from error
    except OSError as error:
        raise _unwritable(path.parent, error) from error
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


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(f"cannot write {folder}: {reason_of(error)}; choose another folder")
