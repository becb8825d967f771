"""Floating point operations: how many a piece of work needs, how many a machine does in a second.

A multiplication with an addition is two. Matrix products, convolutions and attention count, the
passes over pixels between them do not: time cannot fall below what these operations take.
"""

import time
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from cfclip.settings import Precision
from cfclip.tensors import seeded

_FEWEST_RUNS, _SECONDS = 3, 0.5
"""How often the rate of a machine is measured, and how long at least."""
_MATRIX_SIDE = {"cpu": 2048, "cuda": 8192}
_CONV_BATCH = {"cpu": 1, "cuda": 32}
_CONV_CHANNELS, _CONV_SIDE, _KERNEL = 512, 64, 3
"""A convolution of config-f at 64 px, of which a GPU takes several at once."""


class OperationCounter(TorchDispatchMode):
    """Counts what runs within a `with` block, forward and backward, by torch's formulas.

    `FlopCounterMode`, which has these too, follows modules besides, and fails where gradients are
    off for a part of a step. It knows no attention on a processor.

    Attributes:
        operations: so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0
        aten = torch.ops.aten
        self._formulas = {
            **flop_registry,
            aten._scaled_dot_product_flash_attention_for_cpu: _attention,
            aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
        }

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation, and count it."""
        result = func(*args, **(kwargs or {}))
        if (formula := self._formulas.get(func.overloadpacket)) is not None:
            self.operations += int(formula(*args, **(kwargs or {}), out_val=result))
        return result


def machine_rate(device: torch.device, precision: Precision) -> float:
    """Operations a second in a matrix product or 3x3 convolution, whichever does more.

    The best of a few: other work slows single ones.
    """
    dtype, draw = getattr(torch, precision), seeded(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw).to(device, dtype)

    side, batch = _MATRIX_SIDE[device.type], _CONV_BATCH[device.type]
    left, right = drawn(side, side), drawn(side, side)
    features, weight = (
        each.contiguous(memory_format=torch.channels_last)
        for each in (
            drawn(batch, _CONV_CHANNELS, _CONV_SIDE, _CONV_SIDE),
            drawn(_CONV_CHANNELS, _CONV_CHANNELS, _KERNEL, _KERNEL),
        )
    )
    best = 0.0
    for work in (
        lambda: left @ right,
        lambda: functional.conv2d(features, weight, padding=_KERNEL // 2),
    ):
        with OperationCounter() as counter:  # also the first run, which is slower
            work()
        seconds = list[float]()
        while len(seconds) < _FEWEST_RUNS or sum(seconds) < _SECONDS:
            wait_for(device)
            began = time.perf_counter()
            work()
            wait_for(device)
            seconds.append(time.perf_counter() - began)
        best = max(best, counter.operations / min(seconds))
    return best


def wait_for(device: torch.device) -> None:
    """Until the device has done what it was given; a processor has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _attention(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    """Of `(batch, heads, tokens, width)`: scores, and what they mix."""
    return 2 * query[..., 0].numel() * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def _attention_backward(
    gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any
) -> int:
    """The scores anew, their gradient, and those of the three: five products."""
    del gradient
    widths = 3 * query.shape[-1] + 2 * value.shape[-1]
    return 2 * query[..., 0].numel() * key.shape[-2] * widths
