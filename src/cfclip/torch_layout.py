"""What a file of `torch.save` claims, checked before PyTorch allocates anything for it.

The pickles in the file are read as data (`cfclip.pickles`), with descriptions in the place of
tensors. Each must fit the bytes that the file has for it: PyTorch itself would give a tensor that
does not fit its storage, or a storage that is not in the file, memory that holds anything.

Both forms are known: the archive, and the older sequence of pickles followed by the values.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cfclip.errors import CheckpointError
from cfclip.pickle_values import Budget, Function, Table, check_key, plain_set
from cfclip.pickles import PickleReader
from cfclip.zip_index import ZIP_START, zip_entries

LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""PyTorch's magic number as a pickle: how the older form begins."""
_PROTOCOL = 1001
_COUNT_BYTES = 8
_MAX_AXES = 8
_LARGEST = 1 << 48
"""Beyond sizes that can be multiplied; those of a tensor without values fit any storage."""
_TAR_NAME, _TAR_START = slice(257, 262), b"ustar"

_ITEM_BYTES = {
    "ComplexDoubleStorage": 16,
    **dict.fromkeys(("DoubleStorage", "LongStorage", "ComplexFloatStorage"), 8),
    **dict.fromkeys(("FloatStorage", "IntStorage"), 4),
    **dict.fromkeys(("HalfStorage", "BFloat16Storage", "ShortStorage"), 2),
    **dict.fromkeys(("ByteStorage", "CharStorage", "BoolStorage"), 1),
}
_DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8")


@dataclass(frozen=True)
class StorageType:
    """Type of values, by PyTorch's name, such as "FloatStorage"."""

    name: str
    item_bytes: int


@dataclass(frozen=True)
class Storage:
    """Values in the file: under which key, of which type, how many."""

    key: str
    type: StorageType
    count: int


@dataclass(frozen=True)
class DescribedTensor:
    """Stands for a tensor, which lies within its storage."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _OldParameter(DescribedTensor):
    """A parameter as PyTorch wrote it before 0.4: a tensor, which is then told its attributes."""

    def __init__(self, data: Any, requires_grad: Any = True) -> None:
        if not isinstance(data, DescribedTensor):
            raise CheckpointError("it has a parameter that is no tensor")
        super().__init__(data.storage, data.offset, data.size, data.stride)

    def set_state(self, state: Any) -> None:
        """`requires_grad`, `volatile`, hooks; of hooks there must be none."""
        if not isinstance(state, tuple) or len(state) != 3 or state[2]:
            raise CheckpointError("it has a parameter with hooks, or of an unknown form")


class _Plain:
    """Stands for an object that only keeps what it is given."""

    def set_state(self, state: Any) -> None:
        """Attributes, whatever they are."""
        if not isinstance(state, dict):
            raise CheckpointError("it sets attributes by something else than a dictionary")


def check_torch_layout(
    data: memoryview, plain_classes: tuple[str, ...] = (), budget: Budget | None = None
) -> None:
    """Raise `CheckpointError` that says what "it", the file, does, unless PyTorch may read it.

    Args:
        data: the bytes of the file; only those of its pickles are looked at.
        plain_classes: names of classes that only keep attributes, which may be in it.
        budget: what reading may take, if it is not the first file that is read by it.
    """
    budget = budget or Budget()
    names = {**tensor_names(budget), **{name: Function(_Plain) for name in plain_classes}}
    if bytes(data[: len(ZIP_START)]) == ZIP_START:
        archive = torch_archive(data)
        if archive.is_program:
            raise CheckpointError(
                "it is a TorchScript program; give the weights that it was made from"
            )
        PickleReader(archive.pickle, names, budget, Storages(archive.values)).read_last()
    elif bytes(data[: len(LEGACY_START)]) == LEGACY_START:
        _check_legacy(data, names, budget)
    elif bytes(data[_TAR_NAME]) == _TAR_START:
        raise CheckpointError("it is a tar of PyTorch before 0.2, which is not read any more")
    else:
        raise CheckpointError("it does not begin as a file of PyTorch does")


def check_view(count: int, offset: Any, size: Any, stride: Any) -> None:
    """Raise `CheckpointError` unless a tensor lies within a storage of `count` values."""
    if len(size) != len(stride) or len(size) > _MAX_AXES:
        raise CheckpointError(f"it has a tensor of {len(size)} axes, at most {_MAX_AXES} are read")
    numbers = (offset, *size, *stride)
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise CheckpointError("it has a tensor whose sizes are no numbers from 0 on")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if last >= count if math.prod(size) else max(numbers) >= _LARGEST:
        raise CheckpointError("it has a tensor that is larger than its values in the file")


@dataclass(frozen=True)
class TorchArchive:
    """What is read of an archive."""

    pickle: memoryview
    values: Mapping[str, memoryview]
    """Of storages, by their keys."""
    is_program: bool
    """Whether `torch.jit.save` wrote it."""


def torch_archive(data: memoryview) -> TorchArchive:
    """The parts of an archive. Raises `CheckpointError` that says what "it" does."""
    entries = zip_entries(data)
    root = entries[0].name.partition("/")[0] if entries else ""
    parts = {entry.name: data[entry.start : entry.end] for entry in entries}
    is_program = f"{root}/constants.pkl" in parts
    for entry in entries:
        # Of a program the code, which nobody reads here.
        if entry.compressed and not (is_program and entry.name.startswith(f"{root}/code/")):
            raise CheckpointError("it has compressed entries, which PyTorch never writes")
    if f"{root}/data.pkl" not in parts:
        raise CheckpointError("it is an archive without data.pkl, so not of torch.save")
    order = bytes(parts.get(f"{root}/byteorder", memoryview(b"little"))[:100])
    if order != b"little":
        raise CheckpointError(f"its byte order is {order!r}, expected b'little'")
    folder = f"{root}/data/"
    values = {n.removeprefix(folder): part for n, part in parts.items() if n.startswith(folder)}
    return TorchArchive(parts[f"{root}/data.pkl"], values, is_program)


def tensor_names(budget: Budget) -> dict[str, Any]:
    """What the names in pickles of `torch.save` stand for; tensors become `DescribedTensor`."""

    def tensor(
        storage: Any,
        offset: Any,
        size: Any,
        stride: Any,
        requires_grad: Any = False,
        hooks: Any = None,
        metadata: Any = None,
    ) -> DescribedTensor:
        budget.take("tensors")
        if not isinstance(storage, Storage) or hooks or metadata:
            raise CheckpointError("it has a tensor with hooks, or of something else than values")
        check_view(storage.count, offset, size, stride)
        return DescribedTensor(storage, offset, tuple(size), tuple(stride))

    def parameter(data: Any, requires_grad: Any = True, hooks: Any = None) -> DescribedTensor:
        if not isinstance(data, DescribedTensor) or hooks:
            raise CheckpointError("it has a parameter with hooks, or that is no tensor")
        return data

    def device(kind: Any, index: Any = 0) -> str:
        if not isinstance(kind, str) or not isinstance(index, int):
            raise CheckpointError("it has a device that is none")
        return kind

    return {
        "collections.OrderedDict": Function(Table),
        "torch._utils._rebuild_tensor": Function(tensor),
        "torch._utils._rebuild_tensor_v2": Function(tensor),
        "torch._utils._rebuild_parameter": Function(parameter),
        "torch.nn.parameter.Parameter": Function(_OldParameter),
        "torch.Size": Function(tuple),
        "torch.device": Function(device),
        "builtins.set": Function(plain_set),
        "__builtin__.set": Function(plain_set),
        **{f"torch.{name}": StorageType(name, size) for name, size in _ITEM_BYTES.items()},
        **{f"torch.{name}": name for name in _DTYPES},
    }


def _check_legacy(data: memoryview, names: Mapping[str, Any], budget: Budget) -> None:
    storages = Storages(None)
    reader = PickleReader(data, names, budget, storages, len(LEGACY_START))
    protocol, system = reader.read(), reader.read()
    if protocol != _PROTOCOL or not isinstance(system, dict):
        raise CheckpointError("it is of another version of the older form of PyTorch")
    if system.get("little_endian") is not True:
        raise CheckpointError("its byte order is not little-endian, expected little-endian")
    reader.read()
    keys = reader.read()
    named = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not named or sorted(keys) != sorted(storages.found):
        raise CheckpointError("it does not hold the values of all of its tensors")
    position = reader.position
    for key in keys:
        storage = storages.found[key]
        count = int.from_bytes(data[position : position + _COUNT_BYTES], "little")
        position += _COUNT_BYTES + storage.count * storage.type.item_bytes
        if count != storage.count or position > len(data):
            raise CheckpointError("it ends early, or holds more or fewer values than it says")
    if position != len(data):
        raise CheckpointError("it goes on after its end")


class Storages:
    """Answers the persistent ids of `torch.save`, each a storage; keeps them by their keys.

    Args:
        values: those of an archive, which storages are held to; None in the older form.
    """

    def __init__(self, values: Mapping[str, memoryview] | None) -> None:
        self.found: dict[str, Storage] = {}
        self._values = values

    def __call__(self, identity: Any) -> Storage:
        if not isinstance(identity, tuple) or len(identity) not in (5, 6):
            raise CheckpointError("it has a persistent object that is no storage")
        kind, storage_type, key, location, count, *view = identity
        if kind != "storage" or not isinstance(storage_type, StorageType):
            raise CheckpointError("it has a persistent object that is no storage")
        check_key(key)
        if type(key) is not str or type(location) is not str or type(count) is not int:
            raise CheckpointError("it has a storage without a name, a place or a size")
        storage = Storage(key, storage_type, count)
        if self._values is not None:
            values = self._values.get(key)
            if values is None or len(values) != count * storage_type.item_bytes:
                raise CheckpointError(f"its storage {key[:100]!r} is not in it, or of another size")
        if count < 0 or self.found.setdefault(key, storage) != storage:
            raise CheckpointError(f"its storage {key[:100]!r} has two sizes, or none")
        if view and view != [None]:
            raise CheckpointError("it has a storage that is part of another; save it anew")
        return storage
