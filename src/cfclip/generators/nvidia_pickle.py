"""NVIDIA's `.pkl` files, read without importing or running anything that they carry.

Each part of a network is pickled with the source code of its class and what it was made with. The
code is text that is dropped; the names that the file asks for mean functions of this module, and
those that are not listed here are refused. Of the networks in a file only `G_ema` is rebuilt.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cfclip.errors import CheckpointError, reason_of
from cfclip.foreign_checkpoints import state_dict_of
from cfclip.generators.nvidia import from_nvidia
from cfclip.generators.stylegan2 import MAPPING_LR_MULTIPLIER, StyleGAN2
from cfclip.pickle_values import Budget, Function, Table, plain_set
from cfclip.pickles import PickleReader
from cfclip.torch_files import map_file, read_torch_bytes
from cfclip.torch_layout import check_view

_GENERATOR = "G_ema"
_MAX_MODULES = 1_000
_MAX_TENSORS = 2_000
_MAX_NAME = 100
_MAX_DEPTH = 20
_KNOWN_ARGUMENTS = {"activation": "lrelu", "architecture": "skip", "use_noise": True}
"""What a generator is made with that its tensors do not tell; with other values it is refused."""
_LR_MULTIPLIER = "lr_multiplier"
_STYLEGAN3 = "synthesis.input."
_NUMBERS = {"b1": "?", "i1": "b", "u1": "B", "i4": "i", "i8": "q", "f2": "e", "f4": "f", "f8": "d"}
"""NumPy's names of types to those of `struct`."""


@dataclass(frozen=True)
class _Module:
    """One part of a network."""

    attributes: Mapping[Any, Any]


@dataclass(frozen=True)
class _Storage:
    """Values as `torch.save` wrote them, not yet read."""

    data: memoryview


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _NumberType:
    """A NumPy type."""

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str) or code not in _NUMBERS:
            raise CheckpointError("it has numbers of a type that no generator has")
        self.code = code

    def set_state(self, state: Any) -> None:
        if not isinstance(state, tuple) or state[1] not in ("<", "|", "="):
            raise CheckpointError("it has numbers that are not little-endian")


class _Array:
    """A NumPy array, which no generator needs."""

    def __init__(self, *_: Any) -> None:
        pass

    def set_state(self, state: Any) -> None:
        """Its values are dropped."""


def read_nvidia_pickle(path: str | Path) -> StyleGAN2:
    """The generator (`G_ema`) of an NVIDIA StyleGAN2(-ADA) pickle in PyTorch form.

    Nothing in the file is imported or run. Raises `CheckpointError` when the file is missing,
    damaged, larger than any model, asks for a name that is not on the list (it is named), or is no
    StyleGAN2; of a StyleGAN3 or a pickle of TensorFlow it says what to do.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no generator file at {path}")
    try:
        state, multiplier = _read(map_file(path))
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise CheckpointError(
            f"{path} is not a pickle of NVIDIA's StyleGAN2 in PyTorch form (nothing in it was "
            f"run); get the file again, or give another: {reason_of(error)}"
        ) from error
    try:
        return from_nvidia(state, multiplier)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _read(data: memoryview) -> tuple[dict[str, Tensor], float]:
    """The state dict of the generator in a file, and what its tensors do not tell."""
    budget = Budget()
    content = PickleReader(data, _names(budget), budget).read_last()
    network = content.get(_GENERATOR) if isinstance(content, dict) else None
    if not isinstance(network, _Module):
        raise CheckpointError(f"it has no {_GENERATOR}")
    modules = dict(_modules(network))
    multiplier = _check_arguments(modules)
    return state_dict_of(_state(modules, len(data), budget), f"its {_GENERATOR}"), multiplier


def _names(budget: Budget) -> dict[str, Any]:
    def module(meta: Any) -> _Module:
        state = meta.get("state") if isinstance(meta, dict) else None
        if not isinstance(state, dict):
            raise CheckpointError("it has a part of a network without a state")
        return _Module(state)  # not a copy: the same state may be given again and again

    def tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> _Tensor:
        budget.take("tensors")
        if not isinstance(storage, _Storage) or any(rest[1:]):  # the first: requires_grad
            raise CheckpointError("it has a tensor with hooks, or of something else than values")
        return _Tensor(storage, offset, size, stride)

    def parameter(data: Any, requires_grad: Any = True, hooks: Any = None) -> _Tensor:
        if not isinstance(data, _Tensor) or hooks:
            raise CheckpointError("it has a parameter with hooks, or that is no tensor")
        return data

    def number(kind: Any, data: Any) -> Any:
        return struct.unpack("<" + _NUMBERS[kind.code], data)[0]

    def array(*_: Any) -> _Array:
        return _Array()

    return {
        "torch_utils.persistence._reconstruct_persistent_obj": Function(module),
        "dnnlib.util.EasyDict": Function(Table),
        "collections.OrderedDict": Function(Table),
        "builtins.set": Function(plain_set),
        "torch._utils._rebuild_tensor_v2": Function(tensor),
        "torch._utils._rebuild_parameter": Function(parameter),
        "torch.storage._load_from_bytes": Function(_Storage),
        "numpy.dtype": Function(_NumberType),
        "numpy.ndarray": "numpy.ndarray",
        "dnnlib.tflib.network.Network": Function(_refuse_tensorflow),
        **{
            f"numpy.{core}.multiarray.{name}": Function(make)
            for core in ("core", "_core")
            for name, make in (("scalar", number), ("_reconstruct", array))
        },
    }


def _refuse_tensorflow(*_: Any) -> None:
    raise CheckpointError(
        "it is of the TensorFlow era; convert it with legacy.py of NVIDIA's stylegan2-ada-pytorch "
        "first"
    )


def _modules(network: _Module) -> Iterator[tuple[str, _Module]]:
    """The parts of a network with their prefixes, such as "synthesis.b4."."""
    waiting, count = [("", network, 0)], 1
    while waiting:
        prefix, module, depth = waiting.pop()
        yield prefix, module
        for name, child in _group(module, "_modules"):
            if not isinstance(child, _Module):
                raise CheckpointError(f"its part {prefix}{name} is none of a network")
            count += 1
            if count > _MAX_MODULES or depth == _MAX_DEPTH:
                raise CheckpointError(
                    f"its {_GENERATOR} has more than {_MAX_MODULES} parts, or {_MAX_DEPTH} levels"
                )
            waiting.append((f"{prefix}{name}.", child, depth + 1))


def _group(module: _Module, group: str) -> Iterator[tuple[str, Any]]:
    """The parameters, buffers or parts of a part, those that are there."""
    members = module.attributes.get(group)
    if not isinstance(members, dict):
        raise CheckpointError(f"a part of its {_GENERATOR} has no {group}")
    for name, value in members.items():
        if not isinstance(name, str) or len(name) > _MAX_NAME or "." in name:
            raise CheckpointError("it has a part or a tensor whose name is none")
        if value is not None:
            yield name, value


def _check_arguments(modules: Mapping[str, _Module]) -> float:
    """The learning-rate multiplier of the mapping network; refuses what is not supported."""
    mapping, synthesis = (_arguments(modules, prefix) for prefix in ("mapping.", "synthesis."))
    for found in (mapping, synthesis):
        for name, expected in _KNOWN_ARGUMENTS.items():
            if found.get(name, expected) != expected:
                value = found[name]
                shown = repr(value) if isinstance(value, str | bool) else type(value).__name__
                raise CheckpointError(
                    f"its generator has {name} {shown[:_MAX_NAME]}, only {expected!r} is supported"
                )
    multiplier = mapping.get(_LR_MULTIPLIER, MAPPING_LR_MULTIPLIER)
    if not isinstance(multiplier, float | int):
        raise CheckpointError(f"its {_LR_MULTIPLIER} is no number")
    return float(multiplier)


def _arguments(modules: Mapping[str, _Module], prefix: str) -> dict[Any, Any]:
    """What a part of the network was made with."""
    attributes = modules[prefix].attributes if prefix in modules else {}
    arguments = attributes.get("_init_kwargs", {})
    if not isinstance(arguments, dict):
        raise CheckpointError("it has arguments of a network that are none")
    return arguments


def _state(modules: Mapping[str, _Module], file_size: int, budget: Budget) -> dict[str, Tensor]:
    """The tensors of a network by their names in a state dict."""
    described: dict[str, Any] = {}
    for prefix, module in modules.items():
        for group in ("_parameters", "_buffers"):
            for name, value in _group(module, group):
                described[f"{prefix}{name}"] = value
                if len(described) > _MAX_TENSORS:
                    raise CheckpointError(f"its {_GENERATOR} has more than {_MAX_TENSORS} tensors")
    if any(name.startswith(_STYLEGAN3) for name in described):
        raise CheckpointError("it is a StyleGAN3, which cfclip does not know; give a StyleGAN2")
    if not all(isinstance(value, _Tensor) for value in described.values()):
        raise CheckpointError(f"its {_GENERATOR} has a parameter that is no tensor")
    storages = {id(value.storage): value.storage for value in described.values()}
    if sum(len(storage.data) for storage in storages.values()) > file_size:
        raise CheckpointError("its tensors are larger than the file")
    read = {key: _values(storage.data, budget) for key, storage in storages.items()}
    return {name: _view(read[id(value.storage)], value) for name, value in described.items()}


def _values(data: memoryview, budget: Budget) -> Tensor:
    storage = read_torch_bytes(data, budget)
    if not isinstance(storage, torch.storage.TypedStorage):
        raise CheckpointError(f"it has a {type(storage).__name__} in the place of values")
    return torch.tensor([], dtype=storage.dtype).set_(storage)


def _view(values: Tensor, described: _Tensor) -> Tensor:
    check_view(values.numel(), described.offset, described.size, described.stride)
    return values.as_strided(described.size, described.stride, described.offset)
