"""The stages of a rehearsal, each a command in a process of its own, which is measured."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from resource import struct_rusage

from cfclip.errors import CfclipError

ROSINALITY = "stylegan2-ffhq-config-f.pt"
NVIDIA = "ffhq.pkl"
ENCODER = "e4e_ffhq_encode.pt"
IDENTITY = "model_ir_se50.pth"
CLIP = "ViT-B-32.pt"
"""Files of a rehearsal, by the names that they are known by, which nothing goes by."""

FILES = "files"
"""The folder that they are in."""
PROMPT = "green lipstick"
PACK = "rehearsal"
PICTURE = "sample-0.png"
BATCH = 2
AUGMENTATIONS = 8
"""As CF-CLIP trains."""

_LAST_LINES = 20
_KIB, _MIB = 2**10, 2**20


class RehearsalError(CfclipError):
    """A stage that failed."""


@dataclass(frozen=True)
class Opened:
    """What opening a file took, beyond the libraries."""

    file: str
    kind: str
    megabytes: float
    """Of the file."""
    seconds: float
    processor_seconds: float
    mebibytes: float | None


@dataclass(frozen=True)
class Ran:
    """What a command took, from the start of Python to its end."""

    stage: str
    command: str
    """As a user types it."""
    seconds: float
    processor_seconds: float
    mebibytes: float
    """The most that was resident."""


def stages() -> Iterator[tuple[str, list[str]]]:
    """Name and `cfclip` arguments of each stage, in order; each needs those before it.

    They are run in a folder that has `FILES`, and where everything is made.
    """
    pack = ["--pack", PACK]
    yield (
        "make a pack",
        [
            *("packs", "create", "--name", PACK, "--generator", f"{FILES}/{ROSINALITY}"),
            *("--clip", f"{FILES}/{CLIP}", "--encoder", f"{FILES}/{ENCODER}"),
            *("--identity", f"{FILES}/{IDENTITY}"),
            *("--source-text", "face", "--licence", "random numbers"),
        ],
    )
    yield "sample", ["sample", *pack, "--out", "samples"]
    picture, two = f"samples/{PICTURE}", ["--projection.steps", "2"]
    yield "invert, 2 steps", ["invert", picture, *pack, *two, "--out", "inverted"]
    augmented = ["--augmentations", str(AUGMENTATIONS)]
    yield (
        "edit, 2 steps",
        ["edit", "sample:1", PROMPT, *pack, "--steps", "2", *augmented, "--out", "edited"],
    )
    yield (
        f"train, 2 steps, batch {BATCH}",
        [
            *("train", "--text", PROMPT, *pack, "--steps", "2", "--batch", str(BATCH)),
            *(*augmented, "--identity", "0.2", "--validation", "4", "--out", "run"),
        ],
    )
    yield (
        "apply to 5 pictures",
        ["apply", "run", picture, "sample:2-5", *pack, *two, "--out", "applied"],
    )


def open_files(folder: Path) -> Iterator[Opened]:
    """Open each file of `folder`/files by the public functions, one after the other."""
    for kind, name in (
        ("generator", ROSINALITY),
        ("generator", NVIDIA),
        ("generator", ENCODER),
        ("encoder", ENCODER),
        ("identity", IDENTITY),
        ("clip", CLIP),
    ):
        path = folder / FILES / name
        arguments = ["-m", "recipes.rehearsal.measure_opening", kind, str(path)]
        told, _ = _run(arguments, f"opening {name}")
        yield Opened(name, kind, path.stat().st_size / 1e6, **json.loads(told))


def run_stages(folder: Path) -> Iterator[Ran]:
    """Run each stage in `folder`. Raises `RehearsalError` for one that fails."""
    for name, arguments in stages():
        began = time.perf_counter()
        _, used = _run(["-m", "cfclip", *arguments], name, folder)
        yield Ran(
            stage=name,
            command=shlex.join(["cfclip", *arguments]),
            seconds=time.perf_counter() - began,
            processor_seconds=used.ru_utime + used.ru_stime,
            mebibytes=used.ru_maxrss * _KIB / _MIB,
        )


def run_python(arguments: Sequence[str], name: str) -> None:
    """Run Python with these arguments. Raises `RehearsalError` if that fails."""
    _run(arguments, name)


def _run(
    arguments: Sequence[str], name: str, folder: Path | None = None
) -> tuple[str, struct_rusage]:
    """The last line that a process of its own says, and what it took.

    Linux counts what the parent held when the process began: this one must stay small.
    """
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
    )
    assert process.stdout is not None
    lines = process.stdout.read().splitlines()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        last = "\n".join(lines[-_LAST_LINES:])
        raise RehearsalError(f"{name} failed with status {process.returncode}:\n{last}")
    return lines[-1] if lines else "", used
