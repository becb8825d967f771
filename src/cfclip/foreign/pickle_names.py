"""What names in pickles stand for that are no tensors: NumPy's numbers, paths and options, as data.

Checkpoints keep beside their weights what they were trained with. None of it is made by the library
that it is of: a path becomes its text, a number of NumPy one of Python, an object its attributes.
"""

import struct
from collections.abc import Callable
from math import prod
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from cfclip.errors import CheckpointError
from cfclip.foreign.pickle_values import Budget, Function, Table, plain_set

_NUMBERS = {
    **{f"u{size}": kind for size, kind in ((1, "B"), (2, "H"), (4, "I"), (8, "Q"))},
    **{f"i{size}": kind for size, kind in ((1, "b"), (2, "h"), (4, "i"), (8, "q"))},
    **{"b1": "?", "f2": "e", "f4": "f", "f8": "d"},
}
"""NumPy's names of types to those of `struct`."""
_TEXT = "U"
_TYPE_NAMES = ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool_")
_MAX_AXES = 8


class Attributes(dict[str, Any]):
    """Stands for an object that only keeps what it is given, such as a command line's options."""

    def __init__(self) -> None:
        super().__init__()

    def set_state(self, state: Any) -> None:
        """Attributes, whatever they are."""
        if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
            raise CheckpointError("it sets attributes by something else than their names")
        self.update(state)


class NumberType:
    """A type of NumPy's."""

    def __init__(self, code: Any, *_: Any) -> None:
        known = isinstance(code, str) and (code in _NUMBERS or code[1:].isdigit())
        if not known or (code not in _NUMBERS and code[0] != _TEXT):
            raise CheckpointError("it has numbers of a type that no model has")
        self.code = code

    def set_state(self, state: Any) -> None:
        """The order of bytes, which has to be ours."""
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", "|", "="):
            raise CheckpointError("it has numbers that are not little-endian")


class Array:
    """An array of NumPy's; `values` are its numbers, None as long as it was not given any."""

    def __init__(self) -> None:
        self.values: np.ndarray[Any, Any] | None = None

    def set_state(self, state: Any) -> None:
        """Shape, type, order and bytes, which have to fit each other."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise CheckpointError("it has an array of an unknown form")
        _, shape, kind, by_columns, data = state
        sides = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
        if not sides or len(shape) > _MAX_AXES or not isinstance(kind, NumberType):
            raise CheckpointError("it has an array of an unknown form")
        numbers = kind.code in _NUMBERS and isinstance(data, bytes | memoryview)
        if not numbers or prod(shape) * np.dtype(kind.code).itemsize != len(data):
            raise CheckpointError("it has an array whose numbers are not all there")
        flat = np.frombuffer(data, f"<{kind.code}")
        self.values = flat.reshape(shape, order="F" if by_columns else "C")


def plain_names(budget: Budget) -> dict[str, Any]:
    """What those names stand for; `budget` is what reading the file may take."""

    def encoded(text: Any, encoding: Any) -> bytes:
        """How bytes are written where pickles have none."""
        if not isinstance(text, str) or encoding != "latin1":
            raise CheckpointError("it encodes something else than bytes")
        budget.take("text_bytes", len(text))
        return text.encode("latin1")

    def path(kind: Callable[..., PurePosixPath | PureWindowsPath]) -> Function:
        def joined(*parts: Any) -> str:
            if not all(isinstance(part, str) for part in parts):
                raise CheckpointError("it has a path that is none")
            budget.take("text_bytes", sum(map(len, parts)))
            return str(kind(*parts))

        return Function(joined)

    return {
        "argparse.Namespace": Function(Attributes),
        "collections.OrderedDict": Function(Table),
        "_codecs.encode": Function(encoded),
        "numpy.dtype": Function(NumberType),
        "numpy.ndarray": "numpy.ndarray",
        **{f"numpy.{name}": name for name in _TYPE_NAMES},
        **{
            f"numpy.{core}.multiarray.{name}": Function(make)
            for core in ("core", "_core")
            for name, make in (("scalar", _scalar), ("_reconstruct", _empty_array))
        },
        **{
            f"{module}.{kind}Path": path(PureWindowsPath if "Windows" in kind else PurePosixPath)
            for module in ("pathlib", "pathlib._local")
            for kind in ("Posix", "PurePosix", "Windows", "PureWindows")
        },
        **{f"{builtins}.set": Function(plain_set) for builtins in ("builtins", "__builtin__")},
        **{f"{builtins}.bytes": Function(bytes_of) for builtins in ("builtins", "__builtin__")},
    }


def bytes_of() -> bytes:
    """No bytes, which pickles write as a call."""
    return b""


def _scalar(kind: Any, data: Any) -> Any:
    if not isinstance(kind, NumberType) or not isinstance(data, bytes | memoryview):
        raise CheckpointError("it has a number of NumPy's that is none")
    if kind.code not in _NUMBERS:
        return bytes(data).decode("utf-32-le").rstrip("\0")
    return struct.unpack("<" + _NUMBERS[kind.code], data)[0]


def _empty_array(*_: Any) -> Array:
    return Array()
