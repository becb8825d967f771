"""Texts of anybody as parts of lines that a terminal shows: no character acts on it, or is unseen.

Names of files, manifests, metadata and messages of libraries may hold anything.
"""

from unicodedata import category

LONGEST_LINE = 500
"""Characters; a longer line hides what is around it."""

_GAP = " ... "
_SPACE = "Zs"
"""Unicode's category of spaces: names of files have some that Python does not call printable."""


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
