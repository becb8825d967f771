"""How much memory the machine has for this process, and how much of that is to be had now.

"Free" memory is not that: a system that has run for a day keeps files in nearly all of it, and
gives it up when it is asked for. Where a control group (a container, a service) has a limit that is
lower, that limit counts.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_KIB = 1024


@dataclass(frozen=True)
class Memory:
    """Bytes; None where the system does not tell."""

    total: int | None
    available: int | None


@dataclass(frozen=True)
class _Accounts:
    """Files of a control group, of one version of the kernel's interface."""

    folder: str
    limit: str
    used: str
    reclaimable: str
    """Entry of `memory.stat`: files in memory that are given up first."""


_UNIFIED = ("memory.max", "memory.current", "inactive_file")
_ACCOUNTS = {
    "": (_Accounts("sys/fs/cgroup", *_UNIFIED), _Accounts("sys/fs/cgroup/unified", *_UNIFIED)),
    "memory": (
        _Accounts(
            "sys/fs/cgroup/memory",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "total_inactive_file",
        ),
    ),
}
"""By the controllers that `/proc/self/cgroup` names with a group: none in version 2."""


def machine_memory(root: Path = Path("/")) -> Memory:
    """The memory of the machine as this process may use it; `root` is where the system is."""
    told = _numbers(root / "proc/meminfo")
    total = told["MemTotal"] * _KIB if "MemTotal" in told else _physical()
    available = told["MemAvailable"] * _KIB if "MemAvailable" in told else None
    for limit, left in _limits(root):
        total = limit if total is None else min(total, limit)
        available = left if available is None else min(available, left)
    return Memory(total, available)


def _limits(root: Path) -> Iterator[tuple[int, int]]:
    """Limit of each control group that this process is in, and what is left of it."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        for name in controllers.split(","):
            for accounts in _ACCOUNTS.get(name, ()):
                for folder in _groups(root / accounts.folder, path):
                    limit, used = _text(folder / accounts.limit), _text(folder / accounts.used)
                    if not (limit.isdecimal() and used.isdecimal()):  # "max", or no such group
                        continue
                    kept = _numbers(folder / "memory.stat").get(accounts.reclaimable, 0)
                    yield int(limit), max(0, int(limit) - max(0, int(used) - kept))


def _groups(folder: Path, path: str) -> Iterator[Path]:
    """A group and those that it is in; a container may see its own as the outermost one."""
    inner = PurePosixPath(path.lstrip("/"))
    if ".." not in inner.parts:
        yield from (folder / each for each in (inner, *inner.parents) if each.parts)
    yield folder


def _numbers(file: Path) -> dict[str, int]:
    """The first number in each line of a file, by the word in front of it."""
    words = [line.replace(":", " ").split() for line in _text(file).splitlines()]
    return {each[0]: int(each[1]) for each in words if len(each) > 1 and each[1].isdecimal()}


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _physical() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a system that tells
        return None
