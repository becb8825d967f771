"""The pictures that a command works through, and what is said about those that fail."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cfclip.apps.console import Console
from cfclip.apps.options import FAILED, OK
from cfclip.apps.writing import Writing
from cfclip.errors import CfclipError, InputError, failure_line
from cfclip.provenance.output_names import short_hash


@dataclass(frozen=True)
class Task:
    """One picture to work on."""

    picture: str | Path
    """A file, "sample:SEED" or a code in a file of latents, as "latents.pt:3"."""
    name: str
    """Base name of what is made of it."""


def find_tasks(images: Sequence[str], pack: str, once: bool = True) -> tuple[list[Task], list[str]]:
    """The pictures that arguments name, and a line for each argument that names none, or also some
    that cannot be opened.

    Args:
        images: files, folders, patterns of names, sample:SEED or sample:FIRST-LAST; files of
            latents, of which FILE:NUMBER, FILE:FIRST-LAST or FILE:NAME takes some.
        pack: the one whose generator latents are of.
        once: whether a picture that is named several times is worked on once.

    Raises:
        InputError: there are no pictures.
    """
    if not images:
        raise InputError("no pictures; give files, folders or sample:SEED")
    pictures: list[str | Path] = []
    failures: list[str] = []
    for image in images:
        try:
            found, complaint = _pictures(image, pack)
            pictures += found
            failures += [] if complaint is None else [f"{image}: {complaint}"]
        except InputError as error:
            failures.append(str(error))
    if not pictures:
        more = f", and {len(failures) - 1} more like it" if len(failures) > 1 else ""
        raise InputError(failures[0] + more)
    places = [*map(_place, pictures)]
    names = _distinct_names([*dict.fromkeys(places)])
    tasks = [Task(each, names[place]) for each, place in zip(pictures, places, strict=True)]
    return [*dict(zip(places, tasks, strict=True)).values()] if once else tasks, failures


def _pictures(image: str, pack: str) -> tuple[Sequence[str | Path], str | None]:
    """What an argument names, and a line about what of it cannot be opened."""
    from cfclip.editing.latent_sources import CodeReader, is_latents_spec
    from cfclip.editing.sources import is_sample_spec, parse_sample_spec
    from cfclip.images.kinds import list_pictures

    if is_latents_spec(image):
        from cfclip.packs.pack import generator_config

        sizes = generator_config(pack)
        codes = CodeReader(sizes.num_ws, sizes.w_dim).codes(image)
        return [code.spec for code in codes], None
    if is_sample_spec(image):
        return [f"sample:{seed}" for seed in parse_sample_spec(image)], None
    listing = list_pictures(image)
    return listing.pictures, listing.complaint


def _place(picture: str | Path) -> str:
    """The same for one picture, however it is named."""
    return os.path.abspath(picture) if isinstance(picture, Path) else picture


def _distinct_names(places: Sequence[str]) -> dict[str, str]:
    """The plainest name of each that no other has, be it in capitals: a file system may not tell
    them apart."""
    choices = {place: _choices(place) for place in places}
    ranks = dict.fromkeys(places, 0)
    while True:
        names = {place: choices[place][rank] for place, rank in ranks.items()}
        counts = Counter(map(str.casefold, names.values()))
        worse = {
            place: rank + 1
            for place, rank in ranks.items()
            if counts[names[place].casefold()] > 1 and rank + 1 < len(choices[place])
        }
        if not worse:
            return names
        ranks |= worse


def _choices(place: str) -> tuple[str, ...]:
    """What the results of a picture may be called after, from the plainest to one of its own."""
    from cfclip.editing.latent_sources import name_of_code
    from cfclip.editing.sources import is_sample_spec

    if is_sample_spec(place):
        return (place.replace(":", "-"),)
    if (code := name_of_code(place)) is not None:
        return code, f"{code}-{short_hash(place)}"
    path = Path(place)
    whole, folder = path.name.replace(".", "_"), path.parent.name
    choices = (path.stem, whole, f"{folder}_{path.stem}", f"{folder}_{whole}")
    own = f"{path.stem}-{short_hash(place)}"
    # Results of a hidden file are not hidden.
    return tuple(each.lstrip("._") or "picture" for each in (*choices, own))


def check_plan(tasks: Sequence[Task], planned: Sequence[Sequence[Path]], writing: Writing) -> None:
    """Raise `InputError` before any work if an output cannot be written or must not be.

    Args:
        tasks: what is worked on; no output may replace one of these pictures.
        planned: the outputs of each task.
        writing: what tells which other files may be replaced.
    """
    paths = [path for files in planned for path in files]
    if twice := [path for path, count in Counter(paths).items() if count > 1]:
        raise InputError(
            f"two results would both be written to {twice[0]}; make them one at a time"
        )
    inputs = {os.path.realpath(task.picture) for task in tasks if isinstance(task.picture, Path)}
    if lost := [path for path in paths if os.path.realpath(path) in inputs]:
        raise InputError(
            f"{lost[0]} would be replaced by a result, but is to be worked on; choose another --out"
        )
    check_written(paths, writing)


def check_written(paths: Sequence[Path], writing: Writing) -> None:
    """Raise `InputError` if one of these files cannot be written, or must not be replaced."""
    from cfclip.images.image_files import check_outputs

    free = dict.fromkeys(path for path in paths if writing.may_replace(path))
    check_outputs([*free], overwrite=True)
    check_outputs([path for path in paths if path not in free])


def report_failure(console: Console, task: Task, error: Exception) -> str:
    """Tell of one picture that failed; the others go on.

    An error that is neither ours nor a lack of memory is a defect, and is raised again.
    """
    line = failure_line(error)
    if not isinstance(error, CfclipError):  # which do not name the picture
        line = f"{task.picture}: {line}"
    if console.as_json:
        console.result({"source": str(task.picture), "error": line})
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
