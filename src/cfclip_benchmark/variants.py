"""What a benchmark compares: methods and variants of them, each under a name of its own.

Variants are read from a file:

[[variant]]
name = "cfclip-without-negatives"
method = "cfclip-optimisation"
settings = { negatives = "none" }    # over the method's own; may be left out
files = ["runs/other"]               # what the method takes; may be left out
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cfclip.editing import COMPARED, METHODS, OPTIMISATIONS, method_named
from cfclip.editors import mapper_runs
from cfclip.errors import InputError, shown
from cfclip.io import FormatError, build, field_of, named, read_json, read_toml, repeated
from cfclip.packs import TEXT_MAP_FILE, Pack
from cfclip_benchmark.measured_edits import ORACLE

_NEEDS_TEXT_MAP = "logit-text-map"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True)
class Variant:
    """A method, its settings and its files, by a name of its own."""

    name: str
    method: str
    """One of `METHODS`."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Over the method's own."""
    files: tuple[str, ...] = ()
    """Paths of what the method takes."""

    def tuned(self, folder: Path) -> "Variant":
        """With the settings that `cfclip tune` found for its method under its own.

        A method without a file in `folder` keeps its defaults. Raises `InputError` for a file that
        holds no settings.
        """
        file = folder / f"{self.method}.json"
        if not file.exists():
            return self
        with named(file, "it holds no settings of cfclip tune; remove it"):
            settings = field_of(read_json(file), "settings", Mapping[str, Any])
        return replace(self, settings={**settings, **self.settings})


def read_variants(path: str | Path) -> tuple[Variant, ...]:
    """Read a file of variants, laid out as this module says. Paths in it are from where it is read.

    Raises:
        InputError: a file that cannot be read, or an entry that is none: an unknown field or
            method, a name that is none or is taken.
    """
    with named(path):
        entries = build(_Entries, read_toml(path)).variant
        if not entries:
            raise FormatError("there is no [[variant]]; give one or more")
    variants = tuple(_variant(each, f"{path}, variant {i}") for i, each in enumerate(entries, 1))
    if twice := repeated(variant.name for variant in variants):
        raise InputError(f"{path} has {shown(twice[0])} twice; rename one of them")
    return variants


@dataclass(frozen=True)
class _Entries:
    """What is in a file."""

    variant: tuple[Any, ...] = ()


def _variant(content: object, where: str) -> Variant:
    with named(where):
        variant = build(Variant, content)
        name, method = variant.name, variant.method
        if not _NAME.fullmatch(name):
            raise FormatError(f"name is {shown(name)}, expected small letters, digits and hyphens")
        if name == ORACLE or name in COMPARED:
            raise FormatError(f"name {shown(name)} is taken; choose another")
        if method not in METHODS:
            raise FormatError(f"method is {shown(method)}, expected one of {', '.join(METHODS)}")
        runs = [str(run) for file in variant.files for run in mapper_runs(file)]
    return replace(variant, files=tuple(runs))


def parse_files(given: Sequence[str]) -> dict[str, list[Path]]:
    """Files of methods, written as `METHOD=PATH`; a folder of trainings stands for all of them.

    >>> parse_files(["cfclip-mapper=runs/all"])["cfclip-mapper"][0].name
    'all'

    Raises:
        InputError: a text of another form, or an unknown method.
    """
    files: dict[str, list[Path]] = {}
    for text in given:
        name, assigned, path = text.partition("=")
        if not assigned or not path:
            raise InputError(f"files is {shown(text)}, expected METHOD=PATH")
        method_named(name)
        files.setdefault(name, []).extend(mapper_runs(path))
    return files


def choose_variants(
    pack: Pack, names: Sequence[str], files: Mapping[str, Sequence[Path]]
) -> list[Variant]:
    """The methods to compare, by their own names: those named, or else all that the pack and the
    files allow.

    Raises:
        InputError: an unknown method, one named twice, or files for a method that is not named.
    """
    if not names:
        texts = TEXT_MAP_FILE in pack.manifest.files
        without = [name for name in OPTIMISATIONS if texts or name != _NEEDS_TEXT_MAP]
        names = [name for name in COMPARED if name in without or name in files]
    elif twice := repeated(method_named(name).name for name in names):
        raise InputError(f"method {twice[0]} is named twice; name it once")
    elif unused := sorted(set(files) - set(names)):
        raise InputError(f"files are given for {unused[0]}, which is not among --methods")
    return [Variant(name, name, files=tuple(map(str, files.get(name, ())))) for name in names]
