"""Pages with measured tables: the marks that these go between, and the machine they are of."""

import os
import platform
from pathlib import Path

from cfclip.errors import InputError
from cfclip.io import atomic_write, read_text

_CPU_INFO = Path("/proc/cpuinfo")
_END = "<!-- end -->"


def check_measured_page(page: Path, name: str) -> None:
    """Raise `InputError` for a page that `put_measured` cannot put anything into."""
    _around(page, name)


def put_measured(page: Path, name: str, text: str) -> None:
    """Replace what a page has between `<!-- measured: NAME -->` and `<!-- end -->`.

    Raises `InputError` for a page without such lines, or that cannot be read.
    """
    before, after = _around(page, name)
    with atomic_write(page) as temporary:
        temporary.write_text(f"{before}\n\n{text.strip()}\n\n{after}", encoding="utf-8")


def processor_name() -> str:
    """Such as "2 cores of AMD EPYC", of the cores that this process may use."""
    names = [
        line.partition(":")[2].strip()
        for line in (_CPU_INFO.read_text().splitlines() if _CPU_INFO.is_file() else ())
        if line.startswith("model name")
    ]
    usable = getattr(os, "sched_getaffinity", None)  # of Linux alone
    cores = os.cpu_count() if usable is None else len(usable(0))
    return f"{cores} cores of {names[0] if names else platform.machine()}"


def _around(page: Path, name: str) -> tuple[str, str]:
    """What is before and behind the text, the marks included."""
    begin = f"<!-- measured: {name} -->"
    before, mark, rest = read_text(page).partition(begin)
    _, end, after = rest.partition(_END)
    if not mark or not end:
        raise InputError(f"{page} has no lines {begin} and {_END}, between which the tables go")
    return before + begin, end + after
