"""The pictures and texts that a command line names, and what is said about pictures that fail."""

import glob
import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cfclip.apps.console import Console
from cfclip.apps.options import FAILED, INTERRUPTED, OK
from cfclip.apps.writing import Writing
from cfclip.errors import RECOVERABLE, CfclipError, InputError, failure_line, shown
from cfclip.io import split_latents_spec
from cfclip.photos import FaceConfig, PasteBack
from cfclip.provenance import short_hash

if TYPE_CHECKING:
    from cfclip.editing import Picture

EXAMPLE = "green hair"
_LONGEST_COMMAND = 200
_ACTIVE_IN_QUOTES = frozenset('"\\$`!')
"""What a shell acts on within double quotes."""


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
            named, complaint = _pictures(image, pack)
            pictures += named
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
    from cfclip.editing import is_sample_spec, parse_sample_spec

    if is_sample_spec(image):
        return [f"sample:{seed}" for seed in parse_sample_spec(image)], None
    if split_latents_spec(image):
        from cfclip.editing import CodeReader
        from cfclip.packs import generator_config

        sizes = generator_config(pack)
        codes = CodeReader(sizes.num_ws, sizes.w_dim).codes(image)
        return [code.spec for code in codes], None
    from cfclip.images import list_pictures

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
    from cfclip.editing import is_sample_spec

    if is_sample_spec(place):
        return (place.replace(":", "-"),)
    from cfclip.editing import name_of_code

    if (code := name_of_code(place)) is not None:
        return code, f"{code}-{short_hash(place)}"
    path = Path(place)
    whole, folder = path.name.replace(".", "_"), path.parent.name
    choices = (path.stem, whole, f"{folder}_{path.stem}", f"{folder}_{whole}")
    own = f"{path.stem}-{short_hash(place)}"
    # Results of a hidden file are not hidden.
    return tuple(each.lstrip("._") or "picture" for each in (*choices, own))


def pictures_and_texts(
    given: Sequence[str], texts: Sequence[str], out: Path, trained: bool = False
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What `cfclip edit` is to work on, and what its pictures shall show.

    Without --text, the first of `given` is a picture and the others are texts; with it all are
    pictures. A method that was `trained` may know its text, if there is none.

    Raises `InputError` if there is no picture, or a text is none; the line tells the right command.
    """
    if texts:
        check_texts(texts)
        return tuple(given), tuple(texts)
    if not given:
        raise InputError(f"no pictures; {_remedy((), (), out)}")
    pictures = [each for each in given if _names_pictures(each)]
    known = set(pictures)
    if len(given) == 1 and any(map(str.isspace, given[0])) and not pictures:
        raise InputError(f"no pictures; {_remedy((), given, out)}")
    if trained and set(given) == known:
        return tuple(given), ()
    if len(given) == 1:
        raise InputError(f"no text; {_remedy(given, (), out)}")
    if mistaken := [each for each in given[1:] if each in known]:
        usable = [each for each in pictures if _holds_pictures(each)]
        named = [each for each in given if each not in usable]
        meant = [each for each in named if not _names_pictures(each, bare_folders=False)]
        raise InputError(
            f"{shown(mistaken[0])} is a file or a picture, not a text; "
            + _remedy(usable, meant, out)
        )
    return tuple(given[:1]), tuple(given[1:])


def check_texts(texts: Sequence[str]) -> None:
    """Raise `InputError` for a text of --text that is the name of a picture, as a shell puts it
    there for `--text *.png`."""
    for text in texts:
        if _names_pictures(text, bare_folders=False):
            raise InputError(
                f"--text {shown(text)} is a file or a picture, not a text; give pictures without "
                "--text, and a text that is called like a file with a word more"
            )


def _names_pictures(given: str, bare_folders: bool = True) -> bool:
    """Whether a word is a file or a folder, fits one, asks for samples, or ends as pictures do."""
    from cfclip.editing import is_sample_spec
    from cfclip.images import SUFFIXES

    path = Path(given)
    if is_sample_spec(given) or split_latents_spec(given) or path.suffix.lower() in SUFFIXES:
        return True
    try:
        if path.is_dir() and path.name == given:
            return bare_folders
        return path.exists() or (glob.has_magic(given) and any(glob.iglob(given)))
    except (OSError, ValueError):  # too long for a name, a null byte
        return False


def _holds_pictures(given: str) -> bool:
    """Whether what a word names may be worked on, as far as names tell."""
    from cfclip.editing import is_sample_spec
    from cfclip.images import list_pictures, opens_by_name

    if is_sample_spec(given) or split_latents_spec(given):
        return True
    try:
        return any(map(opens_by_name, list_pictures(given).pictures))
    except InputError:  # no such file, a folder without any
        return opens_by_name(Path(given))


def _remedy(pictures: Sequence[str], texts: Sequence[str], out: Path) -> str:
    """What to type instead."""
    options = [word for text in texts or (EXAMPLE,) for word in ("--text", text)]
    words = ["cfclip", "edit", *(pictures or ("sample:7",)), *options, "--out", str(out)]
    command = " ".join(map(_quoted, words))
    if len(command) > _LONGEST_COMMAND:
        command = f'cfclip edit IMAGE... --text "{EXAMPLE}" --out OUT'
    return f"texts are given by --text: {command}"


def _quoted(word: str) -> str:
    """A word as a shell takes it, in the quotes that people write."""
    quoted = shlex.quote(word)
    plain = quoted == word or _ACTIVE_IN_QUOTES & set(word)
    return quoted if plain else f'"{word}"'


def check_photos(tasks: Sequence[Task], face: FaceConfig, paste: PasteBack | None = None) -> None:
    """Raise `InputError` if faces are to be cut from what are no photos, by landmarks of another
    picture, or put back without having been cut."""
    if not face.chosen:
        if paste is not None:
            raise InputError(
                f"paste_back is {paste.region!r}, but no face is cut from a photo; ask for that "
                "too (--align or --landmarks FILE)"
            )
        return
    for task in tasks:
        if isinstance(task.picture, str):
            raise InputError(
                f"{task.picture} is the generator's own picture, which has no face to be cut from "
                "it; leave out --align and --landmarks"
            )
    from cfclip.photos import check_landmarks

    check_landmarks(face, len(tasks))


def picture_of(task: Task, face: FaceConfig) -> "Picture":
    """The picture of a task, with the face in it if that is to be cut from it."""
    if not face.chosen:
        return task.picture
    from cfclip.photos import open_photo

    return open_photo(task.picture, face)


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
    from cfclip.images import check_outputs

    free = dict.fromkeys(path for path in paths if writing.may_replace(path))
    check_outputs([*free], overwrite=True)
    check_outputs([path for path in paths if path not in free])


def work_through(
    console: Console, tasks: Sequence[Task], failures: Sequence[str], work: Callable[[Task], None]
) -> int:
    """Do `work` on each picture; one that fails does not lose the others.

    Args:
        console: where failures are told.
        tasks: the pictures.
        failures: a line for each that failed before.
        work: may raise `KeyboardInterrupt` with what to say besides.

    Returns:
        The exit status.
    """
    lines, finished, total = [*failures], 0, len(tasks) + len(failures)
    for task in tasks:
        try:
            with recovering(console, task, lines):
                work(task)
                finished += 1
        except KeyboardInterrupt as pressed:
            console.error(interruption(finished, total, str(pressed)))
            return INTERRUPTED
    return summarise(console, lines, total)


@contextmanager
def recovering(console: Console, task: Task, failures: list[str]) -> Iterator[None]:
    """What fails in the block is told and noted in `failures`, and the other pictures go on."""
    try:
        yield
    except RECOVERABLE as error:
        failures.append(report_failure(console, task, error))


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
