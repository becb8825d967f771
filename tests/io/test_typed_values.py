"""Tables from outside, checked against annotations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from cfclip.io import FormatError, build, field_of


@dataclass(frozen=True)
class Inner:
    pair: tuple[int, float]


@dataclass(frozen=True)
class Outer:
    name: str
    kind: Literal["a", "b"]
    texts: tuple[str, ...]
    inner: Inner | None = None
    size: float | str = 1.0
    flag: bool = False
    settings: Mapping[str, Any] | None = None


TABLE: dict[str, Any] = {"name": "x", "kind": "a", "texts": ["y", "z"]}


def test_a_table_becomes_a_dataclass() -> None:
    assert build(Outer, TABLE) == Outer("x", "a", ("y", "z"))
    more = {"inner": {"pair": [1, 2]}, "size": 2, "flag": True, "settings": {"a": [1]}}
    found = build(Outer, {**TABLE, **more})
    assert found == Outer("x", "a", ("y", "z"), Inner((1, 2.0)), 2.0, True, {"a": [1]})
    assert isinstance(found.size, float)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": ["x"]}, r"name is \['x'\], expected a text"),
        ({"name": None}, "name is None, expected a text"),
        ({"kind": ["a"]}, "kind is .*, expected one of a, b"),
        ({"kind": "c"}, "expected one of a, b"),
        ({"texts": "yz"}, "texts is 'yz', expected a list"),
        ({"texts": ["y", {}]}, "one of texts is {}, expected a text"),
        ({"inner": {"pair": [1]}}, "inner.pair is .*, expected a list of 2"),
        ({"inner": {"pair": [True, 1]}}, "expected a whole number"),
        ({"inner": {"pair": [1, 10**400]}}, "expected a number"),
        ({"inner": []}, "expected a table"),
        ({"inner": {}}, "missing field pair in inner"),
        ({"size": []}, "size is .*, expected a text"),
        ({"flag": 1}, "expected true or false"),
        ({"settings": 3}, "expected a table"),
        ({"x" * 1000: 3}, "unknown field xx.*; known are name, "),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(FormatError, match=problem) as caught:
        build(Outer, {**TABLE, **change})
    assert len(str(caught.value)) < 300


def test_missing_fields_and_defaults() -> None:
    with pytest.raises(FormatError, match="missing field name, texts"):
        build(Outer, {"kind": "a"})
    assert field_of({}, "a", int, 5) == 5
    with pytest.raises(FormatError, match="missing field a"):
        field_of({}, "a", int)
    with pytest.raises(FormatError, match="it is 3, expected a table"):
        field_of(3, "a", int)
