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

from cfclip.text_formats import FormatError, finite_number, shown

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Class = TypeVar("Class", bound="DataclassInstance")

_KINDS: Mapping[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    NoneType: "null",
}


def build(cls: type[Class], content: object) -> Class:
    """An instance of a dataclass from a table with its fields, each of the type of its annotation.

    Lists become tuples, tables of nested dataclasses these; fields with defaults may be left out.
    Raises `FormatError` for anything else.
    """
    hints = _hints(cls)
    table = table_of(content, hints)
    given = {name: field_of(table, name, hints[name]) for name in hints if name in table}
    missing = [
        each.name
        for each in fields(cls)
        if each.name not in given and each.default is MISSING and each.default_factory is MISSING
    ]
    if missing:
        raise FormatError(f"has no {', '.join(missing)}")
    return cls(**given)


def table_of(content: object, known: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """`content`, if it is a table, with no other than `known` fields. Raises `FormatError`."""
    if not isinstance(content, Mapping):
        raise FormatError(f"is {shown(content)}, expected a table of names and values")
    if known is not None and (unknown := [shown(name) for name in content if name not in known]):
        raise FormatError(f"unknown field {', '.join(unknown[:3])}; known are {', '.join(known)}")
    return content


def field_of(table: object, name: str, hint: Any, *default: Any) -> Any:
    """A field of a table, of the type `hint`: as in annotations of dataclasses.

    `default`, if given, is what a missing field stands for. Raises `FormatError`.
    """
    table = table_of(table)
    if name not in table:
        if default:
            return default[0]
        raise FormatError(f"has no {name}")
    try:
        return _fit(table[name], hint)
    except FormatError as error:
        raise FormatError(f"{name} {error.problem}") from error


@lru_cache
def _hints(cls: "type[DataclassInstance]") -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {each.name: hints[each.name] for each in fields(cls)}


def _fit(value: object, hint: Any) -> Any:
    if hint is Any:
        return value
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _fit_one(value, arguments)
    if origin is Literal:
        if not isinstance(value, str) or value not in arguments:
            raise FormatError(f"is {shown(value)}, expected one of {', '.join(arguments)}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise FormatError(f"is {shown(value)}, expected a list")
        parts = [arguments[0]] * len(value) if arguments[-1] is ... else list(arguments)
        if len(parts) != len(value):
            raise FormatError(f"is {shown(value)}, expected a list of {len(parts)}")
        return tuple(_fit(each, part) for each, part in zip(value, parts, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {name: _fit(each, arguments[1]) for name, each in table_of(value).items()}
    if isinstance(hint, type) and is_dataclass(hint):
        return build(hint, value)
    if hint is float and type(value) in (int, float):
        return finite_number(value)
    if type(value) is not hint:
        raise FormatError(f"is {shown(value)}, expected {_KINDS[hint]}")
    return value


def _fit_one(value: object, hints: tuple[Any, ...]) -> Any:
    """A value of one of several types: null, or else that of the others which it fits."""
    if value is None and NoneType in hints:
        return None
    others = [hint for hint in hints if hint is not NoneType]
    for hint in others[:-1]:
        try:
            return _fit(value, hint)
        except FormatError:
            continue
    return _fit(value, others[-1])
