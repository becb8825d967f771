"""Finding the trained mappers that lie in folders."""

from collections.abc import Sequence
from pathlib import Path

from cfclip.editors import BEST, LAST, text_mapper_metadata
from cfclip.errors import CheckpointError, InputError, failing_to
from cfclip.io import is_model_file

_RELEASED_SUFFIX = ".pt"


def find_mappers(folders: Sequence[str | Path]) -> dict[str, Path]:
    """Name to run or file of every mapper in folders, sorted by name.

    A folder may be that of one training or hold several, and files of mappers. Nothing is loaded
    and pickles are not looked into, so that a `.pt` file may turn out to be something else
    (`mappers.open_mapper` tells).

    Raises `InputError` for a folder that is none or cannot be listed, or has no mapper.
    """
    mappers: dict[str, Path] = {}
    for folder in map(Path, folders):
        paths = _mappers_in(folder)
        if not paths:
            raise InputError(
                f"{folder} holds no mapper; give the folder of a training, or of several"
            )
        for path in paths:
            name = path.name if path.is_dir() else path.stem
            # Of two with one name the later one is called by its folder too.
            mappers[name if name not in mappers else f"{path.parent.name}/{name}"] = path
    return dict(sorted(mappers.items()))


def _mappers_in(folder: Path) -> list[Path]:
    if _is_run(folder):
        return [folder]
    with failing_to(f"list {folder}"):
        return [each for each in sorted(folder.iterdir()) if _is_run(each) or _is_mapper(each)]


def _is_run(folder: Path) -> bool:
    return any(_is_mapper(folder / name) for name in (BEST, LAST))


def _is_mapper(path: Path) -> bool:
    if not path.is_file():
        return False
    if not is_model_file(path):
        return path.suffix == _RELEASED_SUFFIX
    try:
        text_mapper_metadata(path)
    except CheckpointError:  # a file of another kind
        return False
    return True
