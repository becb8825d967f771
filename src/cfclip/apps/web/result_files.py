"""The files of an edit, made when they are asked for and never kept on a disk."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cfclip.apps.web.pieces import DOWNLOADS
from cfclip.editing import EditResult
from cfclip.errors import InputError
from cfclip.provenance import provenance_of
from cfclip.viewing import write_sweep


@dataclass(frozen=True)
class Download:
    """A file in memory."""

    name: str
    media_type: str
    content: bytes


def download(result: EditResult, kind: str, scratch: Path) -> Download:
    """The file of that kind: picture, strip, sweep or record. Raises `InputError` for another.

    While it is made it lies in a folder in `scratch`.
    """
    makers: dict[str, tuple[Callable[[EditResult, Path], Path], str]] = {
        "picture": (_picture, "image/png"),
        "strip": (_strip, "image/png"),
        "sweep": (_sweep, "image/gif"),
        "record": (_record, "application/json"),
    }
    if kind not in makers:
        raise InputError(f"there is no {kind!r} of an edit; there are {', '.join(DOWNLOADS)}")
    make, media_type = makers[kind]
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        path = make(result, Path(folder))
        return Download(path.name, media_type, path.read_bytes())


def _picture(result: EditResult, folder: Path) -> Path:
    return result.save(folder).images[0]


def _strip(result: EditResult, folder: Path) -> Path:
    return result.save(folder).strip


def _record(result: EditResult, folder: Path) -> Path:
    return result.save(folder).record


def _sweep(result: EditResult, folder: Path) -> Path:
    path = folder / f"{result.name}.gif"
    write_sweep(result.render, result.strength, path, provenance_of(result.record))
    return path
