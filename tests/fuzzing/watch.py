"""What a process under test does to the machine: told through an audit hook, some of it prevented.

Nothing outside the case's folder is ever changed, and no server is reached: the hook raises what a
read-only disk and a machine without a network would. Whatever it sees that has no place in a case
is a line in a file, also what child processes do.
"""

import errno
import os
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fuzzing.odd_values import words

PROJECT = Path(__file__).parents[2]

_READABLE = tuple(
    words(
        "/proc/self /proc/meminfo /proc/cpuinfo /proc/version /proc/mounts /proc/stat /proc/sys "
        "/sys/fs/cgroup /sys/devices /dev/null /dev/zero /dev/urandom /dev/random /dev/shm "
        "/usr/share/zoneinfo /etc/localtime /etc/os-release /usr/lib/os-release "
        "/etc/mime.types /usr/share/mime"
    )
)
_WRITABLE = ("/dev/null", "/dev/shm", "/proc/self")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES: dict[str, dict[int, int]] = {
    **{"os.mkdir": {0: 2}, "os.rmdir": {0: 1}, "os.remove": {0: 1}, "os.rename": {0: 2, 1: 3}},
    **{"os.link": {1: 3}, "os.symlink": {1: 2}, "os.truncate": {0: -1}, "os.chmod": {0: 2}},
    **{"os.chown": {0: 3}, "os.utime": {0: 3}, "shutil.rmtree": {0: -1}},
}
"""Events that change files: which of their arguments are paths, and which the folder that each is
relative to, if there is one."""
_OF_LINKS = ("os.remove", "os.rename", "os.link", "os.symlink", "os.rmdir")
"""Those that change a link and not what it leads to."""
_NETWORK = tuple(
    f"socket.{name}" for name in words("connect bind sendto getaddrinfo gethostbyname")
)
_PROCESSES = tuple(words("os.system os.exec os.posix_spawn os.fork os.forkpty subprocess.Popen"))
_CODE = ("exec", "compile")
_UNPICKLES = ("pickle.find_class", "marshal.loads")
_MAKES_CODE = tuple(
    words(
        "dataclasses typing typing_extensions collections importlib runpy inspect tyro "
        "docstring_parser torch open_clip timm numpy attr pydantic numba"
    )
)
"""Modules that make code of their own: classes, annotations, what is imported."""


class Watch:
    """The hook of one process and of its children.

    Args:
        folder: that of the case, the only one that may be written to.
        readable: further files and folders that may be read.
        report: file that lines are added to.
        works_apart: whether the command starts processes of its own.
        imports: whether the process has all that it needs to import still before it, which runs
            code and looks for libraries.
    """

    def __init__(
        self,
        folder: Path,
        readable: Iterable[Path],
        report: Path,
        works_apart: bool,
        imports: bool = False,
    ) -> None:
        roots = [PROJECT, *map(Path, sys.path), *map(Path, sysconfig.get_paths().values())]
        here = os.path.realpath(folder)
        self._writable = (here, *_WRITABLE)
        known = [os.path.realpath(each) for each in (*roots, *readable) if str(each)]
        self._readable = (here, *_READABLE, *(each for each in known if each != "/"))
        self._report = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._works_apart = works_apart or imports
        self._imports = imports
        self._busy = False

    def begin(self) -> None:
        """Watch from now on; it cannot be ended."""
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        handle = _HANDLERS.get(event)
        if handle is None or self._busy:
            return
        self._busy = True
        try:
            handle(self, event, arguments)
        finally:
            self._busy = False

    def _tell(self, line: str) -> None:
        os.write(self._report, (line[:400].encode("utf-8", "backslashreplace") + b"\n"))

    def _open(self, event: str, arguments: tuple[Any, ...]) -> None:
        path, mode, flags = arguments
        if isinstance(path, int) or path is None:
            return
        writes = bool((flags or 0) & _WRITES) if mode is None else bool({*"wax+"} & {*mode})
        if writes:
            self._refuse_change(event, path)
        elif not _within(path, self._readable):
            self._tell(f"read {path!r}")

    def _change(self, event: str, arguments: tuple[Any, ...]) -> None:
        for place, parent in _CHANGES[event].items():
            path = arguments[place]
            if isinstance(path, int):
                continue
            if 0 <= parent < len(arguments) and arguments[parent] not in (-1, None):
                folder = os.readlink(f"/proc/self/fd/{arguments[parent]}")
                path = os.path.join(folder, os.fsdecode(path))
            self._refuse_change(event, path)

    def _refuse_change(self, event: str, path: Any) -> None:
        if not _within(path, self._writable, follows=event not in _OF_LINKS):
            self._tell(f"write {path!r} ({event})")
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def _network(self, event: str, arguments: tuple[Any, ...]) -> None:
        self._tell(f"network {event} {arguments[1:]!r}")
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))

    def _process(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._works_apart:
            self._tell(f"process {event} {arguments!r}")

    def _code(self, event: str, arguments: tuple[Any, ...]) -> None:
        caller = _caller()
        if not self._imports and caller.partition(".")[0] not in _MAKES_CODE:
            self._tell(f"code {event} by {caller}")

    def _unpickle(self, event: str, arguments: tuple[Any, ...]) -> None:
        caller = _caller()
        if not caller.startswith(("multiprocessing.", "importlib.")):
            self._tell(f"code {event} {arguments!r} by {caller}")


Handler = Callable[[Watch, str, tuple[Any, ...]], None]
_HANDLERS: dict[str, Handler] = {
    "open": Watch._open,
    **dict.fromkeys(_CHANGES, Watch._change),
    **dict.fromkeys(_NETWORK, Watch._network),
    **dict.fromkeys(_PROCESSES, Watch._process),
    **dict.fromkeys(_CODE, Watch._code),
    **dict.fromkeys(_UNPICKLES, Watch._unpickle),
}


def _within(path: Any, roots: tuple[str, ...], follows: bool = True) -> bool:
    """Whether a path, or what it leads to if it is a link, is one of `roots` or in one."""
    folder, name = os.path.split(os.fsdecode(path))
    try:
        if follows or name in ("", ".", ".."):
            real = os.path.realpath(os.path.join(folder, name))
        else:
            real = os.path.join(os.path.realpath(folder), name)
    except (OSError, ValueError):
        return True  # no such file can be: nothing is opened
    own = f"/proc/{os.getpid()}/"
    if real.startswith(own):
        real = "/proc/self/" + real.removeprefix(own)
    return any(real == root or real.startswith(root + "/") for root in roots)


def _caller() -> str:
    """The module that does what is told of."""
    frame = sys._getframe(3)
    while frame is not None and frame.f_globals.get("__name__") in ("ast", __name__):
        frame = frame.f_back  # type: ignore[assignment]
    return str(frame.f_globals.get("__name__")) if frame is not None else "nobody"
