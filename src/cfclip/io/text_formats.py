"""The one door for text from outside: JSON, TOML and numbers; files of them are `text_files`.

Python's own parsers trust what they read: a dotted key of TOML costs memory by the square of its
parts, a number of JSON may be infinite or have a million digits, a deep nesting ends in a
`RecursionError`. Here a text is bounded in size, values, depth, digits and key parts, and whatever
is wrong with it is one line. What comes out is plain: tables with text keys, lists, texts that can
be written and name files, finite numbers, true, false and null. A field of a table may be of any
type; `build`, `field_of` and `fit` hold it to an annotation before it is used.

All functions raise `FormatError`; `named` says whose fault it is, and makes another error of it.
"""

import json
import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
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

from cfclip.errors import CfclipError, InputError, reason_of, short_place, shown, shown_name

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Class = TypeVar("Class", bound="DataclassInstance")

LONGEST_TOML = 6 << 20
"""Python's reader takes seconds for more; 50,000 prompts of a benchmark are 5 million."""
MOST_VALUES = 2_000_000
MOST_TOML_VALUES = 500_000
MOST_DEPTH = 64
MOST_KEY_PARTS = 8
MOST_NUMBER = 2**64
"""No whole number is larger, in cfclip's own formats or in others'."""

_MOST_DIGITS = 400
"""Of a number as it is written; the longest float that is not zero has fewer."""
_NO_TEXT = re.compile("[\0\ud800-\udc7f\udd00-\udfff]")
"""What is in no text and no name of a file; Python keeps bytes of names that are not UTF-8 as
U+DC80 to U+DCFF."""
_WHOLE = re.compile(r"\+?([0-9]{1,20})(?:\.0*)?")
_EXACT = 2**53
"""Up to here floats tell whole numbers apart."""

_MOST_NAMES = 3
"""Of unknown fields that a message names."""
_KINDS: Mapping[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    NoneType: "null",
}

# Whatever an unfinished string is followed by is part of it: no reader gets further.
_TOML_TEXT = re.compile(
    r"""
    "{3}(?:[^"\\]++|\\[\s\S]|"{1,2}(?!"))*+(?:"{3,5}|[\s\S]*)
  | '{3}(?:[^']++|'{1,2}(?!'))*+(?:'{3,5}|[\s\S]*)
  | "(?:[^"\\\n]++|\\.)*+(?:"|[\s\S]*)
  | '[^'\n]*+(?:'|[\s\S]*)
  | \#[^\n]*
    """,
    re.VERBOSE,
)
_TOML_LONG_KEY = re.compile(
    rf"(?<![\w-])[\w-]++(?:[ \t]*+\.[ \t]*+[\w-]++){{{MOST_KEY_PARTS}}}", re.ASCII
)


class FormatError(InputError):
    """What is wrong with a text, and where it is from as far as that is known."""

    def __init__(self, problem: str, where: str = "") -> None:
        super().__init__(f"{where}: {problem}" if where else problem)
        self.problem = problem
        self.where = where


@contextmanager
def named(
    where: str | Path, remedy: str = "", kind: type[CfclipError] = InputError
) -> Iterator[None]:
    """What is wrong with a text in the block is raised as `kind`, with its place and a remedy."""
    try:
        yield
    except InputError as error:
        told = isinstance(error, FormatError) and error.where
        line = str(error) if told else f"{short_place(where)}: {error}"
        raise kind(f"{line}; {remedy}" if remedy else line) from error


def repeated(names: Iterable[str]) -> list[str]:
    """Those of some names that are there more than once, each once.

    >>> repeated(["a", "b", "a"])
    ['a']
    """
    return [name for name, count in Counter(names).items() if count > 1]


def parse_json(text: str | bytes) -> Any:
    """What a text of JSON, UTF-8 in bytes, says. Raises `FormatError`."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise FormatError("is not UTF-8 text") from error
    _check_count(text, "[{,:", MOST_VALUES)
    try:
        content = _JSON.decode(text)
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise FormatError(f"is not JSON ({reason_of(error)})") from error
    _check(content)
    return content


def parse_toml(text: str) -> dict[str, Any]:
    """What a text of TOML says. Raises `FormatError`."""
    if len(text) > LONGEST_TOML:
        raise FormatError(f"is longer than {LONGEST_TOML:,} characters")
    bare = _TOML_TEXT.sub(lambda match: "" if match[0][0] == "#" else "_", text)
    _check_count(bare, "[{,.=", MOST_TOML_VALUES)
    if found := _TOML_LONG_KEY.search(bare):
        raise FormatError(f"the key {found[0][:40]}... has over {MOST_KEY_PARTS} parts")
    try:
        content = tomllib.loads(text, parse_float=_number)
    except RecursionError as error:
        raise _too_deep() from error
    except tomllib.TOMLDecodeError as error:
        raise FormatError(f"is not TOML ({reason_of(error)})") from error
    except ValueError as error:  # of `int`, whose remedy is not for users
        raise FormatError("a number has too many digits") from error
    _check(content)
    return content


def whole_number(name: str, value: object) -> int:
    """A whole number of at least 0, also as a text or in the way of floats, such as 1.0.

    Raises `FormatError` for anything else, which `name` is told to be.

    >>> [whole_number("seed", value) for value in ("7", 7.0, "7.0")]
    [7, 7, 7]
    """
    found = -1
    if isinstance(value, str) and (match := _WHOLE.fullmatch(value)):
        found = int(match[1])
    elif isinstance(value, float) and value.is_integer() and value <= _EXACT:
        found = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        found = value
    if not 0 <= found <= MOST_NUMBER:
        raise FormatError(f"{name} is {shown(value)}, expected a whole number of at least 0")
    return found


def finite_number(name: str, value: object) -> float:
    """A number, also as a text. Raises `FormatError` for anything else, and what is not finite."""
    try:
        if isinstance(value, str):
            return _number(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _finite(float(value))
    except (ValueError, OverflowError, FormatError):
        pass
    raise FormatError(f"{name} is {shown(value)}, expected a number")


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


def _check_count(text: str, marks: str, most: int) -> None:
    if sum(map(text.count, marks)) > most:
        raise FormatError(f"holds over {most:,} values")


def _too_deep() -> FormatError:
    return FormatError(f"is nested deeper than {MOST_DEPTH} levels")


def _whole(digits: str) -> int:
    if len(digits) > len(str(MOST_NUMBER)) + 1:
        raise FormatError(f"a number has {len(digits):,} digits")
    return int(digits)


def _number(text: str) -> float:
    if len(text) > _MOST_DIGITS:
        raise FormatError(f"a number has {len(text):,} digits")
    return _finite(float(text))


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise FormatError("a number is not finite")
    return number


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        twice = repeated(name for name, _ in pairs)[0]
        raise FormatError(f"the name {shown(twice)} is given twice")
    return table


def _check(content: object) -> None:
    """Raise `FormatError` for anything that is not plain: see the module."""
    left: list[tuple[object, int]] = [(content, 1)]
    while left:
        value, depth = left.pop()
        if depth > MOST_DEPTH:
            raise _too_deep()
        if isinstance(value, dict):
            left += [(name, depth) for name in value]
            left += [(each, depth + 1) for each in value.values()]
        elif isinstance(value, list):
            left += [(each, depth + 1) for each in value]
        elif isinstance(value, str):
            if found := _NO_TEXT.search(value):
                raise FormatError(f"a text has the character U+{ord(found[0]):04X}")
        elif isinstance(value, int | float):
            if not -MOST_NUMBER <= value <= MOST_NUMBER and isinstance(value, int):
                raise FormatError(f"a number is beyond {MOST_NUMBER}")
            _finite(value)
        elif value is not None:
            raise FormatError(f"has a date or a time ({value}), expected a text or a number")


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


_JSON = json.JSONDecoder(
    parse_constant=_number,
    parse_float=_number,
    parse_int=_whole,
    object_pairs_hook=_table,
)
