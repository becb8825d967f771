"""What other programs save, once it is read: state dicts and options, held to what they can be."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from cfclip.errors import CheckpointError, shown_name
from cfclip.io import unwrapped

Value = TypeVar("Value")

_MOST_SHARED = 2
"""Times that a value is used on average: some programs save weights which two parts share."""

_NETWORKS = (
    *("g_ema", "G_ema", "params_ema", "generator_ema", "model_ema", "ema"),
    *("generator", "state_dict", "model_state_dict", "model", "params", "net"),
)
"""Under which keys programs save the state dict of a network, averaged weights first."""
_DEEPEST = 3


def networks_in(content: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What may be the state dict in a checkpoint, the likeliest first, itself at last."""
    yield from _networks(content, _DEEPEST)


def _networks(content: Mapping[str, Any], levels: int) -> Iterator[Mapping[str, Any]]:
    for name in _NETWORKS:
        inside = content.get(name)
        if isinstance(inside, Mapping) and levels:
            yield from _networks(inside, levels - 1)
    yield content


def network_of(content: Mapping[str, Any], source: str) -> dict[str, Tensor]:
    """The state dict of a checkpoint, which may be all of it; otherwise as `state_dict_of`."""
    return state_dict_of(next(networks_in(content)), source)


def value_in(content: Mapping[str, Any], name: str) -> Any:
    """What a checkpoint keeps by this name, beside its state dict or in it; None if nothing."""
    found = (part_of(each, "").get(name) for each in networks_in(content))
    return next((each for each in found if each is not None), None)


def part_of(state: Mapping[Any, Value], prefix: str) -> dict[str, Value]:
    """What a state dict holds of the part with this prefix, by the part's own names."""
    named = unwrapped({name: value for name, value in state.items() if isinstance(name, str)})
    inside = {name: value for name, value in named.items() if name.startswith(prefix)}
    return unwrapped({name.removeprefix(prefix): value for name, value in inside.items()})


def state_dict_of(value: object, source: str) -> dict[str, Tensor]:
    """`value`, read from another program's file, as a state dict of dense tensors.

    The names are those of `unwrapped`. Raises `CheckpointError` that starts with `source` unless it
    maps names to dense tensors, each with memory of its own for every value: one that repeats its
    memory, or many that share it, could claim any size.
    """
    if not isinstance(value, Mapping) or not value:
        found = type(value).__name__ if value is not None else "nothing"
        raise CheckpointError(f"{source} has no state dict: found {found}; give a checkpoint")
    for name, tensor in value.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise CheckpointError(
                f"{source}: {shown_name(repr(name))} is a {type(tensor).__name__}, expected a "
                "tensor; give a file that holds a state dict"
            )
        dense = tensor.layout == torch.strided and not (tensor.is_quantized or tensor.is_meta)
        if not dense or tensor.is_complex():
            raise CheckpointError(
                f"{source}: tensor {shown_name(name)} is {tensor.dtype} and {tensor.layout}, "
                "expected dense real numbers; save it as such"
            )
        if not tensor.numel() and tensor.ndim > 1:
            raise CheckpointError(
                f"{source}: tensor {shown_name(name)} of shape {tuple(tensor.shape)} is empty; get "
                "the file again"
            )
        if tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
            raise CheckpointError(
                f"{source}: tensor {shown_name(name)} of shape {tuple(tensor.shape)} repeats its "
                "memory; save it contiguous"
            )
    _check_shared(value, source)
    return unwrapped(value)


def _check_shared(tensors: Mapping[str, Tensor], source: str) -> None:
    """Refuse tensors that are together much larger than what they are stored in."""
    memory = {
        each.untyped_storage().data_ptr(): each.untyped_storage() for each in tensors.values()
    }
    stored = sum(storage.nbytes() for storage in memory.values())
    claimed = sum(each.numel() * each.element_size() for each in tensors.values())
    if claimed > _MOST_SHARED * stored:
        raise CheckpointError(
            f"{source}: its tensors of {claimed} bytes share {stored} bytes of memory; save a copy "
            "of each"
        )


def options_of(checkpoint: Mapping[str, object], source: str) -> Mapping[str, object]:
    """What another program's checkpoint says it was trained with, its `opts`; empty without them.

    They are a dictionary, or a namespace, which is read as one. Raises `CheckpointError` that
    starts with `source` when they are anything else.
    """
    options = checkpoint.get("opts", {})
    if not isinstance(options, Mapping):
        raise CheckpointError(f"{source}: opts is not a dictionary; save it as one")
    return options
