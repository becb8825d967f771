"""What a rehearsal measured, as the tables of docs/PERFORMANCE.md."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from cfclip.errors import InputError
from cfclip.io import atomic_write
from recipes.rehearsal.stages import Opened, Ran

BEGIN, END = "<!-- measured: rehearsal -->", "<!-- end -->"
_CPU_INFO = Path("/proc/cpuinfo")
_KIB = 2**10


def tables(opened: Sequence[Opened], ran: Sequence[Ran], threads: int) -> str:
    """Both tables, and the machine that the numbers are of."""
    lines = [
        f"Measured on {_processor()}, {threads} threads, torch {version('torch')}, Python "
        f"{platform.python_version()}.",
        "",
        "| file | opened as | size, MB | seconds of processor | memory, MB |",
        "|---|---|---|---|---|",
    ]
    for each in opened:
        memory = "" if each.mebibytes is None else f"{each.mebibytes * _KIB**2 / 1e6:.0f}"
        lines.append(
            f"| `{each.file}` | {each.kind} | {each.megabytes:.0f} | "
            f"{each.processor_seconds:.1f} | {memory} |"
        )
    lines += [
        "",
        "| stage | seconds of processor | peak memory, GB |",
        "|---|---|---|",
    ]
    lines += [
        f"| {each.stage} | {each.processor_seconds:.0f} | {each.mebibytes * _KIB**2 / 1e9:.1f} |"
        for each in ran
    ]
    lines += ["", "The commands:", "", "```", *(each.command for each in ran), "```"]
    return "\n".join(lines)


def put_into(page: Path, text: str) -> None:
    """Replace what a page has between its marks. Raises `InputError` for a page without them."""
    content = page.read_text(encoding="utf-8")
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"{page} has no lines {BEGIN} and {END}, between which the tables go")
    with atomic_write(page) as temporary:
        temporary.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def _processor() -> str:
    names = [
        line.partition(":")[2].strip()
        for line in (_CPU_INFO.read_text().splitlines() if _CPU_INFO.is_file() else ())
        if line.startswith("model name")
    ]
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {names[0] if names else platform.machine()}"
