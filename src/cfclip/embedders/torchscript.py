"""The tensors of a TorchScript archive, read without running what the archive holds.

`torch.jit.save` writes a zip file: `code/` (a program), `data.pkl` (the modules with their values)
and a file in `data/` for each storage. `torch.jit.load` compiles the program. Here only `data.pkl`
is read, by an unpickler that knows nothing but modules, which become inert, and tensors.
"""

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from cfclip.errors import CheckpointError

_MARK = "/constants.pkl"
_MOST_PICKLE_BYTES = 64 << 20
_MOST_TENSORS = 20_000
_MOST_VALUES = 500_000
_LONGEST_NAME = 1000
_STORAGES = {
    f"{name}Storage": dtype
    for name, dtype in {
        "Half": torch.float16,
        "BFloat16": torch.bfloat16,
        "Float": torch.float32,
        "Double": torch.float64,
        "Char": torch.int8,
        "Byte": torch.uint8,
        "Short": torch.int16,
        "Int": torch.int32,
        "Long": torch.int64,
        "Bool": torch.bool,
    }.items()
}


def is_torchscript(path: str | Path) -> bool:
    """Whether a file is a TorchScript archive, told by its content; False if it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _root_of(archive) is not None
    except (OSError, zipfile.BadZipFile):
        return False


def read_torchscript(path: str | Path) -> dict[str, Tensor]:
    """Every tensor of an archive by its dotted name, on the CPU, in the type it is stored in.

    Parameters, buffers and tensors that are plain attributes come alike: the archive does not tell
    them apart. Raises `CheckpointError` when the file is missing, damaged, no such archive, or asks
    for anything but modules and tensors.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            root = _root_of(archive)
            if root is None:
                raise CheckpointError(f"{path} is no TorchScript archive; it has no {_MARK[1:]}")
            pickled = _read_entry(archive, f"{root}/data.pkl", _MOST_PICKLE_BYTES)
            size = Path(path).stat().st_size
            content = _Unpickler(pickled, archive, root, size).load()
            return dict(_tensors(content))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error
    except Exception as error:  # a damaged archive makes the readers stumble over anything
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CheckpointError(
            f"{path} is not a readable TorchScript archive (nothing in it was run); get the file "
            f"again: {reason}"
        ) from error


class _Module:
    """A module of the archive, without what it can do: its attributes are in `values`."""

    values: dict[str, Any]

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, dict):
            _refuse("a module without named attributes")
        self.values = state


class _Unpickler(pickle.Unpickler):
    def __init__(self, pickled: bytes, archive: zipfile.ZipFile, root: str, size: int) -> None:
        super().__init__(io.BytesIO(pickled))
        self._archive = archive
        self._root = root
        self._size = size
        self._storages: dict[str, Tensor] = {}
        self._count = 0

    def find_class(self, module: str, name: str) -> Any:
        if module == "__torch__" or module.startswith("__torch__."):
            return _Module
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self._rebuild
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch.jit._pickle":
            return _plain  # lists and dictionaries with their type; no model is made of them
        return _refuse(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Tensor:
        kind, dtype, key, _, _ = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or not isinstance(key, str):
            _refuse(f"the object {pid!r}")
        if key not in self._storages:
            stored = bytearray(_read_entry(self._archive, f"{self._root}/data/{key}", self._size))
            empty = torch.empty(0, dtype=dtype)
            self._storages[key] = torch.frombuffer(stored, dtype=dtype) if stored else empty
        return self._storages[key]

    def _rebuild(
        self,
        storage: Tensor,
        offset: int,
        size: tuple[int, ...],
        stride: tuple[int, ...],
        *_: object,
    ) -> Tensor:
        """A view of a storage; one that would leave or repeat it is refused."""
        self._count += 1
        if self._count > _MOST_TENSORS:
            _refuse(f"more than {_MOST_TENSORS} tensors, which no model has")
        return view_of(storage, offset, size, stride)


def view_of(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """`size` numbers of `storage`, a vector, from `offset` on in steps of `stride`.

    Raises `CheckpointError` for a view that leaves the storage, or repeats it.
    """
    numbers = (offset, *size, *stride)
    sound = len(size) == len(stride) and all(type(n) is int and n >= 0 for n in numbers)
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=False))
    if not sound or count > storage.numel() or (count and last >= storage.numel()):
        _refuse(f"a tensor of shape {size} that does not fit its memory")
    return storage.as_strided(size, stride, offset)


def _plain(value: object, *_: object) -> object:
    return value


def _tensors(root: object) -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested modules by its dotted name."""
    waiting, seen = [("", root)], 0
    while waiting:
        name, value = waiting.pop()
        # Modules may be shared, so that a small file could ask for any number of names.
        seen += 1
        if seen > _MOST_VALUES or len(name) > _LONGEST_NAME:
            _refuse("modules that are nested without end")
        if isinstance(value, Tensor):
            yield name, value
        elif isinstance(value, _Module):
            inside = [(f"{name}.{key}" if name else str(key), v) for key, v in value.values.items()]
            waiting += reversed(inside)


def _root_of(archive: zipfile.ZipFile) -> str | None:
    """The folder that all of an archive is in, None where it is not of TorchScript."""
    for name in archive.namelist():
        if name.endswith(_MARK) and name.count("/") == 1:
            return name.removesuffix(_MARK)
    return None


def _read_entry(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """An entry of at most `most` bytes, which torch stores as it is: a compressed one could unpack
    to anything."""
    entry = archive.getinfo(name)
    if entry.compress_type != zipfile.ZIP_STORED:
        _refuse(f"compressed data ({name}), which torch never writes")
    if entry.file_size > most:
        _refuse(f"{entry.file_size} bytes in {name}, the limit is {most}")
    return archive.read(entry)


def _refuse(what: str) -> NoReturn:
    raise CheckpointError(
        f"the TorchScript archive asks for {what}; nothing in it was run, get the file again or "
        "save its state dict with torch.save"
    )
