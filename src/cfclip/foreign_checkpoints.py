"""What other programs save, once it is read: state dicts and options, held to what they can be."""

from collections.abc import Mapping

import torch
from torch import Tensor

from cfclip.errors import CheckpointError
from cfclip.weights import shown_name

_MOST_SHARED = 2
"""Times that a value is used on average: some programs save weights which two parts share."""


def state_dict_of(value: object, source: str) -> dict[str, Tensor]:
    """`value`, read from another program's file, as a state dict of dense tensors.

    Raises `CheckpointError` that starts with `source` unless it maps names to dense tensors, each
    with memory of its own for every value: one that repeats its memory, or many that share it,
    could claim any size.
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
    return dict(value)


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

    They are a dictionary or the namespace of a command line. Raises `CheckpointError` that starts
    with `source` when they are anything else.
    """
    options = checkpoint.get("opts", {})
    options = options if isinstance(options, Mapping) else getattr(options, "__dict__", None)
    if not isinstance(options, Mapping):
        raise CheckpointError(f"{source}: opts is not a dictionary; save it as one")
    return options
