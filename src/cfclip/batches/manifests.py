"""Lists of pictures: CSV with a line of column names, or JSONL with an object in each line.

Columns: image (a path or sample:SEED), and, where they differ from what the command says, text,
strength, seed, and name (of the result). Others are not used, and that is told.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from cfclip.batches.rows import Entry, Place, Refused
from cfclip.editing import is_sample_spec, name_of_code, parse_sample_spec
from cfclip.errors import InputError, reason_of, shown, shown_name
from cfclip.io import (
    FormatError,
    field_of,
    finite_number,
    parse_json,
    read_csv,
    read_lines,
    split_latents_spec,
    whole_number,
)

IMAGE = "image"
COLUMNS = (IMAGE, "text", "strength", "seed", "name")
SUFFIXES = (".csv", ".jsonl")
_MOST_NAMES = 10
"""Of columns that are not used, in a message."""


def read_manifest(
    path: Path, root: Path | None, warn: Callable[[str], None]
) -> Iterator[Entry | Refused]:
    """The rows of a list, and what of it is no row, by line.

    Args:
        path: of the list.
        root: folder that paths are relative to and have to be in; that of the list if not given.
        warn: told which columns are not used.

    Raises:
        InputError: a list that cannot be read, or has no column "image".
    """
    folder = root or path.parent
    try:
        inside = folder.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"cannot read folder {folder}: {reason_of(error)}; give another (--root)"
        ) from error
    unused: dict[str, None] = {}
    rows = _csv_rows(path) if path.suffix.lower() == ".csv" else _json_rows(path)
    for number, content in rows:
        where = f"{path.name}:{number}"
        if isinstance(content, FormatError):
            yield Refused(where, str(content))
            continue
        unused |= dict.fromkeys(name for name in content if name not in COLUMNS)
        try:
            yield _entry(where, content, folder, inside)
        except InputError as error:
            yield Refused(where, reason_of(error))  # it may quote a cell of megabytes
    if unused:
        warn(f"{path.name}: not used: {_few(unused)}; known are {', '.join(COLUMNS)}")


def _few(names: Collection[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(shown_name(name) for name in islice(names, _MOST_NAMES)) + more


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, str] | FormatError]]:
    """Line number and columns that are not empty, or what is wrong with the line."""
    rows = read_csv(path)
    _, first = next(rows, (1, []))
    if isinstance(first, FormatError):
        raise InputError(f"{path}: the first line {first}; save it as CSV in UTF-8") from first
    names = [name.strip() for name in first]
    if IMAGE not in names or len(set(names)) < len(names):
        raise InputError(
            f"{path} begins with {', '.join(names)[:100]!r}; its first line has to name the "
            f"columns, each once: {IMAGE}, and of {', '.join(COLUMNS[1:])} what there is"
        )
    for number, cells in rows:
        if isinstance(cells, FormatError):
            yield number, cells
        elif any(cells) and len(cells) != len(names):
            problem = f"has {len(cells)} cells, the first line {len(names)}"
            yield number, FormatError(problem)
        elif any(cells):
            given = zip(names, map(str.strip, cells), strict=True)
            yield number, {name: cell for name, cell in given if cell}


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | FormatError]]:
    for number, line in read_lines(path):
        if isinstance(line, FormatError):
            yield number, line
        elif line.strip():
            yield number, _json_row(line)


def _json_row(line: str) -> dict[str, Any] | FormatError:
    try:
        content = parse_json(line)
    except FormatError as error:
        return error
    if not isinstance(content, dict):
        return FormatError("is not a JSON object; give {" + f'"{IMAGE}": ...' + "}")
    return {name: value for name, value in content.items() if value is not None}


def _entry(where: str, content: Mapping[str, Any], folder: Path, inside: Path) -> Entry:
    image = field_of(content, IMAGE, str, "")
    if not image:
        raise InputError(f"has no {IMAGE}; give a path or sample:SEED")
    place, stem = _sample(image) if is_sample_spec(image) else _file(image, folder, inside)
    strength, seed = content.get("strength"), content.get("seed")
    return Entry(
        where=where,
        image=image,
        place=place,
        stem=stem,
        text=field_of(content, "text", str, None),
        strength=None if strength is None else finite_number("strength", strength),
        seed=None if seed is None else whole_number("seed", seed),
        name=field_of(content, "name", str, None),
    )


def _sample(image: str) -> tuple[Place, str]:
    seeds = parse_sample_spec(image)
    if len(seeds) > 1:
        raise InputError(f"{shown(image)} is several samples; give each a row of its own")
    return sample_place(seeds[0])


def sample_place(seed: int) -> tuple[Place, str]:
    """Where a sample is, and the stem of its results."""
    return Place("sample", seed=seed), f"sample-{seed}"


def latents_place(spec: Path) -> Place:
    """Where a code in a file of latents is."""
    return Place("latents", path=str(spec.absolute()))


def _file(image: str, folder: Path, inside: Path) -> tuple[Place, str]:
    try:
        path = folder / image
        opened, _ = split_latents_spec(path) or (path, None)  # FILE of FILE:NAME, be it a link
        if not opened.resolve().is_relative_to(inside):
            raise InputError(
                f"{shown(image)} leads out of {folder}; put it inside, or name the folder that all "
                "are in (--root)"
            )
    except (OSError, ValueError, RuntimeError) as error:  # a null byte, a loop of links
        raise InputError(f"{shown(image)} is no usable path: {reason_of(error)}") from error
    if (code := name_of_code(path)) is not None:
        return latents_place(path), code
    return Place("file", path=str(path.absolute())), path.stem
