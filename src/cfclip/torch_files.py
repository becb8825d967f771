"""The one place where `.pt` and `.pth` files of other programs are read."""

import io
import mmap
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from cfclip.errors import CheckpointError, reason_of
from cfclip.pickle_values import Budget
from cfclip.torch_layout import check_torch_layout
from cfclip.zip_index import ZIP_START

_NAMESPACE = f"{Namespace.__module__}.{Namespace.__qualname__}"


def read_torch_file(path: str | Path) -> Mapping[str, Any]:
    """What `torch.save` wrote: a mapping with names as keys; otherwise as `read_torch_object`.

    Raises `CheckpointError` as that does, and for anything else than such a mapping.
    """
    content = read_torch_object(path)
    if not isinstance(content, Mapping) or not all(isinstance(name, str) for name in content):
        kind = type(content).__name__
        raise CheckpointError(f"{path} holds a {kind}, expected a mapping of names; save one")
    return content


def read_torch_object(path: str | Path) -> Any:
    """What `torch.save` wrote, its tensors on the CPU and in the file where possible.

    Nothing in the file is executed: only tensors, plain values and containers are rebuilt, and
    `argparse.Namespace`, in which released checkpoints keep their options. That one is safe: it is
    made without arguments and its attributes are put into its `__dict__`; it has no state hook, no
    method that reading calls, and its values are held to the same list. What the file claims is
    checked first (`cfclip.torch_layout`): PyTorch's reader sees only what fits the file.

    Raises `CheckpointError`, in one line, when the file is missing, damaged, holds anything else,
    or more than any model needs.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint at {path}")
    try:
        check_torch_layout(map_file(path), plain_classes=(_NAMESPACE,))
        with torch.serialization.safe_globals([Namespace]):
            return _load(path)
    except MemoryError:
        raise
    except Exception as error:  # the reader raises whatever a damaged file makes it stumble over
        raise CheckpointError(
            f"{path} is not a checkpoint of tensors and plain values (nothing in it was run); get "
            f"the file again, or save its state dict anew: {reason_of(error)}"
        ) from error


def read_torch_bytes(data: memoryview, budget: Budget) -> Any:
    """What `torch.save` wrote, from its bytes; otherwise as `read_torch_object`.

    `budget` is that of the file which the bytes are in: of such pieces a file may have many.
    Raises `CheckpointError` that says what "it" does, or what PyTorch raises for damaged bytes.
    """
    check_torch_layout(data, budget=budget)
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def map_file(path: Path) -> memoryview:
    """The bytes of a file, read from it when they are looked at.

    Raises `CheckpointError` for an empty file, `OSError` for one that cannot be read.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:  # which cannot be mapped
            raise CheckpointError("it is empty")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _load(path: Path) -> Any:
    with path.open("rb") as file:
        # The older form, from before PyTorch 1.6, is not an archive, and cannot be mapped. A file
        # is read by its content here, but PyTorch goes by this name where it is given one.
        mapped = file.read(len(ZIP_START)) == ZIP_START and not path.name.endswith(".safetensors")
        file.seek(0)
        source = path if mapped else file
        return torch.load(source, map_location="cpu", weights_only=True, mmap=mapped)
