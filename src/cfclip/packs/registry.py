"""Finding packs by name: those shipped with cfclip and those in the folders of `CFCLIP_PACKS`.

`CFCLIP_PACKS` lists folders, separated as in `PATH`; each is a pack or holds packs. A pack is known
by the name of its folder. No pack may hide another: a name in two places is an error.
"""

import os
from pathlib import Path

from cfclip.errors import PackError
from cfclip.packs.manifest import MANIFEST_FILE

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
    try:
        return sorted(child for child in place.iterdir() if (child / MANIFEST_FILE).is_file())
    except OSError as error:
        raise PackError(f"cannot list {place}: {error.strerror or error}") from error
