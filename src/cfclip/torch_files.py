"""The one place where `.pt` and `.pth` files of other programs are read."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch

from cfclip.errors import CheckpointError


def read_torch_file(path: str | Path) -> Mapping[str, Any]:
    """What `torch.save` wrote: a mapping, its tensors on the CPU and in the file where possible.

    Nothing in the file is executed: only tensors, plain values and containers are rebuilt, and
    `argparse.Namespace`, in which released checkpoints keep their options. That one is safe: it is
    made without arguments and its attributes are put into its `__dict__`; it has no state hook, no
    method that reading calls, and its values are held to the same list.

    Raises `CheckpointError`, in one line, when the file is missing, damaged, holds anything else,
    or is not a mapping with names as keys.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint at {path}")
    try:
        with torch.serialization.safe_globals([Namespace]):
            content = _load(path)
    except Exception as error:  # the reader raises whatever a damaged file makes it stumble over
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CheckpointError(
            f"{path} is not a checkpoint of tensors and plain values (nothing in it was run); get "
            f"the file again, or save its state dict anew: {reason}"
        ) from error
    if not isinstance(content, Mapping) or not all(isinstance(name, str) for name in content):
        kind = type(content).__name__
        raise CheckpointError(f"{path} holds a {kind}, expected a mapping of names; save one")
    return content


def _load(path: Path) -> Any:
    # The older form, from before PyTorch 1.6, is not an archive, and cannot be mapped.
    return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path))
