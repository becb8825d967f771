"""`python -m recipes.rehearsal --out FOLDER`: from files of other programs to edits at 1024 px.

Random weights of the real sizes are written as the programs that they are known from write them,
opened, made into a pack, and used: a sample, an inversion, an edit, a training, its mapper applied.
Each stage is a command in a process of its own, whose time and memory are measured. It takes 6 GB
of disk and some minutes; `--reduced` does the same with small networks.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from cfclip.errors import CfclipError, InputError
from cfclip_benchmark import put_measured
from recipes.rehearsal.performance_page import MARK, tables
from recipes.rehearsal.stages import FILES, Opened, Ran, open_files, run_python, run_stages

MEASURED = "measured.json"
MOST_GIBIBYTES = 12.0
"""No stage shall take more: what a laptop has to give."""

_KIB = 2**10


@dataclass(frozen=True)
class Rehearsal:
    """Write weights of real size, open them, make a pack, and use it; measure each stage."""

    out: Path
    """Folder for the files, the pack and the results, and `measured.json`; new or empty."""
    reduced: bool = False
    """Small networks of the same layers and files."""
    page: Path | None = None
    """Page whose tables are replaced by the measured ones."""
    threads: int = 2
    """Processor threads."""

    def run(self) -> int:
        """All stages; the exit status is 1 if one took more memory than it may."""
        if self.out.exists() and any(self.out.iterdir()):
            raise InputError(f"{self.out} is not empty; choose another folder for --out")
        os.environ["OMP_NUM_THREADS"] = str(self.threads)
        files = self.out / FILES
        print("writing files", flush=True)
        reduced = ["reduced"] if self.reduced else []
        run_python(["-m", "recipes.rehearsal.random_files", str(files), *reduced], "writing files")
        opened, ran = [], []
        for opening in open_files(self.out):
            opened.append(opening)
            print(_opening_line(opening), flush=True)
        for stage in run_stages(self.out):
            ran.append(stage)
            print(_stage_line(stage), flush=True)
        measured = {"opened": [asdict(each) for each in opened], "ran": [asdict(r) for r in ran]}
        (self.out / MEASURED).write_text(json.dumps(measured, indent=2) + "\n")
        if self.page is not None:
            put_measured(self.page, MARK, tables(opened, ran, self.threads))
        most = max(ran, key=lambda each: each.mebibytes)
        if most.mebibytes / _KIB > MOST_GIBIBYTES:
            print(f"{most.stage} takes more than {MOST_GIBIBYTES:g} GiB", file=sys.stderr)
            return 1
        return 0


def _opening_line(opened: Opened) -> str:
    memory = "?" if opened.mebibytes is None else f"{opened.mebibytes:.0f}"
    return (
        f"opening {opened.file} ({opened.megabytes:.0f} MB) as {opened.kind}: "
        f"{opened.processor_seconds:.1f} s, {memory} MiB"
    )


def _stage_line(ran: Ran) -> str:
    return (
        f"{ran.stage}: {ran.seconds:.0f} s ({ran.processor_seconds:.0f} s of processor), "
        f"{ran.mebibytes / _KIB:.2f} GiB"
    )


def main(arguments: list[str] | None = None) -> None:
    """Run with the options of the command line."""
    try:
        status = tyro.cli(Rehearsal, args=arguments, prog="python -m recipes.rehearsal").run()
    except (CfclipError, OSError) as error:
        print(f"rehearsal: error: {error}", file=sys.stderr)
        status = 2
    raise SystemExit(status)


if __name__ == "__main__":
    main()
