"""Codes in files as what edits start from: which ones a name means, and what records tell."""

import base64
import glob
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cfclip.errors import InputError, reason_of
from cfclip.images import is_pattern
from cfclip.io import field_of, split_latents_spec
from cfclip.provenance import short_hash

if TYPE_CHECKING:
    from cfclip.foreign import LatentsFile

MOST_CODES = 10_000
"""Of one call, as of samples."""
FILE_KIND = "latents_file"
_LATENTS_DTYPE = "<f4"
_NOT_PLAIN = re.compile(r"[^\w+-]+")
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Code:
    """One code in a file."""

    file: "LatentsFile"
    index: int

    @property
    def spec(self) -> str:
        """What means this code alone: the file, if it has no other."""
        names = self.file.names
        return str(self.file.path) + (f":{names[self.index]}" if len(names) > 1 else "")

    @property
    def name(self) -> str:
        """Short name, for file names."""
        return str(name_of_code(self.spec))

    @property
    def latents(self) -> Tensor:
        """`(num_ws or 1, w_dim)` float32."""
        return self.file.codes[self.index]

    @property
    def origin(self) -> dict[str, Any]:
        """The record's form."""
        path, digest = str(self.file.path), self.file.sha256
        return {"kind": FILE_KIND, "path": path, "sha256": digest, "index": self.index}


class CodeReader:
    """Reads codes of a generator with these sizes; a file is read once as long as it stays."""

    def __init__(self, num_ws: int, w_dim: int) -> None:
        self._sizes = num_ws, w_dim
        self._last: tuple[object, LatentsFile] | None = None

    def codes(self, spec: str | Path) -> list[Code]:
        """The codes of "FILE" or "FILE:WHICH", where FILE may be a pattern of names.

        Raises `InputError` as the file's reader does.
        """
        given, which = split_latents_spec(spec) or (Path(spec), None)
        codes: list[Code] = []
        for path in _files(given):
            file = self._file(path)
            codes += (Code(file, index) for index in file.indices(which))
            if len(codes) > MOST_CODES:
                raise InputError(
                    f"{spec} is {len(codes):,} codes or more, at most {MOST_CODES:,} are taken at "
                    f"once; give some of them ({path}:0-{MOST_CODES - 1})"
                )
        return codes

    def one(self, spec: str | Path) -> Code:
        """The only code that is meant. Raises `InputError` if there are several."""
        codes = self.codes(spec)
        if len(codes) > 1:
            raise InputError(
                f"{spec} holds {len(codes)} codes; give them one at a time, in a list, as "
                f"{codes[0].spec} to {codes[-1].spec}"
            )
        return codes[0]

    def at(self, path: str | Path, index: int) -> Code:
        """The code of a record. Raises `InputError` for a file that does not have it."""
        file = self._file(Path(path))
        if not 0 <= index < len(file.codes):
            raise InputError(f"{path} has no latents {index}, but 0 to {len(file.codes) - 1}")
        return Code(file, index)

    def _file(self, path: Path) -> "LatentsFile":
        from cfclip.foreign import read_latents_file

        try:
            about = path.stat()
        except (OSError, ValueError) as error:
            raise InputError(f"there is no latents file {path}") from error
        key = path, about.st_mtime_ns, about.st_size, about.st_ino
        if self._last is None or self._last[0] != key:
            self._last = key, read_latents_file(path, *self._sizes)
        return self._last[1]


def _files(given: Path) -> list[Path]:
    """The file, or those that a pattern fits, by name."""
    if not is_pattern(str(given)):
        return [given]
    found = [*map(Path, sorted(glob.glob(str(given), recursive=True)))]
    return found or [given]  # which there is not


def name_of_code(spec: str | Path) -> str | None:
    """What the results of a code are called after; None for what names none."""
    parts = split_latents_spec(spec)
    if parts is None:
        return None
    path, own = parts
    stem = path.stem.lstrip("._") or "latents"
    if own is None:
        return stem
    plain = _NOT_PLAIN.sub("_", own).strip("_")[:_LONGEST_NAME]
    # What is not plain might be told apart by that alone.
    return f"{stem}-{plain}" if plain == own else f"{stem}-{plain}-{short_hash(own)}"


def latents_origin(latents: Tensor) -> dict[str, Any]:
    """The record's form of latents (CPU, float32); `latents_of` reads it back exactly."""
    numbers = latents.numpy().astype(_LATENTS_DTYPE).tobytes()
    return {
        "kind": "latents",
        "float32": base64.b64encode(numbers).decode(),
        "shape": list(latents.shape),
    }


def latents_of(origin: Mapping[str, Any]) -> Tensor:
    """The latents in the record of a source that was given as latents. Raises `InputError`."""
    shape = field_of(origin, "shape", tuple[int, ...])
    try:
        numbers = base64.b64decode(field_of(origin, "float32", str), validate=True)
        latents = torch.frombuffer(bytearray(numbers), dtype=torch.float32).reshape(shape)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"the latents of the record are damaged: {reason_of(error)}; give another record"
        ) from error
    if not latents.isfinite().all():
        raise InputError("the latents of the record are not finite; give another record")
    return latents
