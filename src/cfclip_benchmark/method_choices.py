"""Which methods are compared, as command lines say it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cfclip.editing.methods import COMPARED, OPTIMISATIONS, method_named
from cfclip.editors.text_mapper import mapper_runs
from cfclip.errors import InputError, shown
from cfclip.io.text_formats import repeated
from cfclip.packs.pack import TEXT_MAP_FILE, Pack

_NEEDS_TEXT_MAP = "logit-text-map"


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
        return tuple(name for name in COMPARED if name in without or name in files)
    for name in names:
        method_named(name)
    if twice := repeated(names):
        raise InputError(f"method {twice[0]} is named twice; name it once")
    if unused := sorted(set(files) - set(names)):
        raise InputError(f"files are given for {unused[0]}, which is not among --methods")
    return tuple(names)
