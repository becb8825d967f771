"""Which methods a benchmark compares, and the small form of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from cfclip.editing.methods import METHODS, OPTIMISATIONS, Method, open_method
from cfclip.editors.text_mapper import mapper_runs
from cfclip.errors import InputError, shown
from cfclip.io.text_files import read_json
from cfclip.io.text_formats import named, repeated
from cfclip.io.typed_fields import field_of
from cfclip.packs.pack import TEXT_MAP_FILE, Pack
from cfclip_benchmark.avatars.scores import AvatarEdit
from cfclip_benchmark.variants import Renamed, Variant

QUICK_SETTINGS: Mapping[str, Any] = {"steps": 2, "augmentations": 1}
"""Of optimisations, where the benchmark itself is to be tried and not the methods."""
QUICK_AVATARS = 2
QUICK_PROJECTION_STEPS = 5
_NEEDS_TEXT_MAP = "logit-text-map"
_ASSIGNED = "="


def parse_files(given: Sequence[str]) -> dict[str, list[Path]]:
    """Files of methods, written as `METHOD=PATH`; a folder of trainings stands for all of them.

    >>> parse_files(["cfclip-mapper=runs/all"])["cfclip-mapper"][0].name
    'all'

    Raises:
        InputError: a text of another form, or an unknown method.
    """
    files: dict[str, list[Path]] = {}
    for text in given:
        name, assigned, path = text.partition(_ASSIGNED)
        if not assigned or not path:
            raise InputError(f"files is {shown(text)}, expected METHOD=PATH")
        _check_name(name)
        files.setdefault(name, []).extend(mapper_runs(path))
    return files


def choose_methods(
    pack: Pack, names: Sequence[str], files: Mapping[str, Sequence[Path]]
) -> tuple[str, ...]:
    """The methods to compare: those named, or else all that the pack and the files allow.

    Raises:
        InputError: an unknown method, one named twice, or files for a method that is not named.
    """
    if not names:
        without = [
            name
            for name in OPTIMISATIONS
            if name != _NEEDS_TEXT_MAP or TEXT_MAP_FILE in pack.manifest.files
        ]
        return tuple(name for name in METHODS if name in without or name in files)
    for name in names:
        _check_name(name)
    if twice := repeated(names):
        raise InputError(f"method {twice[0]} is named twice; name it once")
    if unused := sorted(set(files) - set(names)):
        raise InputError(f"files are given for {unused[0]}, which is not among --methods")
    return tuple(names)


def open_methods(
    pack: Pack,
    names: Sequence[str],
    files: Mapping[str, Sequence[Path]],
    tuned: Path | None = None,
    quick: bool = False,
    device: str | torch.device = "cpu",
    variants: Sequence[Variant] = (),
) -> list[Method]:
    """The methods of these names, then the variants, ready to edit.

    Args:
        pack: the models.
        names: as `choose_methods` gives them.
        files: what methods take, by their names.
        tuned: folder with `METHOD.json` files of settings, as `cfclip tune` writes them; a method
            without one keeps its defaults.
        quick: whether optimisations take `QUICK_SETTINGS`.
        device: where to compute.
        variants: whose settings are laid over those of their methods.

    Raises:
        InputError, CheckpointError, PackError: as `open_method`; a file of settings that is none.
    """
    if tuned is not None and not tuned.is_dir():
        raise InputError(f"there is no folder {tuned}; give one that cfclip tune has written")

    def open_one(name: str, changes: Mapping[str, Any], taken: Sequence[Path]) -> Method:
        settings = {} if tuned is None else read_settings(tuned / f"{name}.json")
        few = QUICK_SETTINGS if quick and name in OPTIMISATIONS else {}
        return open_method(name, pack, {**settings, **changes, **few}, taken, device)

    methods = [open_one(name, {}, files.get(name, ())) for name in names]
    for variant in variants:
        opened = open_one(variant.method, variant.settings, variant.files)
        methods.append(Renamed(opened, variant.name))
    return methods


def read_settings(file: Path) -> dict[str, Any]:
    """The settings in a file that `cfclip tune` wrote; none if there is no file.

    Raises `InputError` for any other file.
    """
    if not file.exists():
        return {}
    with named(file, "it holds no settings of cfclip tune; remove it"):
        settings: dict[str, Any] = field_of(read_json(file), "settings", Mapping[str, Any])
    return settings


def quick_edits(edits: Sequence[AvatarEdit]) -> tuple[AvatarEdit, ...]:
    """The first prompt of each family."""
    first: dict[str, AvatarEdit] = {}
    for edit in edits:
        first.setdefault(edit.family, edit)
    return tuple(first.values())


def _check_name(name: str) -> None:
    if name not in METHODS:
        raise InputError(f"method is {shown(name)}, expected one of {', '.join(METHODS)}")
