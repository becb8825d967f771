"""Pickles as data: the same values as Python's own reader, and nothing else."""

import os
import pickle
from collections import OrderedDict
from typing import Any

import pytest

from cfclip.errors import CheckpointError
from cfclip.foreign import PickleReader
from cfclip.foreign.pickle_values import Budget, Function, Table, plain_set

NAMES: dict[str, Any] = {
    "collections.OrderedDict": Function(Table),
    "builtins.set": Function(plain_set),
    "builtins.frozenset": Function(plain_set),
    "__builtin__.set": Function(plain_set),
    "__builtin__.frozenset": Function(plain_set),
}


def read(data: bytes, **budget: int) -> Any:
    return PickleReader(memoryview(data), NAMES, Budget(**budget)).read()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    "value",
    [
        None,
        [True, False, 0, 255, 256, 65536, -1, 1 << 62, -(1 << 70), 2.5],
        {"a": (1,), "b": (1, 2), "c": (1, 2, 3), "d": (1, 2, 3, 4), "e": ()},
        ["text", "é" * 300, "\ud800"],
        OrderedDict(a=1, b=OrderedDict(c=[])),
        {1: {2, 3}, "x": frozenset({"y"})},
        [[index] for index in range(3000)],
        {str(index): index for index in range(3000)},
    ],
)
def test_plain_values_are_those_of_the_standard_reader(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    reader = PickleReader(memoryview(data + data), NAMES, Budget())
    for end in (len(data), 2 * len(data)):
        assert reader.read() == value
        assert reader.position == end


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_byte_strings_are_views(protocol: int) -> None:
    for value in (b"", b"x" * 300):
        found = read(pickle.dumps(value, protocol))
        assert isinstance(found, memoryview)
        assert found == value


def test_shared_values_stay_shared() -> None:
    inner = [1]
    first, second = read(pickle.dumps([inner, inner]))
    assert first is second


class Calls:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("function", [os.mkdir, eval, __import__, pickle.loads])
def test_names_that_are_not_listed_are_refused_by_name(protocol: int, function: Any) -> None:
    with pytest.raises(CheckpointError, match=rf"{function.__name__}', which is not on the list"):
        read(pickle.dumps({"a": Calls(function, "x")}, protocol))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends early"),
        (b"\x80\x04X\xff\xff\xff\x00ab.", "ends early"),
        (b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.", "ends early"),
        (b"cos\nsystem\n(Vtouch x\ntR.", r"'os\.system', which is not"),
        (b"(S'touch x'\nios\nsystem\n.", "pickle opcode STRING"),
        (b"(ios\nsystem\n.", "pickle opcode INST"),
        (b"\x80\x02\x82\x01.", "pickle opcode EXT1"),
        (b"Pname\n.", "pickle opcode PERSID"),
        (b"\x80\x02NQ.", "asks for persistent objects"),
        (b"\x80\x04\x96\x08\x00\x00\x00\x00\x00\x00\x00", "pickle opcode BYTEARRAY8"),
        (b"\x80\x02\xff.", "pickle opcode 0xff"),
        (b"\x80\x02NN\x85R.", "calls a NoneType"),
        (b"\x80\x02]}b.", "sets attributes of a list"),
        (b"\x80\x02)Na.", "appends to a tuple"),
        (b"\x80\x02](K\x01K\x02u.", "sets an item of a list"),
        (b"\x80\x02})K\x01s.", "has a tuple as a key"),
        (b"\x80\x02}G" + bytes(8) + b"K\x01s.", "has a float as a key"),
        (b"\x80\x02}\x8a\x09" + bytes(8) + b"\x01K\x01s.", "has a int as a key"),
        (pickle.dumps(OrderedDict(a=1), 2)[:-1] + b"}X\x05\x00\x00\x00itemsK\x01sb.", "attributes"),
        (b"\x80\x02" + b"]" * 200 + b"a" * 199 + b".", "nests deeper than 100"),
        (b"\x80\x02" + b"(" * 200 + b".", "nests deeper than 100"),
        (b"\x80\x02" + b"N" * 2000 + b".", "more than 1000 opcodes"),
        (b"\x80\x02X\xe9\x03\x00\x00" + b"x" * 1001 + b".", "more than 1000 text bytes"),
    ],
)
def test_what_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        read(data, opcodes=1000, text_bytes=1000)


def test_containers_that_hold_one_another_end() -> None:
    twice = b"\x80\x02]" + b"".join(b"q%c]h%ca" % (n, n) for n in range(50)) + b"."
    read(twice)
    loop: list[Any] = []
    loop.append(loop)
    found = read(pickle.dumps(loop))
    assert found[0] is found
