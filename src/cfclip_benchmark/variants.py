"""Variants of methods, each compared under a name of its own, read from a file.

[[variant]]
name = "cfclip-without-negatives"
method = "cfclip-optimisation"
settings = { negatives = "none" }    # over the method's own; may be left out
files = ["runs/other"]               # what the method takes; may be left out
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cfclip.editing.methods import METHODS, Method
from cfclip.editors.editor import EditRequest, EditResult
from cfclip.editors.text_mapper import mapper_runs
from cfclip.errors import InputError, shown
from cfclip.io.text_files import read_toml
from cfclip.io.text_formats import FormatError, named, repeated
from cfclip.io.typed_fields import build
from cfclip_benchmark.candidates import ORACLE

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


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
    with named(path):
        entries = build(_Variants, read_toml(path)).variant
        if not entries:
            raise FormatError("there is no [[variant]]; give one or more")
    variants = tuple(_variant(each, f"{path}, variant {i}") for i, each in enumerate(entries, 1))
    if twice := repeated(variant.name for variant in variants):
        raise InputError(f"{path} has {shown(twice[0])} twice; rename one of them")
    return variants


@dataclass(frozen=True)
class _Entry:
    """What a file says of a variant."""

    name: str
    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Variants:
    """What is in a file."""

    variant: tuple[Any, ...] = ()


def _variant(content: object, where: str) -> Variant:
    with named(where):
        entry = build(_Entry, content)
        name, method = entry.name, entry.method
        if not _NAME.fullmatch(name):
            raise FormatError(f"name is {shown(name)}, expected small letters, digits and hyphens")
        if name == ORACLE or name in METHODS:
            raise FormatError(f"name {shown(name)} is taken; choose another")
        if method not in METHODS:
            raise FormatError(f"method is {shown(method)}, expected one of {', '.join(METHODS)}")
        runs = tuple(run for file in entry.files for run in mapper_runs(file))
    return Variant(name, method, entry.settings, runs)
