"""Models made to hold tensors that were read, in no more memory than those account for.

A file may claim any sizes. A model is made within the room of the file's own tensors; where that
does not do, its shapes are found without memory, to tell what does not fit.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from cfclip.errors import CheckpointError, reason_of
from cfclip.io.weights import check_tensors

_MAKERS = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}
"""What models ask for memory by."""
_DRAWN = {torch.rand, torch.randn}
_DRAWING = {Tensor.normal_, Tensor.uniform_}
_SHARE = 2
"""Times the values of all tensors that the making of a model may ask for."""
_SPARE = 1 << 22
"""Values that it may ask for beside, such as those of a mask of attention."""

Model = TypeVar("Model", bound=nn.Module)
Shapes = Mapping[str, tuple[int, ...]]


def build_with(
    make: Callable[[], Model],
    tensors: Mapping[str, Tensor],
    source: str,
    fitting: Callable[[Shapes, Mapping[str, Tensor]], Mapping[str, Tensor]] | None = None,
) -> Model:
    """The model of `make`, with all of `tensors`.

    A file that claims sizes which its tensors do not have is refused before they are asked for. The
    random state stays as it is. Raises `CheckpointError` as `check_tensors` does.

    Args:
        make: gives the model, all of whose random values are in its state dict.
        tensors: by the names of the model.
        source: what an error starts with.
        fitting: gives those that shall be loaded, by the model's shapes and `tensors`; all, if not
            given.
    """

    def checked(shapes: Shapes) -> Mapping[str, Tensor]:
        fitted = tensors if fitting is None else fitting(shapes, tensors)
        check_tensors(shapes, fitted, source)
        return fitted

    try:
        with _countable(source), torch.random.fork_rng(devices=[]), _Within(_room(tensors)):
            model = make()
    except _NoRoom:
        checked(shapes_of(make, source))
        with torch.random.fork_rng(devices=[]):
            model = make()
    model.load_state_dict(dict(checked(_shapes(model))))
    return model


@contextmanager
def meta_device() -> Iterator[None]:
    """What is made in the block gets shapes, but no memory."""
    # Arithmetic on that device brings it in, and in PyTorch 2.6 it cannot be imported there.
    import torch._dynamo

    with torch.device("meta"):
        yield


def shapes_of(make: Callable[[], nn.Module], source: str) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of the model of `make`, which gets no memory.

    Takes a second the first time, which PyTorch's compiler takes to import. Raises
    `CheckpointError` that starts with `source` for sizes beyond what can be counted.
    """
    with _countable(source), meta_device():
        return _shapes(make())


def _shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


@contextmanager
def _countable(source: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, OverflowError, TypeError) as error:  # TypeError: beyond 64 bits
        raise CheckpointError(
            f"{source} asks for sizes that no model has: {reason_of(error)}"
        ) from error


def _room(tensors: Mapping[str, Tensor]) -> int:
    return _SHARE * sum(value.numel() for value in tensors.values()) + _SPARE


class _NoRoom(Exception):
    """More was asked for than there is room."""


class _Within(TorchFunctionMode):
    """What is made in the block has room for so many values; nothing is drawn at random in it."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        del types
        given = dict(kwargs or {})
        if func in _DRAWING:
            return args[0]
        if func in _MAKERS:
            if func in _DRAWN:  # to be replaced by what was read
                func = torch.empty
                given.pop("generator", None)
            self._room -= _values_asked_for(func, args, given)
            if self._room < 0:
                raise _NoRoom
        return func(*args, **given)


def _values_asked_for(
    maker: Callable[..., Tensor], args: tuple[Any, ...], given: Mapping[str, Any]
) -> int:
    return maker(*args, **{**given, "device": "meta"}).numel()
