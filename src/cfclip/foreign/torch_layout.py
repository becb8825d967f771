"""What `torch.save` wrote, read as data: no reader that could be misled allocates anything for it.

The pickles in the file are read by `cfclip.foreign.pickles`. Each tensor must fit its storage, and
each storage the bytes that the file has for it, of which it is a view where that can be.

Both forms are known: the archive, and the older sequence of pickles followed by the values.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from cfclip.errors import CheckpointError
from cfclip.foreign.pickle_names import plain_names
from cfclip.foreign.pickle_values import Budget, Function, check_key
from cfclip.foreign.pickles import PickleReader
from cfclip.foreign.zip_index import ZIP_START, zip_entries

LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""PyTorch's magic number as a pickle: how the older form begins."""
_PROTOCOL = 1001
_COUNT_BYTES = 8
_MAX_AXES = 8
_LARGEST = 1 << 48
"""Beyond sizes that can be multiplied; those of a tensor without values fit any storage."""
_TAR_NAME, _TAR_START = slice(257, 262), b"ustar"

_STORAGES = {
    "ComplexDouble": torch.complex128,
    "ComplexFloat": torch.complex64,
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
}
_DTYPES = (
    *("float64", "float32", "float16", "bfloat16", "complex64", "complex128"),
    *("int64", "int32", "int16", "int8", "uint8", "bool"),
)


@dataclass(frozen=True)
class StorageType:
    """What the name of a storage stands for."""

    dtype: torch.dtype


@dataclass(frozen=True)
class Storage:
    """Values in the file: under which key, of which type, how many."""

    key: str
    dtype: torch.dtype
    count: int
    values: Tensor = field(compare=False)
    """`(count,)`; without memory as long as it is not known where in the file they are."""


class _OldParameter(Tensor):
    """A parameter as PyTorch wrote it before 0.4: a tensor, which is then told its attributes."""

    def set_state(self, state: Any) -> None:
        """`requires_grad`, `volatile`, hooks; of hooks there must be none."""
        if not isinstance(state, tuple) or len(state) != 3 or state[2]:
            raise CheckpointError("it has a parameter with hooks, or of an unknown form")


Names = Callable[[Budget], Mapping[str, Any]]
"""Further names in a file, as `cfclip.foreign.pickles.PickleReader` takes them."""


def read_torch_data(data: memoryview, budget: Budget, names: Names = lambda budget: {}) -> Any:
    """What `torch.save` wrote, on the CPU. Raises `CheckpointError` that says what "it" does.

    Args:
        data: the bytes of the file. Tensors share them where they may be written to.
        budget: what reading may take.
        names: what may be in it besides tensors and plain values.
    """
    if bytes(data[: len(ZIP_START)]) == ZIP_START:
        archive = torch_archive(data)
        if archive.is_program:
            raise CheckpointError(
                "it is a TorchScript program; give the weights that it was made from"
            )
        known = {**tensor_names(budget), **names(budget)}
        return PickleReader(archive.pickle, known, budget, Storages(archive.values)).read_last()
    if bytes(data[: len(LEGACY_START)]) == LEGACY_START:
        return _read_legacy(data, budget, names)
    if bytes(data[_TAR_NAME]) == _TAR_START:
        raise CheckpointError("it is a tar of PyTorch before 0.2, which is not read any more")
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
    """What the names in pickles of `torch.save` stand for."""

    def tensor(
        storage: Any,
        offset: Any,
        size: Any,
        stride: Any,
        requires_grad: Any = False,
        hooks: Any = None,
        metadata: Any = None,
    ) -> Tensor:
        budget.take("tensors")
        if not isinstance(storage, Storage) or hooks or metadata:
            raise CheckpointError("it has a tensor with hooks, or of something else than values")
        check_view(storage.count, offset, size, stride)
        return storage.values.as_strided(size, stride, offset)

    def with_attributes(make: Any, kind: Any, arguments: Any, state: Any) -> Tensor:
        if make is not plain or not isinstance(arguments, tuple):
            raise CheckpointError("it has a tensor of an unknown kind")
        return tensor(*arguments)

    def parameter(
        data: Any, requires_grad: Any = True, hooks: Any = None, state: Any = None
    ) -> Tensor:
        if not isinstance(data, Tensor) or hooks:
            raise CheckpointError("it has a parameter with hooks, or that is no tensor")
        return data

    def old_parameter(data: Any, requires_grad: Any = True) -> Tensor:
        return parameter(data).as_subclass(_OldParameter)

    def device(kind: Any, index: Any = None) -> str:
        if not isinstance(kind, str) or not isinstance(index, int | None):
            raise CheckpointError("it has a device that is none")
        return kind if index is None else f"{kind}:{index}"

    plain = Function(tensor)
    return {
        **plain_names(budget),
        "torch._utils._rebuild_tensor": plain,
        "torch._utils._rebuild_tensor_v2": plain,
        "torch._utils._rebuild_parameter": Function(parameter),
        "torch._utils._rebuild_parameter_with_state": Function(parameter),
        "torch._tensor._rebuild_from_type_v2": Function(with_attributes),
        "torch.nn.parameter.Parameter": Function(old_parameter),
        "torch.Tensor": "torch.Tensor",
        "torch.Size": Function(tuple),
        "torch.device": Function(device),
        **{f"torch.{name}Storage": StorageType(dtype) for name, dtype in _STORAGES.items()},
        **{f"torch.{name}": name for name in _DTYPES},
    }


def _read_legacy(data: memoryview, budget: Budget, names: Names) -> Any:
    """The values come last: their places are looked up, then the tensors are made of them."""
    again = replace(budget)
    storages = Storages(None)
    known = {**tensor_names(budget), **names(budget)}
    reader = PickleReader(data, known, budget, storages, len(LEGACY_START))
    protocol, system = reader.read(), reader.read()
    if protocol != _PROTOCOL or not isinstance(system, dict):
        raise CheckpointError("it is of another version of the older form of PyTorch")
    if system.get("little_endian") is not True:
        raise CheckpointError("its byte order is not little-endian, expected little-endian")
    start = reader.position
    reader.read()
    values = _legacy_values(data, reader, storages)
    known = {**tensor_names(again), **names(again)}
    return PickleReader(data, known, again, Storages(values), start).read()


def _legacy_values(
    data: memoryview, reader: PickleReader, storages: "Storages"
) -> dict[str, memoryview]:
    """The bytes of each storage, which the list of their keys is followed by."""
    keys = reader.read()
    named = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not named or sorted(keys) != sorted(storages.found):
        raise CheckpointError("it does not hold the values of all of its tensors")
    values: dict[str, memoryview] = {}
    position = reader.position
    for key in keys:
        storage = storages.found[key]
        count = int.from_bytes(data[position : position + _COUNT_BYTES], "little")
        start = position + _COUNT_BYTES
        position = start + storage.count * storage.dtype.itemsize
        if count != storage.count or position > len(data):
            raise CheckpointError("it ends early, or holds more or fewer values than it says")
        values[key] = data[start:position]
    if position != len(data):
        raise CheckpointError("it goes on after its end")
    return values


class Storages:
    """Answers the persistent ids of `torch.save`, each a storage; keeps them by their keys.

    Args:
        values: the bytes that storages are held to; None as long as they are not known.
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
        if view and view != [None]:
            raise CheckpointError("it has a storage that is part of another; save it anew")
        known = self.found.get(key)
        if known is None:
            known = Storage(key, storage_type.dtype, count, self._made(key, storage_type, count))
            self.found[key] = known
        if (known.dtype, known.count) != (storage_type.dtype, count):
            raise CheckpointError(f"its storage {key[:100]!r} has two sizes, or none")
        return known

    def _made(self, key: str, kind: StorageType, count: int) -> Tensor:
        if not 0 <= count < _LARGEST:
            raise CheckpointError(f"its storage {key[:100]!r} has two sizes, or none")
        if self._values is None:
            return torch.empty(count, dtype=kind.dtype, device="meta")
        values = self._values.get(key)
        if values is None or len(values) != count * kind.dtype.itemsize:
            raise CheckpointError(f"its storage {key[:100]!r} is not in it, or of another size")
        if not count:
            return torch.empty(0, dtype=kind.dtype)
        if values.readonly:  # PyTorch has no tensors that cannot be written to
            values = memoryview(bytearray(values))
        flat = torch.frombuffer(values, dtype=torch.uint8)
        if flat.data_ptr() % kind.dtype.itemsize:
            flat = flat.clone()
        return flat.view(kind.dtype)
