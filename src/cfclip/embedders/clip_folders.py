"""What lies in a CLIP folder, and what its configuration says; free of torch.

A folder is of open_clip (`open_clip_config.json`), as packs hold them, or of transformers
(`config.json`). Its files are its own: what leads out of it is not read.
"""

from pathlib import Path
from typing import Any

from cfclip.embedders.clip_config import checked_model_config
from cfclip.errors import CheckpointError, InputError, shown
from cfclip.io.text_files import read_json
from cfclip.io.text_formats import named, table_of

CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"
WEIGHTS_FILES = (
    WEIGHTS_FILE,
    "open_clip_pytorch_model.safetensors",
    "model.safetensors",
    "open_clip_pytorch_model.bin",
)
"""Our own name of the weights, and those in others' folders, the safest format first."""
MERGES_FILE = "bpe_merges.txt.gz"
"""Optional: the trimmed vocabulary of the text encoder, see `cfclip.embedders.bpe`."""

TRANSFORMERS_CONFIG_FILE = "config.json"
TRANSFORMERS_WEIGHTS_FILES = ("model.safetensors", "pytorch_model.bin")
PREPROCESSOR_FILE = "preprocessor_config.json"

_MODEL_TYPE = "clip"
_LONGEST_CONFIG = 1 << 20
"""Characters; a CLIP's has some thousand."""
_SNAPSHOTS, _BLOBS = "snapshots", "blobs"
"""The cache of the Hugging Face hub keeps files of `snapshots/HASH` in `blobs`, and links there."""


def file_in(folder: Path, name: str) -> Path | None:
    """The file of that name in a folder, if there is one.

    Raises `CheckpointError` for what is no file, such as a device, or a link out of the folder.
    """
    path = folder / name
    whole = folder.resolve()
    places = [whole]
    if whole.parent.name == _SNAPSHOTS:
        places.append(whole.parent.parent / _BLOBS)
    try:
        if not path.exists() and not path.is_symlink():
            return None
        real = path.resolve(strict=True)
        if not any(real.is_relative_to(place) for place in places):
            raise CheckpointError(f"{path} is a link out of the folder; put the file itself there")
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        raise CheckpointError(f"{path} is a link to nothing; put the file itself there") from error
    if not path.is_file():
        raise CheckpointError(f"{path} is no file; get the CLIP again")
    return path


def first_in(folder: Path, names: tuple[str, ...]) -> Path:
    """The first of several files that a folder has. Raises `CheckpointError` if it has none."""
    for name in names:
        if (path := file_in(folder, name)) is not None:
            return path
    raise CheckpointError(
        f"{folder / names[0]} is missing; restore the folder from where the model is from"
    )


def table_in(folder: Path, name: str) -> dict[str, Any]:
    """The table in a file of JSON. Raises `CheckpointError` if there is none."""
    path = first_in(folder, (name,))
    with named(path, "get it again", CheckpointError):
        return dict(table_of(read_json(path, _LONGEST_CONFIG)))


def is_of_transformers(folder: Path) -> bool:
    """Whether a folder has the configuration of a model of transformers, and none of open_clip."""
    found = file_in(folder, CONFIG_FILE) is None
    return found and file_in(folder, TRANSFORMERS_CONFIG_FILE) is not None


def read_config(folder: Path) -> dict[str, Any]:
    """The `open_clip_config.json` of a folder, its `model_cfg` checked.

    Raises `CheckpointError` for a file that is missing, or a CLIP that cannot be used.
    """
    config = table_in(folder, CONFIG_FILE)
    try:
        return {**config, "model_cfg": checked_model_config(config.get("model_cfg"))}
    except InputError as error:
        raise CheckpointError(f"{folder / CONFIG_FILE} cannot be used: {error}") from error


def read_transformers_config(folder: Path) -> dict[str, Any]:
    """The `config.json` of a CLIP of transformers. Raises `CheckpointError` for another model."""
    config = table_in(folder, TRANSFORMERS_CONFIG_FILE)
    if (found := config.get("model_type")) != _MODEL_TYPE:
        raise CheckpointError(
            f"{folder / TRANSFORMERS_CONFIG_FILE} describes a {shown(found)} model; only CLIP "
            f"({_MODEL_TYPE!r}) is read from a folder of transformers, others as open_clip's "
            "MODEL:TAG"
        )
    return config


def check_folder(folder: Path) -> None:
    """Raise `CheckpointError` unless a folder has the configuration of a CLIP that can be used."""
    if is_of_transformers(folder):
        read_transformers_config(folder)
    else:
        read_config(folder)
