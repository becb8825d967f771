"""NVIDIA's networks as their files hold them: parts within parts, each with its tensors.

Each part of a network is pickled with the source code of its class and what it was made with. The
code is text that is dropped, and nothing is made but the parts of this module. `torch.save` of a
network, as pivotal tuning (PTI) keeps its generators, and NVIDIA's own pickles have the same parts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cfclip.errors import CheckpointError
from cfclip.foreign.pickle_values import Budget, Function, Table
from cfclip.generators.stylegan2 import MAPPING_LR_MULTIPLIER

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


@dataclass(frozen=True)
class NetworkState:
    """What a generator is built of."""

    tensors: Mapping[str, Any]
    """By their names in a state dict; what stands for a tensor is as the file was read."""
    lr_multiplier: float
    """The learning-rate multiplier of the mapping network, which no tensor tells."""


def network_names(budget: Budget) -> dict[str, Any]:
    """What the names stand for that networks are made of in pickles."""
    return {
        "torch_utils.persistence._reconstruct_persistent_obj": Function(_network),
        "dnnlib.util.EasyDict": Function(Table),
        "dnnlib.tflib.network.Network": Function(_refuse_tensorflow),
    }


def state_of_network(network: Network) -> NetworkState:
    """The tensors of a generator. Raises `CheckpointError` that says what "it" does."""
    modules = dict(_modules(network))
    return NetworkState(_tensors(modules), _check_arguments(modules))


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
