"""The pictures that a command works through, and what is said about those that fail."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cfclip.apps.console import Console
from cfclip.apps.options import FAILED, OK
from cfclip.errors import MEMORY_REMEDY, CfclipError, InputError, out_of_memory


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
    stems = Counter(_base(path.stem) for path in paths)
    return [
        Task(
            path,
            _base(path.stem)
            if stems[_base(path.stem)] == 1
            else _base(path.name.replace(".", "_")),
        )
        for path in paths
    ]


def find_all_tasks(images: Sequence[str]) -> tuple[list[Task], list[str]]:
    """The pictures that arguments name, and a line for each argument that names none.

    Raises `InputError` if there are no pictures.
    """
    if not images:
        raise InputError("no pictures; give files, folders or sample:SEED")
    tasks: list[Task] = []
    failures: list[str] = []
    for image in images:
        try:
            tasks += find_tasks(image)
        except InputError as error:
            failures.append(str(error))
    if not tasks:
        raise InputError("; ".join(failures))
    return tasks, failures


def _base(name: str) -> str:
    # Results of a hidden file are not hidden.
    return name.lstrip("._") or "picture"


def check_plan(tasks: Sequence[Task], planned: Sequence[Sequence[Path]], overwrite: bool) -> None:
    """Raise `InputError` before any work if an output cannot be written or must not be.

    Args:
        tasks: what is worked on; no output may replace one of these pictures.
        planned: the outputs of each task.
        overwrite: whether other files may be replaced.
    """
    from cfclip.images import check_outputs

    paths = [path for files in planned for path in files]
    if twice := [path for path, count in Counter(paths).items() if count > 1]:
        raise InputError(f"two pictures would both be written to {twice[0]}; rename one")
    inputs = {task.picture.resolve() for task in tasks if isinstance(task.picture, Path)}
    if lost := [path for path in paths if path.resolve() in inputs]:
        raise InputError(
            f"{lost[0]} would be replaced by a result, but is to be worked on; choose another --out"
        )
    check_outputs(paths, overwrite)


def report_failure(console: Console, task: Task, error: Exception) -> str:
    """Tell of one picture that failed; the others go on.

    An error that is neither ours nor a lack of memory is a defect, and is raised again.
    """
    if out_of_memory(error):
        line = f"{task.picture}: not enough memory; {MEMORY_REMEDY}"
    elif isinstance(error, CfclipError):
        line = str(error)
    else:
        raise error
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
