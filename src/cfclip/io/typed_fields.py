"""Tables from outside, as dataclasses and values of the types that are expected.

A field of a table may be of any type; Python finds out where it is used, letter by letter or with a
`TypeError`. Here it is checked against an annotation first.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from cfclip.errors import shown, shown_name
from cfclip.io.text_formats import FormatError, finite_number

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Class = TypeVar("Class", bound="DataclassInstance")

_MOST_NAMES = 3
"""Of unknown fields that a message names."""
_KINDS: Mapping[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    NoneType: "null",
}


def build(cls: type[Class], content: object, name: str = "") -> Class:
    """An instance of a dataclass from a table with its fields, each of the type of its annotation.

    Lists become tuples, tables of nested dataclasses these; fields with defaults may be left out.
    Raises `FormatError` for anything else; `name` is what the table is called, if it has a name.
    """
    hints = _hints(cls)
    table = table_of(content, name or "it")
    inside = f" in {name}" if name else ""
    if unknown := sorted(set(table) - set(hints)):
        found = ", ".join(map(shown_name, unknown[:_MOST_NAMES]))
        raise FormatError(f"unknown field {found}{inside}; known are {', '.join(hints)}")
    needed = [
        each.name
        for each in fields(cls)
        if each.default is MISSING and each.default_factory is MISSING
    ]
    if missing := [each for each in needed if each not in table]:
        raise FormatError(f"missing field {', '.join(missing)}{inside}")
    return cls(**{each: fit(table[each], hints[each], _joined(name, each)) for each in table})


def table_of(content: object, name: str = "it") -> Mapping[str, Any]:
    """`content`, called `name`, if it is a table. Raises `FormatError`."""
    if isinstance(content, Mapping):
        return content
    raise FormatError(f"{name} is {shown(content)}, expected a table")


def field_of(table: object, name: str, hint: Any, *default: Any) -> Any:
    """A field of a table, of the type `hint`: as in annotations of dataclasses.

    `default`, if given, is what a missing field stands for. Raises `FormatError`.
    """
    table = table_of(table)
    if name not in table:
        if default:
            return default[0]
        raise FormatError(f"missing field {name}")
    return fit(table[name], hint, name)


def fit(value: object, hint: Any, name: str) -> Any:
    """`value`, called `name`, as what the annotation `hint` asks for. Raises `FormatError`."""
    if hint is Any:
        return value
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _fit_one(value, arguments, name)
    expected = _KINDS.get(hint, "")
    if origin is Literal:
        expected = "one of " + ", ".join(arguments)
        if isinstance(value, str) and value in arguments:
            return value
    elif origin is tuple:
        several = arguments[-1] is ...
        expected = "a list" if several else f"a list of {len(arguments)}"
        if isinstance(value, list | tuple) and (several or len(value) == len(arguments)):
            parts = [arguments[0]] * len(value) if several else arguments
            pairs = zip(value, parts, strict=True)
            return tuple(fit(each, part, f"one of {name}") for each, part in pairs)
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        table = table_of(value, name)
        return {each: fit(table[each], arguments[1], _joined(name, each)) for each in table}
    elif isinstance(hint, type) and is_dataclass(hint):
        return build(hint, value, name)
    elif type(value) is hint or (hint is float and type(value) is int):
        return finite_number(name, value) if hint is float else value
    raise FormatError(f"{name} is {shown(value)}, expected {expected}")


def _joined(name: str, field: str) -> str:
    return f"{name}.{shown_name(field)}" if name else field


@lru_cache
def _hints(cls: "type[DataclassInstance]") -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {each.name: hints[each.name] for each in fields(cls)}


def _fit_one(value: object, hints: tuple[Any, ...], name: str) -> Any:
    """A value of one of several types: null, or else that of the others which it fits."""
    if value is None and NoneType in hints:
        return None
    others = [hint for hint in hints if hint is not NoneType]
    for hint in others[:-1]:
        try:
            return fit(value, hint, name)
        except FormatError:
            continue
    return fit(value, others[-1], name)
