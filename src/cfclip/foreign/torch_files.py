"""The one place where `.pt` and `.pth` files of other programs are read."""

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cfclip.errors import CheckpointError, reason_of
from cfclip.foreign.pickle_values import Budget
from cfclip.foreign.torch_layout import Names, read_torch_data


def read_torch_file(path: str | Path) -> Mapping[str, Any]:
    """What `torch.save` wrote: a mapping with names as keys; otherwise as `read_torch_object`.

    Raises `CheckpointError` as that does, and for anything else than such a mapping.
    """
    content = read_torch_object(path)
    if not isinstance(content, Mapping) or not all(isinstance(name, str) for name in content):
        kind = type(content).__name__
        raise CheckpointError(f"{path} holds a {kind}, expected a mapping of names; save one")
    return content


def read_torch_object(path: str | Path, names: Names = lambda budget: {}) -> Any:
    """What `torch.save` wrote, its tensors on the CPU and in the file where possible.

    Nothing in the file is executed or imported (`cfclip.foreign.torch_layout`): tensors, plain
    values and containers are built, and what checkpoints keep their options in comes as plain
    data, such as `argparse.Namespace` as a dictionary. `names` are what else may be in it.

    Raises `CheckpointError`, in one line, when the file is missing, damaged, holds anything else,
    or more than any model needs.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint at {path}")
    try:
        return read_torch_data(map_file(path, private=True), Budget(), names)
    except MemoryError:
        raise
    except Exception as error:  # the reader stumbles over anything in a damaged file
        raise CheckpointError(
            f"{path} is not a checkpoint of tensors and plain values (nothing in it was run); get "
            f"the file again, or save its state dict anew: {reason_of(error)}"
        ) from error


def map_file(path: Path, private: bool = False) -> memoryview:
    """The bytes of a file, read from it when they are looked at.

    A `private` view may be written to, which does not reach the file. Raises `CheckpointError` for
    an empty file, `OSError` for one that cannot be read.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:  # which cannot be mapped
            raise CheckpointError("it is empty")
        access = mmap.ACCESS_COPY if private else mmap.ACCESS_READ
        return memoryview(mmap.mmap(file.fileno(), 0, access=access))
