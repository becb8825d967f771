"""NVIDIA's networks as files hold them, read without importing or running anything they carry.

Each part of a network is pickled with its tensors, the source code of its class and what it was
made with. The code is text that is dropped, and nothing is made but the parts of this module; names
that are not listed are refused. `torch.save` of a network, as pivotal tuning (PTI) keeps its
generators, and NVIDIA's own `.pkl` files have the same parts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from cfclip.errors import CheckpointError, reason_of
from cfclip.foreign import (
    Budget,
    Function,
    PickleReader,
    Table,
    map_file,
    read_torch_data,
    state_dict_of,
    tensor_names,
)
from cfclip.generators.layouts import from_nvidia
from cfclip.generators.stylegan2 import MAPPING_LR_MULTIPLIER, StyleGAN2

GENERATOR = "G_ema"
"""What NVIDIA's files call the network that pictures are made with."""

_MAX_MODULES = 1_000
_MAX_TENSORS = 2_000
_MAX_NAME = 100
_MAX_DEPTH = 20
_KNOWN_ARGUMENTS = {"activation": "lrelu", "architecture": "skip", "use_noise": True}
"""What a generator is made with that its tensors do not tell; with other values it is refused."""
_LR_MULTIPLIER = "lr_multiplier"
_STYLEGAN3 = "synthesis.input."


@dataclass(frozen=True)
class Network:
    """One part of a network, or all of it."""

    attributes: Mapping[Any, Any]


def read_nvidia_pickle(path: str | Path) -> StyleGAN2:
    """The generator (`G_ema`) of an NVIDIA StyleGAN2(-ADA) pickle in PyTorch form.

    Nothing in the file is imported or run. Raises `CheckpointError` when the file is missing,
    damaged, larger than any model, asks for a name that is not on the list (it is named), or is no
    StyleGAN2; of a StyleGAN3 or a pickle of TensorFlow it says what to do.
    """
    path, budget = Path(path), Budget()
    if not path.is_file():
        raise CheckpointError(f"there is no generator file at {path}")
    try:
        names = {**tensor_names(budget), **network_names(budget), **_values_names(budget)}
        content = PickleReader(map_file(path, private=True), names, budget).read_last()
        network = content.get(GENERATOR) if isinstance(content, dict) else content
        if not isinstance(network, Network):
            raise CheckpointError(f"it has no {GENERATOR}")
        state, multiplier = state_of_network(network)
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


def _values_names(budget: Budget) -> dict[str, Any]:
    """What the name stands for by which a bare pickle has the values of a tensor: a file of
    `torch.save` within it, read once however often it is asked for."""
    known: dict[int, tuple[Any, Any]] = {}

    def values(data: Any) -> Any:
        if id(data) not in known:
            known[id(data)] = data, read_torch_data(data, budget)
        return known[id(data)][1]

    return {"torch.storage._load_from_bytes": Function(values)}


def network_names(budget: Budget) -> dict[str, Any]:
    """What the names stand for that networks are made of in pickles."""
    return {
        "torch_utils.persistence._reconstruct_persistent_obj": Function(_network),
        "dnnlib.util.EasyDict": Function(Table),
        "dnnlib.tflib.network.Network": Function(_refuse_tensorflow),
    }


def state_of_network(network: Network) -> tuple[dict[str, Tensor], float]:
    """The state dict of a generator, and the learning-rate multiplier of its mapping network, which
    no tensor tells. Raises `CheckpointError` that says what "it" does."""
    modules = dict(_modules(network))
    return state_dict_of(_tensors(modules), "its generator"), _check_arguments(modules)


def _network(meta: Any) -> Network:
    state = meta.get("state") if isinstance(meta, dict) else None
    if not isinstance(state, dict):
        raise CheckpointError("it has a part of a network without a state")
    return Network(state)  # not a copy: the same state may be given again and again


def _refuse_tensorflow(*_: Any) -> None:
    raise CheckpointError(
        "it is of the TensorFlow era; convert it with legacy.py of NVIDIA's stylegan2-ada-pytorch "
        "first"
    )


def _modules(network: Network) -> Iterator[tuple[str, Network]]:
    """The parts of a network with their prefixes, such as "synthesis.b4."."""
    waiting, count = [("", network, 0)], 1
    while waiting:
        prefix, module, depth = waiting.pop()
        yield prefix, module
        for name, child in _group(module, "_modules"):
            if not isinstance(child, Network):
                raise CheckpointError(f"its part {prefix}{name} is none of a network")
            count += 1
            if count > _MAX_MODULES or depth == _MAX_DEPTH:
                raise CheckpointError(
                    f"its generator has more than {_MAX_MODULES} parts, or {_MAX_DEPTH} levels"
                )
            waiting.append((f"{prefix}{name}.", child, depth + 1))


def _group(module: Network, group: str) -> Iterator[tuple[str, Any]]:
    """The parameters, buffers or parts of a part, those that are there."""
    members = module.attributes.get(group)
    if not isinstance(members, dict):
        raise CheckpointError(f"a part of its generator has no {group}")
    for name, value in members.items():
        if not isinstance(name, str) or len(name) > _MAX_NAME or "." in name:
            raise CheckpointError("it has a part or a tensor whose name is none")
        if value is not None:
            yield name, value


def _check_arguments(modules: Mapping[str, Network]) -> float:
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


def _arguments(modules: Mapping[str, Network], prefix: str) -> dict[Any, Any]:
    """What a part of the network was made with."""
    attributes = modules[prefix].attributes if prefix in modules else {}
    arguments = attributes.get("_init_kwargs", {})
    if not isinstance(arguments, dict):
        raise CheckpointError("it has arguments of a network that are none")
    return arguments


def _tensors(modules: Mapping[str, Network]) -> dict[str, Any]:
    """What a network has as parameters and buffers, by their names in a state dict."""
    found: dict[str, Any] = {}
    for prefix, module in modules.items():
        for group in ("_parameters", "_buffers"):
            for name, value in _group(module, group):
                found[f"{prefix}{name}"] = value
                if len(found) > _MAX_TENSORS:
                    raise CheckpointError(f"its generator has more than {_MAX_TENSORS} tensors")
    if any(name.startswith(_STYLEGAN3) for name in found):
        raise CheckpointError("it is a StyleGAN3, which cfclip does not know; give a StyleGAN2")
    return found
