"""Lists of pictures: CSV with a line of column names, or JSONL with an object in each line.

Columns: image (a path or sample:SEED), and, where they differ from what the command says, text,
strength, seed, and name (of the result). Others are not used, and that is told.
"""

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cfclip.batches.rows import Entry, Place, Refused
from cfclip.errors import InputError, reason_of
from cfclip.latent_sources import name_of_code
from cfclip.sources import is_sample_spec, parse_sample_spec

IMAGE = "image"
COLUMNS = (IMAGE, "text", "strength", "seed", "name")
SUFFIXES = (".csv", ".jsonl")


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
        raise InputError(f"cannot read folder {folder}: {error}; give another (--root)") from error
    unused: dict[str, None] = {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            lines = _csv_rows(path, stream) if path.suffix.lower() == ".csv" else _json_rows(stream)
            for number, content in lines:
                where = f"{path.name}:{number}"
                if isinstance(content, str):
                    yield Refused(where, content)
                    continue
                unused |= dict.fromkeys(str(name) for name in content if name not in COLUMNS)
                try:
                    yield _entry(where, content, folder, inside)
                except InputError as error:
                    yield Refused(where, reason_of(error))  # it may quote a cell of megabytes
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 ({error.reason}); save it as that") from error
    if unused:
        warn(f"{path.name}: not used: {', '.join(unused)}; known are {', '.join(COLUMNS)}")


def _csv_rows(path: Path, stream: Any) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Line number and columns that are not empty, or what is wrong with the line."""
    reader = csv.reader(stream, strict=True)
    try:
        names = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise InputError(f"{path} is not CSV: {error}") from error
    if IMAGE not in names or len(set(names)) < len(names):
        raise InputError(
            f"{path} begins with {', '.join(names)[:100]!r}; its first line has to name the "
            f"columns, each once: {IMAGE}, and of {', '.join(COLUMNS[1:])} what there is"
        )
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, f"is not CSV: {error}"
            continue
        if not any(cells):
            continue
        if len(cells) != len(names):
            yield reader.line_num, f"has {len(cells)} cells, the first line {len(names)}"
            continue
        given = zip(names, map(str.strip, cells), strict=True)
        yield reader.line_num, {name: cell for name, cell in given if cell}


def _json_rows(stream: Any) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, f"is not JSON: {error}"
            continue
        if not isinstance(content, dict):
            yield number, "is not a JSON object; give {" + f'"{IMAGE}": ...' + "}"
            continue
        yield number, {name: value for name, value in content.items() if value is not None}


def _entry(where: str, content: Mapping[str, Any], folder: Path, inside: Path) -> Entry:
    image = _text(IMAGE, content.get(IMAGE, ""))
    if not image:
        raise InputError(f"has no {IMAGE}; give a path or sample:SEED")
    place, stem = _sample(image) if is_sample_spec(image) else _file(image, folder, inside)
    strength, seed = content.get("strength"), content.get("seed")
    return Entry(
        where=where,
        image=image,
        place=place,
        stem=stem,
        text=_text("text", content["text"]) if "text" in content else None,
        strength=None if strength is None else _number("strength", strength),
        seed=None if seed is None else _whole("seed", seed),
        name=_text("name", content["name"]) if "name" in content else None,
    )


def _sample(image: str) -> tuple[Place, str]:
    seeds = parse_sample_spec(image)
    if len(seeds) > 1:
        raise InputError(f"{image!r} is several samples; give each a row of its own")
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
        if not path.resolve().is_relative_to(inside):
            raise InputError(
                f"{image!r} leads out of {folder}; put it inside, or name the folder that all "
                "are in (--root)"
            )
    except (OSError, ValueError, RuntimeError) as error:  # a null byte, a loop of links
        raise InputError(f"{image!r} is no usable path: {error}") from error
    if (code := name_of_code(path)) is not None:
        return latents_place(path), code
    return Place("file", path=str(path.absolute())), path.stem


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} is {value!r}, expected a text")
    return value


def _number(name: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{name} is {value!r}, expected a number")
    return number


def _whole(name: str, value: Any) -> int:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) < 20):
        raise InputError(f"{name} is {value!r}, expected a whole number of at least 0")
    return int(text)
