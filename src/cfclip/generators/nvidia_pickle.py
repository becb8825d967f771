"""NVIDIA's `.pkl` files, read without importing or running anything that they carry.

The names that the file asks for mean functions of `cfclip`, and those that are not listed are
refused. Of the networks in a file only `G_ema` is rebuilt, or the one that the file is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from cfclip.errors import CheckpointError, reason_of
from cfclip.foreign.pickle_names import plain_names
from cfclip.foreign.pickle_values import Budget, Function
from cfclip.foreign.pickles import PickleReader
from cfclip.foreign.state_dicts import state_dict_of
from cfclip.foreign.torch_files import map_file
from cfclip.foreign.torch_layout import Storage, check_view, read_torch_data
from cfclip.generators.nvidia import from_nvidia
from cfclip.generators.nvidia_network import GENERATOR, Network, network_names, state_of_network
from cfclip.generators.stylegan2 import StyleGAN2


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
    network = content.get(GENERATOR) if isinstance(content, dict) else content
    if not isinstance(network, Network):
        raise CheckpointError(f"it has no {GENERATOR}")
    found = state_of_network(network)
    tensors = _read_tensors(found.tensors, len(data), budget)
    return state_dict_of(tensors, "its generator"), found.lr_multiplier


def _names(budget: Budget) -> dict[str, Any]:
    def tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> _Tensor:
        budget.take("tensors")
        if not isinstance(storage, _Storage) or any(rest[1:]):  # the first: requires_grad
            raise CheckpointError("it has a tensor with hooks, or of something else than values")
        return _Tensor(storage, offset, size, stride)

    def parameter(data: Any, requires_grad: Any = True, hooks: Any = None) -> _Tensor:
        if not isinstance(data, _Tensor) or hooks:
            raise CheckpointError("it has a parameter with hooks, or that is no tensor")
        return data

    return {
        **plain_names(budget),
        **network_names(budget),
        "torch._utils._rebuild_tensor_v2": Function(tensor),
        "torch._utils._rebuild_parameter": Function(parameter),
        "torch.storage._load_from_bytes": Function(_Storage),
    }


def _read_tensors(
    described: Mapping[str, Any], file_size: int, budget: Budget
) -> dict[str, Tensor]:
    if not all(isinstance(value, _Tensor) for value in described.values()):
        raise CheckpointError("its generator has a parameter that is no tensor")
    storages = {id(value.storage): value.storage for value in described.values()}
    if sum(len(storage.data) for storage in storages.values()) > file_size:
        raise CheckpointError("its tensors are larger than the file")
    read = {key: _values(storage.data, budget) for key, storage in storages.items()}
    return {name: _view(read[id(value.storage)], value) for name, value in described.items()}


def _values(data: memoryview, budget: Budget) -> Tensor:
    storage = read_torch_data(data, budget)
    if not isinstance(storage, Storage):
        raise CheckpointError(f"it has a {type(storage).__name__} in the place of values")
    return storage.values


def _view(values: Tensor, described: _Tensor) -> Tensor:
    check_view(values.numel(), described.offset, described.size, described.stride)
    return values.as_strided(described.size, described.stride, described.offset)
