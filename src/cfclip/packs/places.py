"""Where a new pack goes: a folder of a free name, which is filled aside and there at once; free of
torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from cfclip.errors import InputError, reason_of
from cfclip.io.files import partial_folder, remove_partials
from cfclip.packs.manifest import check_name
from cfclip.packs.registry import available_packs


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
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {place}: {error.strerror}; choose another") from (
            error
        )
    remove_partials(place)
    return folder


def _check_free(folder: Path) -> None:
    if folder.exists() or folder.is_symlink():
        raise InputError(f"{folder} exists; choose another --name or --out, or remove it")


@contextmanager
def built_aside(folder: Path) -> Iterator[Path]:
    """An empty folder of the same name in a hidden one beside `folder`; moved there at the end."""
    try:
        with partial_folder(folder.parent) as hidden:
            building = hidden / folder.name
            building.mkdir()
            yield building
            _check_free(folder)  # which another process may have made in the meantime
            building.rename(folder)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"cannot write {folder}: {reason_of(error)}; choose another --out"
        ) from error
