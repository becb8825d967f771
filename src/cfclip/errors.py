"""The exceptions of cfclip, and how their messages show values, names, paths and reasons.

Every message is one line for a person: it names the value, the limit and the remedy. The command
line prints it and exits with status 2; the library raises it. Names of files, manifests, metadata
and messages of libraries may hold anything: no character of theirs acts on a terminal.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from reprlib import Repr
from unicodedata import category


class CfclipError(Exception):
    """Base of every error that cfclip raises on purpose."""


class InputError(CfclipError):
    """An image, prompt, setting or path that cannot be used."""


class PackError(CfclipError):
    """A model pack that is unknown, incomplete or altered."""


class CheckpointError(CfclipError):
    """A weight file that is missing, damaged or does not fit its model."""


class DownloadError(CfclipError):
    """A file that could not be fetched, or is not the one that was expected."""


class TrainingError(CfclipError):
    """A training that went wrong and stopped; its last good checkpoint is kept."""


class CfclipWarning(UserWarning):
    """Something that the library can do, but that its user should know. Its text is one line."""


_LONGEST_REASON = 300
_MEMORY = re.compile("can't allocate memory|out of memory", re.IGNORECASE)
MEMORY_REMEDY = "close other programs, or ask for less (fewer augmentations, a smaller batch)"


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the work was too large for the machine."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and bool(_MEMORY.search(str(error)))
    )


RECOVERABLE = (CfclipError, MemoryError, RuntimeError)
"""What the work on one picture may raise and that on the others go on; see `failure_line`."""


def failure_line(error: Exception) -> str:
    """What to say of a picture that failed by one of `RECOVERABLE`.

    An error that is neither ours nor a lack of memory is a defect, and is raised again.
    """
    if out_of_memory(error):
        return f"not enough memory; {MEMORY_REMEDY}"
    if isinstance(error, CfclipError):
        return str(error)
    raise error


def reason_of(error: BaseException) -> str:
    """What `error` says, as part of a line: short, and without characters that would break it."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return shortened(one_line(text) or type(error).__name__, _LONGEST_REASON)


@contextmanager
def failing_to(
    what: str,
    remedy: str = "",
    *others: type[Exception],
    kind: type[CfclipError] = InputError,
) -> Iterator[None]:
    """An `OSError`, or one of `others`, in the block is raised as `kind`, in one line: "cannot",
    `what`, the reason and the remedy.
    """
    errors: tuple[type[Exception], ...] = (OSError, *others)
    try:
        yield
    except errors as error:
        more = f"; {remedy}" if remedy else ""
        raise kind(f"cannot {what}: {reason_of(error)}{more}") from error


LONGEST_LINE = 500
"""Characters; a longer line hides what is around it."""

_GAP = " ... "
_SPACE = "Zs"
"""Unicode's category of spaces: names of files have some that Python does not call printable."""
_LONGEST_NAME = 80
_LONGEST_PLACE = 200

_SHOWN = Repr()
_SHOWN.maxstring = _SHOWN.maxother = 80
_SHOWN.maxlevel = 2


def plain(text: str) -> str:
    r"""`text` with an escape for each character that acts on a terminal or cannot be seen there.

    These are control characters, line separators, those that turn the direction of a text or take
    no room, lone surrogates (bytes of a file's name that is no UTF-8), and unassigned ones.

    >>> print(plain("a\x1b[31m\u202eb\u3000c"))
    a\x1b[31m\u202eb　c
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or category(c) == _SPACE else _escape(c) for c in text)


def one_line(text: str) -> str:
    """`plain`, of a text that may have several lines; each run of spaces and breaks is one space.

    >>> one_line("not a\\n   number")
    'not a number'
    """
    return plain(" ".join(text.split()))


def shortened(line: str, limit: int = LONGEST_LINE) -> str:
    """`line` without its middle if it has more than `limit` characters.

    What went wrong is told at the beginning of a line, and what to do about it at the end.

    >>> shortened("abcdefghijklmnopqrstuvwxyz", 16)
    'abcdefg ... wxyz'
    """
    if len(line) <= limit:
        return line
    kept = limit - len(_GAP)
    last = kept * 2 // 5
    return line[: kept - last] + _GAP + line[len(line) - last :]


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def shown(value: object) -> str:
    """What a message shows of a value: its beginning and end, if it is long."""
    return _SHOWN.repr(value)


def shown_name(name: str) -> str:
    """A name as messages show it, without quotes if it can be; its beginning, if it is long."""
    name = name if name.isprintable() else repr(name)
    return name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "..."


def short_place(where: str | Path) -> str:
    """A path as messages show it; its end, if it is long."""
    text = str(where)
    return text if len(text) <= _LONGEST_PLACE else "..." + text[-_LONGEST_PLACE:]
