"""Pickles read as data: plain values are built, and nothing that a pickle names is ever imported.

Python's own unpickler imports and calls what it is told to. This reader looks names up in a table
of the caller, whose functions are the only ones that can be called; what is not in the table, and
every opcode that such files do not need, is refused by name. Nothing is allocated that the file
does not have the bytes for.

Source of the opcodes: the standard library's `pickletools`.
"""

import pickletools
from collections.abc import Callable, Mapping
from functools import partial
from struct import unpack
from typing import Any

from cfclip.errors import CheckpointError
from cfclip.foreign.pickle_values import (
    MAX_NESTING,
    Budget,
    Function,
    check_key,
    check_nesting,
    kind_of,
    plain_set,
    too_deep,
)

_MAX_NAME = 255
_SHOWN = 100
_OPCODES = {ord(each.code): each.name for each in pickletools.opcodes}
_NEW: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_SET": set,
    "EMPTY_DICT": dict,
}
_TEXTS = {"SHORT_BINUNICODE": 1, "BINUNICODE": 4, "BINUNICODE8": 8, "SHORT_BINSTRING": 1}
_BYTES = {"SHORT_BINBYTES": 1, "BINBYTES": 4, "BINBYTES8": 8}
"""Opcodes to the bytes of the length that they begin with. `SHORT_BINSTRING` is Python 2's text."""
_STOP = next(code for code, name in _OPCODES.items() if name == "STOP")


class PickleReader:
    """Reads the pickles that stand one after the other in `data`.

    Args:
        data: the file, as bytes without a copy. Byte strings in the result are views of it.
        names: "module.name" to a `Function`, or to a value that stands for itself. An object that
            has a method `set_state` may be given attributes; it decides what it does with them.
        budget: what reading may take.
        persistent: makes an object of a persistent id; None refuses them.
        position: where the first pickle starts; then where the next does.
    """

    def __init__(
        self,
        data: memoryview,
        names: Mapping[str, Any],
        budget: Budget,
        persistent: Callable[[Any], Any] | None = None,
        position: int = 0,
    ) -> None:
        self.position = position
        self._data = data
        self._names = names
        self._budget = budget
        self._persistent = persistent
        self._steps = {
            code: step for code, name in _OPCODES.items() if (step := self._step(name)) is not None
        }

    def read(self) -> Any:
        """The value of the next pickle. Raises `CheckpointError` that says what "it" does."""
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        while True:
            code = self._take(1)[0]
            if code == _STOP:
                value = self._stack.pop()
                check_nesting(value)
                return value
            self._budget.take("opcodes")
            step = self._steps.get(code)
            if step is None:
                name = _OPCODES.get(code, f"0x{code:02x}")
                raise CheckpointError(f"it uses the pickle opcode {name}, which is refused")
            step()

    def read_last(self) -> Any:
        """As `read`, of a pickle that the data end with."""
        value = self.read()
        if self.position != len(self._data):
            raise CheckpointError("it goes on after its end")
        return value

    def _step(self, name: str) -> Callable[[], None] | None:
        """What an opcode does; None if it is refused."""
        if name in _NEW:
            return lambda: self._stack.append(_NEW[name]())
        if name in _TEXTS:
            return partial(self._push_text, _TEXTS[name])
        if name in _BYTES:
            return partial(self._push_bytes, _BYTES[name])
        step: Callable[[], None] | None = getattr(self, f"_{name.lower()}", None)
        return step

    def _take(self, count: int) -> memoryview:
        end = self.position + count
        if end > len(self._data):
            raise CheckpointError("it ends early")
        part = self._data[self.position : end]
        self.position = end
        return part

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little")

    def _line(self) -> str:
        part = bytes(self._data[self.position : self.position + _MAX_NAME + 1])
        length = part.find(b"\n")
        if length < 0:
            raise CheckpointError("it asks for a name that is too long, or ends early")
        self.position += length + 1
        return part[:length].decode()

    def _down_to_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._below.pop()
        return items

    # Framing, and what is remembered

    def _proto(self) -> None:
        self._take(1)

    def _frame(self) -> None:
        self._take(8)

    def _binput(self) -> None:
        self._memo[self._number(1)] = self._stack[-1]

    def _long_binput(self) -> None:
        self._memo[self._number(4)] = self._stack[-1]

    def _memoize(self) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _binget(self) -> None:
        self._stack.append(self._memo[self._number(1)])

    def _long_binget(self) -> None:
        self._stack.append(self._memo[self._number(4)])

    def _mark(self) -> None:
        if len(self._below) >= MAX_NESTING:
            raise too_deep()
        self._below.append(self._stack)
        self._stack = []

    # Plain values

    def _binint(self) -> None:
        self._stack.append(int.from_bytes(self._take(4), "little", signed=True))

    def _binint1(self) -> None:
        self._stack.append(self._number(1))

    def _binint2(self) -> None:
        self._stack.append(self._number(2))

    def _long1(self) -> None:
        self._stack.append(int.from_bytes(self._take(self._number(1)), "little", signed=True))

    def _binfloat(self) -> None:
        self._stack.append(unpack(">d", self._take(8))[0])

    def _push_text(self, length_bytes: int) -> None:
        size = self._number(length_bytes)
        part = self._take(size)
        self._budget.take("text_bytes", size)
        self._stack.append(str(part, "utf-8", "surrogatepass"))

    def _push_bytes(self, length_bytes: int) -> None:
        self._stack.append(self._take(self._number(length_bytes)))

    # Containers

    def _tuple(self) -> None:
        items = self._down_to_mark()
        self._stack.append(tuple(items))

    def _tuple1(self) -> None:
        self._stack[-1:] = [(self._stack[-1],)]

    def _tuple2(self) -> None:
        self._stack[-2:] = [(self._stack[-2], self._stack[-1])]

    def _tuple3(self) -> None:
        self._stack[-3:] = [(self._stack[-3], self._stack[-2], self._stack[-1])]

    def _append(self) -> None:
        self._extend([self._stack.pop()])

    def _appends(self) -> None:
        self._extend(self._down_to_mark())

    def _extend(self, items: list[Any]) -> None:
        if type(self._stack[-1]) is not list:
            raise CheckpointError(f"it appends to {kind_of(self._stack[-1])}")
        self._stack[-1].extend(items)

    def _additems(self) -> None:
        items = self._down_to_mark()
        if type(self._stack[-1]) is not set:
            raise CheckpointError(f"it adds to {kind_of(self._stack[-1])}")
        self._stack[-1] |= plain_set(items)

    def _frozenset(self) -> None:
        items = self._down_to_mark()
        self._stack.append(plain_set(items))

    def _setitem(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._update([key, value])

    def _setitems(self) -> None:
        self._update(self._down_to_mark())

    def _update(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], dict):
            raise CheckpointError(f"it sets an item of {kind_of(self._stack[-1])}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            check_key(key)
            self._stack[-1][key] = value

    # Names, and what is made by them

    def _global(self) -> None:
        module, name = self._line(), self._line()
        self._look_up(module, name)

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._look_up(module, name)

    def _look_up(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise CheckpointError("it asks for something whose name is no text")
        if max(len(module), len(name)) > _MAX_NAME:
            raise CheckpointError("it asks for a name that is too long")
        full = f"{module}.{name}"
        if full not in self._names:
            raise CheckpointError(
                f"it asks for {full[:_SHOWN]!r}, which is not on the list of what weights need"
            )
        self._stack.append(self._names[full])

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not isinstance(function, Function) or not isinstance(arguments, tuple):
            raise CheckpointError(f"it calls {kind_of(function)}")
        for argument in arguments:
            self._count(argument)
        self._stack.append(function.make(*arguments))

    _newobj = _reduce  # a class and its arguments

    def _build(self) -> None:
        state, value = self._stack.pop(), self._stack[-1]
        set_state = getattr(value, "set_state", None)
        if set_state is None:
            raise CheckpointError(f"it sets attributes of {kind_of(value)}")
        self._count(state)
        set_state(state)

    def _count(self, value: Any) -> None:
        """Let going through a container cost as much as making it did: it may be given again."""
        if isinstance(value, dict | list | tuple | set | frozenset):
            self._budget.take("opcodes", len(value))

    def _binpersid(self) -> None:
        if self._persistent is None:
            raise CheckpointError("it asks for persistent objects, which it cannot have")
        self._stack.append(self._persistent(self._stack.pop()))
