"""Telling the texts of a command line from its pictures, and both from options."""

import glob
import shlex
from collections.abc import Sequence
from pathlib import Path

from cfclip.errors import InputError, shown

EXAMPLE = "green hair"
_TEXT_OPTIONS = ("--text", "--source-text", "--unrealistic-text")
_OPTIONS_END = "--"
_LONGEST_COMMAND = 200
_ACTIVE_IN_QUOTES = frozenset('"\\$`!')
"""What a shell acts on within double quotes."""


def without_dashes(arguments: Sequence[str], commands: int) -> list[str]:
    """A command line whose texts may begin with "-", in a form that the parser takes.

    The parser takes a word that begins with "-" for an option, so the text of an option is tied to
    it by "=". It wants all words that are no options in one piece: those after "--" and those
    before the first option are joined behind the options.

    Args:
        arguments: what was typed.
        commands: how many words at its beginning name the command.

    >>> without_dashes(["apply", "run", "a.png", "--text", "-5 degrees"], 1)
    ['apply', 'run', 'a.png', '--text=-5 degrees']
    >>> without_dashes(["edit", "a.png", "--out", "b", "--", "-x"], 1)
    ['edit', '--out', 'b', '--', 'a.png', '-x']
    """
    typed = list(arguments)
    end = typed.index(_OPTIONS_END) if _OPTIONS_END in typed else len(typed)
    options, rest = typed[:end], typed[end + 1 :]
    joined: list[str] = []
    for word in options:
        if joined and joined[-1] in _TEXT_OPTIONS and not _is_option(word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    if end == len(typed):
        return joined
    name, others = joined[:commands], joined[commands:]
    places = [place for place, word in enumerate(others) if _is_option(word)]
    first = places[0] if places else len(others)
    return [*name, *others[first:], _OPTIONS_END, *others[:first], *rest]


def _is_option(word: str) -> bool:
    return word.startswith("--") and not any(map(str.isspace, word.partition("=")[0]))


def pictures_and_texts(
    given: Sequence[str], texts: Sequence[str], out: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What `cfclip edit` is to work on, and what its pictures shall show.

    Without --text, the first of `given` is a picture and the others are texts; with it all are
    pictures.

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
    from cfclip.editing.latent_sources import is_latents_spec
    from cfclip.editing.sources import is_sample_spec
    from cfclip.images.kinds import SUFFIXES

    path = Path(given)
    if is_sample_spec(given) or is_latents_spec(given) or path.suffix.lower() in SUFFIXES:
        return True
    try:
        if path.is_dir() and path.name == given:
            return bare_folders
        return path.exists() or (glob.has_magic(given) and any(glob.iglob(given)))
    except (OSError, ValueError):  # too long for a name, a null byte
        return False


def _holds_pictures(given: str) -> bool:
    """Whether what a word names may be worked on, as far as names tell."""
    from cfclip.editing.latent_sources import is_latents_spec
    from cfclip.editing.sources import is_sample_spec
    from cfclip.images.kinds import list_pictures, opens_by_name

    if is_sample_spec(given) or is_latents_spec(given):
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
