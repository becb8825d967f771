"""Where packs are, and where a new one goes; free of torch.

Packs are found by name: those shipped with cfclip and those in the folders of `CFCLIP_PACKS`.

`CFCLIP_PACKS` lists folders, separated as in `PATH`; each is a pack or holds packs. A pack is known
by the name of its folder. No pack may hide another: a name in two places is an error.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from cfclip.errors import InputError, PackError, failing_to
from cfclip.io import partial_folder, remove_partials
from cfclip.packs.manifest import MANIFEST_FILE, check_name

PACKS_VARIABLE = "CFCLIP_PACKS"
_SHIPPED = Path(__file__).parent


def available_packs() -> dict[str, Path]:
    """Name to folder of every pack that can be opened by name, sorted by name; opens none.

    Raises `PackError` for an entry of `CFCLIP_PACKS` that is no folder, or a name in two places.
    """
    found: dict[str, Path] = {}
    for place in [_SHIPPED, *_extra_places()]:
        for folder in _packs_in(place):
            other = found.setdefault(folder.name, folder)
            if other.resolve() != folder.resolve():
                raise PackError(
                    f"pack {folder.name!r} is in {other} and in {folder}; "
                    f"rename one folder or take it out of {PACKS_VARIABLE}"
                )
    return dict(sorted(found.items()))


def resolve(name_or_folder: str | Path) -> Path:
    """The folder of a pack, by its name or its path (a `Path`, or a text with a separator).

    A bare text that is no known name but a folder with a `pack.toml` is taken as that folder.
    Raises `PackError` naming the packs there are.
    """
    packs = {} if isinstance(name_or_folder, Path) else available_packs()
    if name_or_folder in packs:
        return packs[str(name_or_folder)]
    try:
        folder = Path(name_or_folder).expanduser()
        if name_or_folder and (folder / MANIFEST_FILE).is_file():
            return folder
        exists = bool(name_or_folder) and folder.is_dir()
    except (OSError, ValueError, RuntimeError):  # too long, a null byte, no such "~user"
        exists = False
    if exists:
        raise PackError(f"folder {folder} is not a pack: it has no {MANIFEST_FILE}")
    if isinstance(name_or_folder, Path):
        raise PackError(f"there is no pack folder {name_or_folder}")
    names = ", ".join(packs) or "none"
    raise PackError(
        f"unknown pack {name_or_folder!r}; available: {names}; "
        "the folder of a pack may also be given"
    )


def free_folder(place: str | Path, name: str) -> Path:
    """The folder that a pack of this name shall get in `place`, which is made if needed.

    What makers of packs that were killed left there is removed. Raises `PackError` for a name of
    another form, `InputError` for one that is taken or a place that cannot be made.
    """
    check_name(name)
    place = Path(place)
    folder = place / name
    _check_free(folder)
    if (other := available_packs().get(name)) is not None:
        raise InputError(f"there is a pack {name!r} already, {other}; choose another --name")
    with failing_to(f"make the folder {place}", "choose another"):
        place.mkdir(parents=True, exist_ok=True)
    remove_partials(place)
    return folder


def _check_free(folder: Path) -> None:
    if folder.exists() or folder.is_symlink():
        raise InputError(f"{folder} exists; choose another --name or --out, or remove it")


@contextmanager
def built_aside(folder: Path) -> Iterator[Path]:
    """An empty folder of the same name in a hidden one beside `folder`; moved there at the end."""
    with (
        failing_to(f"write {folder}", "choose another --out", SafetensorError),
        partial_folder(folder.parent) as hidden,
    ):
        building = hidden / folder.name
        building.mkdir()
        yield building
        _check_free(folder)  # which another process may have made in the meantime
        building.rename(folder)


def _extra_places() -> list[Path]:
    entries = [entry for entry in os.environ.get(PACKS_VARIABLE, "").split(os.pathsep) if entry]
    places = [Path(entry).expanduser() for entry in entries]
    for place in places:
        if not place.is_dir():
            raise PackError(f"{PACKS_VARIABLE} names {place}, which is not a folder; correct it")
    return places


def _packs_in(place: Path) -> list[Path]:
    if (place / MANIFEST_FILE).is_file():
        return [place.resolve()]
    with failing_to(f"list {place}", kind=PackError):
        return sorted(child for child in place.iterdir() if (child / MANIFEST_FILE).is_file())
