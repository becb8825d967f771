"""What pickles that are read as data may hold, and how much of it."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from cfclip.errors import CheckpointError

MAX_NESTING = 100
"""Containers within containers. A generator's modules need about 20."""
_MAX_KEY = 1 << 60
"""Python hashes integers below this to themselves, so that many cannot be made to collide."""


@dataclass
class Budget:
    """What reading one file may take, counted down; shared by all pickles in the file."""

    opcodes: int = 400_000
    """Steps of reading, and items that functions are given. A generator with its discriminator
    needs about 100,000."""
    text_bytes: int = 32 << 20
    """Of strings, which are copied; NVIDIA's files carry source code of some 100 KB."""
    tensors: int = 10_000
    """An encoder, a generator and the state of an optimizer are about 5,000."""

    def __post_init__(self) -> None:
        self._limits = asdict(self)

    def take(self, what: str, amount: int = 1) -> None:
        """Count `amount` down from the field `what`. Raises `CheckpointError` below zero."""
        left = getattr(self, what) - amount
        if left < 0:
            limit, name = self._limits[what], what.replace("_", " ")
            raise CheckpointError(f"it has more than {limit} {name}, which no model needs")
        setattr(self, what, left)


@dataclass(frozen=True)
class Function:
    """What a name in a pickle stands for, if it may be called: `make` of the arguments."""

    make: Callable[..., Any]


class Table(dict[Any, Any]):
    """What `collections.OrderedDict` becomes."""

    def __init__(self, items: Iterable[Any] = ()) -> None:
        super().__init__()
        for key, value in items:
            check_key(key)
            self[key] = value

    def set_state(self, state: Any) -> None:
        """Attributes: of a state dict its `_metadata`, which is dropped; others are refused."""
        if not isinstance(state, dict) or set(state) - {"_metadata"}:
            raise CheckpointError("it sets attributes of a dictionary")


def check_key(key: Any) -> None:
    """Raise `CheckpointError` unless `key` is a name or a small integer.

    Hashing anything else may take for ever, such as tuples that hold one another twice.
    """
    if not (isinstance(key, str) or (isinstance(key, int) and abs(key) < _MAX_KEY)):
        raise CheckpointError(f"it has {kind_of(key)} as a key")


def plain_set(items: Iterable[Any] = ()) -> set[Any]:
    """A set of names and integers. Raises `CheckpointError` as `check_key` does."""
    items = list(items)
    for item in items:
        check_key(item)
    return set(items)


def check_nesting(value: Any) -> None:
    """Raise `CheckpointError` if containers are within containers for too many levels."""
    seen: set[int] = set()
    level = [value]
    for _ in range(MAX_NESTING + 1):
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict | list | tuple) and id(each) not in seen:
                seen.add(id(each))
                inner.extend(each.values() if isinstance(each, dict) else each)
        if not inner:
            return
        level = inner
    raise too_deep()


def too_deep() -> CheckpointError:
    """What to raise for too many levels."""
    return CheckpointError(f"it nests deeper than {MAX_NESTING} levels")


def kind_of(value: Any) -> str:
    """The type of a value, in an error."""
    return f"a {type(value).__name__}"
