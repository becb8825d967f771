"""Variants of methods, each compared under a name of its own, read from a file.

[[variant]]
name = "cfclip-without-negatives"
method = "cfclip-optimisation"
settings = { negatives = "none" }    # over the method's own; may be left out
files = ["runs/other"]               # what the method takes; may be left out
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cfclip.editors.base import EditRequest, EditResult
from cfclip.editors.text_mapper import mapper_runs
from cfclip.errors import InputError
from cfclip.evaluation.candidates import ORACLE
from cfclip.evaluation.methods import METHODS, Method
from cfclip.evaluation.toml_files import read_toml

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_NEEDED, _OPTIONAL = {"name", "method"}, {"settings", "files"}


@dataclass(frozen=True)
class Variant:
    """A method, its settings and its files, by another name."""

    name: str
    method: str
    """One of `METHODS`."""
    settings: Mapping[str, Any]
    """Over the method's own."""
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Renamed:
    """A method under another name; edits as the method."""

    method: Method
    name: str

    @property
    def settings(self) -> Mapping[str, Any]:
        """Those of the method."""
        return self.method.settings

    @property
    def seconds_of_training(self) -> float | None:
        """Those of the method."""
        return self.method.seconds_of_training

    def edit(self, request: EditRequest) -> EditResult:
        """As the method does."""
        return self.method.edit(request)


def read_variants(path: str | Path) -> tuple[Variant, ...]:
    """Read a file of variants, laid out as this module says. Paths in it are from where it is read.

    Raises:
        InputError: a file that cannot be read, or an entry that is none: an unknown field or
            method, a name that is none or is taken.
    """
    content = read_toml(path)
    entries = content.get("variant")
    if set(content) != {"variant"} or not isinstance(entries, list) or not entries:
        raise InputError(f"{path}: expected one [[variant]] or more, and nothing else")
    variants = tuple(_variant(entry, f"{path}, variant {i}") for i, entry in enumerate(entries, 1))
    names = [variant.name for variant in variants]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{path} has {twice[0]!r} twice; rename one of them")
    return variants


def _variant(entry: Any, where: str) -> Variant:
    if not isinstance(entry, Mapping) or not _NEEDED <= set(entry) <= _NEEDED | _OPTIONAL:
        raise InputError(f"{where}: expected the fields name, method, and at most settings, files")
    name, method = entry["name"], entry["method"]
    settings, files = entry.get("settings", {}), entry.get("files", [])
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(f"{where}: name is {name!r}, expected small letters, digits and hyphens")
    if name == ORACLE or name in METHODS:
        raise InputError(f"{where}: name {name!r} is taken; choose another")
    if method not in METHODS:
        raise InputError(f"{where}: method is {method!r}, expected one of {', '.join(METHODS)}")
    if not isinstance(settings, Mapping):
        raise InputError(f"{where}: settings is {settings!r}, expected name = value")
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        raise InputError(f"{where}: files is {files!r}, expected a list of paths")
    runs = tuple(run for file in files for run in mapper_runs(file))
    return Variant(name, method, dict(settings), runs)
