"""The pictures that a command works through, and what is said about those that fail."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cfclip.apps.console import Console
from cfclip.apps.options import FAILED, OK
from cfclip.errors import CfclipError


@dataclass(frozen=True)
class Task:
    """One picture to work on."""

    picture: str | Path
    """A file or "sample:SEED"."""
    name: str
    """Base name of what is made of it."""


def find_tasks(image: str) -> list[Task]:
    """The pictures that an IMAGE argument names. Raises `InputError` if there are none."""
    from cfclip.images import find_images
    from cfclip.sources import is_sample_spec, parse_sample_spec

    if is_sample_spec(image):
        seeds = parse_sample_spec(image)
        return [Task(f"sample:{seed}", f"sample-{seed}") for seed in seeds]
    paths = find_images(image)
    stems = Counter(path.stem for path in paths)
    return [
        Task(path, path.stem if stems[path.stem] == 1 else path.name.replace(".", "_"))
        for path in paths
    ]


def report_failure(console: Console, task: Task, error: CfclipError) -> str:
    """Tell of one picture that failed; the others go on."""
    line = str(error)
    if console.as_json:
        console.result({"source": str(task.picture), "error": line}, "")
    return line


def summarise(console: Console, failures: Sequence[str], total: int) -> int:
    """The errors at the end, where they are seen, and the exit status."""
    for line in failures:
        console.error(line)
    if failures and total > 1:
        console.note(f"{total - len(failures)} of {total} pictures done")
    return FAILED if failures else OK


def interruption(done: int, total: int, saved: str) -> str:
    """What to say on Ctrl-C."""
    finished = f"{done} of {total} pictures were finished and are kept" if total > 1 else ""
    text = "interrupted" + saved
    return f"{text}; {finished}" if finished else text + ("" if saved else "; nothing was lost")
