"""The rows of a batch: what is edited, how, and the name of what comes out.

The name of a row follows from the row alone, so that it stays when others come and go: picture and
text as `cfclip apply` names its files, then strength and seed where they are not the usual ones.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

from cfclip.batches.openly import open_name
from cfclip.embedders import check_prompt
from cfclip.errors import InputError
from cfclip.io import build, parse_json
from cfclip.provenance import edit_name, short_hash
from cfclip.settings import check_seed, check_strength

_LONGEST_NAME = 120
"""Bytes: with a suffix and the prefix of a temporary file it fits every file system."""
_PLAIN_NAME = re.compile(r"\w[\w+ -]*")
_NOT_PLAIN = re.compile(r"[^\w+-]+")

PlaceKind: TypeAlias = Literal["sample", "file", "member", "latents"]


@dataclass(frozen=True)
class Place:
    """Where the picture of a row is."""

    kind: PlaceKind
    """"member" of a webdataset shard."""
    seed: int = 0
    """Of a sample."""
    path: str = ""
    """Of the picture's file, or of the shard that holds it; of latents with their name in it, as
    "latents.pt:3"."""
    offset: int = 0
    size: int = 0
    """Where in the shard its bytes are."""


@dataclass(frozen=True)
class Entry:
    """A picture as the input lists it; what is None is as the command says."""

    where: str
    """File and line, for messages."""
    image: str
    """As listed."""
    place: Place
    stem: str
    """Of the result's name."""
    text: str | None = None
    strength: float | None = None
    seed: int | None = None
    name: str | None = None
    """Of the result, if the input gives it."""


@dataclass(frozen=True)
class Refused:
    """What cannot be a row, and why."""

    where: str
    reason: str

    @property
    def line(self) -> str:
        """For the user."""
        return f"{self.where}: {self.reason}"


@dataclass(frozen=True)
class Row:
    """One picture to make."""

    name: str
    """Of the result; no two rows of a batch share one."""
    image: str
    place: Place
    text: str
    strength: float
    seed: int

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str | bytes) -> "Row":
        """A row of `to_json`. Raises `FormatError` for any other text."""
        row = build(cls, parse_json(line))
        check_seed(row.seed)
        return row


@dataclass(frozen=True)
class RowDefaults:
    """What holds for a row that says nothing else."""

    texts: tuple[str, ...]
    """A row each."""
    strength: float
    seed: int


def make_rows(
    entries: Iterable[Entry | Refused], defaults: RowDefaults
) -> tuple[list[Row], list[Refused]]:
    """The rows of all entries, a row for each text, and what is refused.

    Of two entries that would be written to one name, the later one is refused.
    """
    rows: list[Row] = []
    refused: list[Refused] = []
    taken: dict[str, str] = {}
    for entry in entries:
        if isinstance(entry, Refused):
            refused.append(entry)
            continue
        try:
            more = _rows_of(entry, defaults)
        except InputError as error:
            refused.append(Refused(entry.where, str(error)))
            continue
        for row in more:
            key = row.name.casefold()  # some file systems do not tell capitals from small letters
            if key in taken:
                reason = f"its result would be {row.name!r}, as that of {taken[key]} is"
                refused.append(Refused(entry.where, f"{reason}; name them in a list (column name)"))
                continue
            taken[key] = entry.where
            rows.append(row)
    return rows, refused


def _rows_of(entry: Entry, defaults: RowDefaults) -> list[Row]:
    texts: Sequence[str] = defaults.texts if entry.text is None else (entry.text,)
    if not texts:
        raise InputError("it has no text; give one in column text, or for all (--text)")
    strength = defaults.strength if entry.strength is None else entry.strength
    check_strength("strength", strength)
    seed = defaults.seed if entry.seed is None else entry.seed
    check_seed(seed)
    named = entry.name is not None
    base = plain_stem(entry.stem) if entry.name is None else _checked_name(entry.name)
    row = Row(base, entry.image, entry.place, "", float(strength), seed)
    rows = [replace(row, text=check_prompt(text)) for text in texts]
    if named and len(rows) == 1:
        return rows
    return [replace(each, name=_result_name(base, each)) for each in rows]


def _result_name(base: str, row: Row) -> str:
    name = edit_name(base, (row.text,))
    name += f"_x{row.strength:g}".replace(".", "p") if row.strength != 1.0 else ""
    return name + (f"_seed{row.seed}" if row.seed else "")


def plain_stem(text: str) -> str:
    """A name without folders, dots and other characters that paths and shards give a meaning.

    What is too long, or has nothing plain in it, is told apart by a hash.

    >>> plain_stem("faces/A b.c")
    'faces_A_b_c'
    """
    plain = _NOT_PLAIN.sub("_", unicodedata.normalize("NFC", text)).strip("_")
    if plain and len(plain.encode()) <= _LONGEST_NAME // 2:
        return plain
    kept = plain.encode()[: _LONGEST_NAME // 3].decode(errors="ignore")
    return f"{kept}-{short_hash(text)}".lstrip("-")


def _checked_name(name: str) -> str:
    if not _PLAIN_NAME.fullmatch(name) or len(name.encode()) > _LONGEST_NAME // 2:
        raise InputError(
            f"name {name[:_LONGEST_NAME]!r} is not up to {_LONGEST_NAME // 2} letters, digits, "
            "spaces, - + _ (and no folder or dot)"
        )
    return name


def outcome_of(row: Row, **more: Any) -> dict[str, Any]:
    """What is told of a row, as JSON values."""
    # Not by asdict, which copies everything: a tenth of the time that the writing process has.
    content = {name: value for name, value in vars(row).items() if name != "place"}
    return {**content, "image": open_name(row.image), **more}
