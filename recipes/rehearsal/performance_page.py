"""What a rehearsal measured, as the tables of docs/PERFORMANCE.md."""

import platform
from collections.abc import Sequence
from importlib.metadata import version

from cfclip_benchmark import processor_name
from recipes.rehearsal.stages import Opened, Ran

MARK = "rehearsal"
"""Name of the marks between which the page has them."""
_KIB = 2**10


def tables(opened: Sequence[Opened], ran: Sequence[Ran], threads: int) -> str:
    """Both tables, and the machine that the numbers are of."""
    lines = [
        f"Measured on {processor_name()}, {threads} threads, torch {version('torch')}, Python "
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
