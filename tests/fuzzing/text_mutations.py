"""Spoiling files of text by their grammar."""

import csv
import io
import json
import tomllib
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import tomli_w

from fuzzing.byte_mutations import spoilt_bytes
from fuzzing.odd_values import NUMBERS, OTHERS, PATHS, RAW, TEXTS, Raw

Spoilt = tuple[bytes, str]

_DEEP = 100_000
_RAW_MARK = "@raw@"


def spoilt_text(data: bytes, form: str, random: Random) -> Spoilt:
    """A file of `form` with something wrong, and what was done."""
    chance = random.random()
    if chance < 0.1:
        return spoilt_bytes(data, random)
    if chance < 0.2:
        return _spoilt_encoding(data, random)
    if chance < 0.3:
        return random.choice(_WHOLE[form])(random)
    return _FORMS[form](data, random)


def odd(random: Random) -> Any:
    """Any odd value that JSON can hold, or a `Raw` text of one."""
    kind = random.random()
    if kind < 0.25:
        return random.choice(TEXTS)
    if kind < 0.45:
        return random.choice(PATHS)
    if kind < 0.55:
        return random.choice(RAW)
    if kind < 0.75:
        number = random.choice(NUMBERS)
        return Raw(number) if _is_json(number) else number
    return random.choice(OTHERS)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return text.lstrip("-").isdigit()  # of more digits than Python reads
    return True


def _spoilt_encoding(data: bytes, random: Random) -> Spoilt:
    text = data.decode("utf-8", "replace")
    return random.choice(
        (
            (text.encode("utf-16"), "UTF-16"),
            (b"\xef\xbb\xbf" + data, "a byte order mark"),
            (b"\xef\xbb\xbf" * 2 + data, "two byte order marks"),
            (text.encode("utf-32"), "UTF-32"),
            (data.replace(b"a", b"\xff"), "bytes that are no UTF-8"),
            (data.replace(b"a", b"\xed\xa0\x80"), "surrogates"),
            (data.replace(b"\n", b"\r"), "carriage returns"),
            (data.replace(b"a", b"\0"), "null bytes"),
            (data + b"\0" * 1000, "null bytes at the end"),
            (data * 50, "the file 50 times"),
        )
    )


# JSON


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to each value in a value."""
    yield path
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value[:20])
    for key, inner in items:
        yield from _places(inner, (*path, key))


def _change(content: Any, random: Random) -> tuple[Any, str]:
    """`content` with one value changed."""
    places = list(_places(content))
    path = random.choice(places[1:] or places)
    if not path:
        return odd(random), "something else"
    owner = content
    for key in path[:-1]:
        owner = owner[key]
    name = ".".join(map(str, path))
    last = path[-1]
    deed = random.random()
    if deed < 0.1:
        del owner[last]
        return content, f"no {name}"
    if deed < 0.2 and isinstance(owner, dict):
        key = random.choice((*TEXTS, *PATHS))
        owner[key] = odd(random)
        return content, f"more in {name}: {key[:40]!r}"
    if deed < 0.25 and isinstance(owner, dict):
        key = random.choice((*TEXTS, *PATHS))
        owner[key] = owner.pop(last)
        return content, f"{name} is called {key[:40]!r}"
    if deed < 0.3:
        owner[last] = [owner[last]] * random.choice((1, 3, 2000))
        return content, f"{name} many times"
    owner[last] = odd(random)
    return content, f"{name} is {str(owner[last])[:60]!r}"


def _json_text(content: Any, **options: Any) -> str:
    """JSON with the `Raw` texts in it as they are."""
    raws: list[str] = []

    def marked(value: Any) -> Any:
        if isinstance(value, Raw):
            raws.append(value)
            return f"{_RAW_MARK}{len(raws) - 1}"
        if isinstance(value, dict):
            return {key: marked(each) for key, each in value.items()}
        return [marked(each) for each in value] if isinstance(value, list) else value

    text = json.dumps(marked(content), **options)
    for index, raw in enumerate(raws):
        text = text.replace(f'"{_RAW_MARK}{index}"', raw)
    return text


def _spoilt_json(data: bytes, random: Random) -> Spoilt:
    content, told = json.loads(data), []
    for _ in range(random.choice((1, 1, 2))):
        content, what = _change(content, random)
        told.append(what)
    text = _json_text(content, ensure_ascii=random.random() < 0.7)
    if random.random() < 0.05:
        text, told = text[:-1] + ',"a":1,"a":[2]}', [*told, "a key twice"]
    return text.encode("utf-8", "surrogatepass"), "; ".join(told)


def _spoilt_lines_of_json(data: bytes, random: Random) -> Spoilt:
    lines = data.splitlines() or [b"{}"]
    place = random.randrange(len(lines))
    deed = random.random()
    if deed < 0.1:
        lines.insert(place, lines[place])
        return b"\n".join(lines) + b"\n", f"line {place + 1} twice"
    if deed < 0.25:
        lines[place], told = random.choice(_WHOLE["json"])(random)
    else:
        lines[place], told = _spoilt_json(lines[place], random)
    return b"\n".join(lines) + b"\n", f"line {place + 1}: {told}"


def _deep_json(random: Random) -> Spoilt:
    opening, closing = random.choice((("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")))
    depth = random.choice((500, 5000, _DEEP))
    return (opening * depth + "1" + closing * depth).encode(), f"{depth} deep"


def _other_json(random: Random) -> Spoilt:
    value = odd(random)
    return _json_text(value).encode("utf-8", "surrogatepass"), f"only {str(value)[:60]!r}"


def _many_keys(random: Random) -> Spoilt:
    count = random.choice((10_000, 200_000))
    return ("{" + ",".join(f'"{n}":1' for n in range(count)) + "}").encode(), f"{count} keys"


def _wide_json(random: Random) -> Spoilt:
    count = random.choice((100_000, 1_000_000))
    return ("[" + "[]," * count + "1]").encode(), f"{count} lists"


# TOML


def _toml_text(content: Any) -> str:
    raws: list[str] = []

    def marked(value: Any) -> Any:
        if value is None:
            value = Raw("1979-05-27T07:32:00Z")  # which JSON has not
        if isinstance(value, Raw):
            raws.append({"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}.get(value, value))
            return f"{_RAW_MARK}{len(raws) - 1}"
        if isinstance(value, dict):
            return {key: marked(each) for key, each in value.items()}
        return [marked(each) for each in value] if isinstance(value, list) else value

    text = tomli_w.dumps(marked(content))
    for index, raw in enumerate(raws):
        text = text.replace(f'"{_RAW_MARK}{index}"', raw)
    return text


def _spoilt_toml(data: bytes, random: Random) -> Spoilt:
    content, told = _change(tomllib.loads(data.decode()), random)
    if not isinstance(content, dict):
        content = {"a": content}
    return _toml_text(content).encode("utf-8", "surrogatepass"), told


def _odd_toml(random: Random) -> Spoilt:
    count = random.choice((100, 5000, 50_000))
    return random.choice(
        (
            ((".a" * count)[1:] + "=1\n", f"a key of {count} parts"),
            ("".join(f"a.{'b.' * 50}c{n}=1\n" for n in range(200)), "200 keys of 50 parts"),
            ("a=" + "[" * count + "]" * count, f"lists {count} deep"),
            ("a={" * count + "}" * count, f"tables {count} deep"),
            ("[" + "a." * count + "a]\n", f"a table of {count} parts"),
            ("[[a]]\n" * count, f"{count} tables"),
            ("a=" + "9" * 5000 + "\n", "a number of 5000 digits"),
            ("a=1\na=2\n", "a key twice"),
            ('a="\x1b[2J"\n', "a control character"),
            ('"\\u001b[2J"=1\n', "a control character in a key"),
            ("a=" + '"""' + "x" * 3_000_000 + '"""', "3 MB of text"),
            ("a=" + "_".join("1" * 3000) + "\n", "a long number"),
            ("=\n", "no key"),
            ("a=1979-05-27T07:32:00.999999999999\nb=99:99:99\n", "times"),
        )
    )  # type: ignore[return-value]


def _encoded(make: Callable[[Random], tuple[str, str]]) -> Callable[[Random], Spoilt]:
    def encoded(random: Random) -> Spoilt:
        text, told = make(random)
        return text.encode("utf-8", "surrogatepass"), told

    return encoded


# CSV and lines


def _cell(random: Random) -> str:
    value = odd(random)
    return value if isinstance(value, str) else json.dumps(value)


def _spoilt_csv(data: bytes, random: Random) -> Spoilt:
    rows = list(csv.reader(io.StringIO(data.decode())))
    row = random.choice((0, *range(1, len(rows)), *range(1, len(rows))))
    column = random.randrange(len(rows[row]))
    deed = random.random()
    if deed < 0.1:
        del rows[row][column]
        told = f"a cell less in line {row + 1}"
    elif deed < 0.2:
        rows[row] += [_cell(random)] * random.choice((1, 5000))
        told = f"more cells in line {row + 1}"
    else:
        rows[row][column] = value = _cell(random)
        told = f"{value[:60]!r} in line {row + 1}, column {column + 1}"
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "surrogatepass"), told


def _odd_csv(random: Random) -> Spoilt:
    return random.choice(
        (
            (b'image\n"a', "an open quote"),
            (b'image,text\n"a"b,c\n', "text after a quote"),
            (b"image\n" + b"a" * 200_000 + b"\n", "a long cell"),
            (b"image\n" + b"sample:1\n" * 3000, "3000 rows of one name"),
            (b"image" + b",image" * 3000 + b"\n", "3000 columns"),
            (b"," * 100_000 + b"\n", "no names"),
            (b"", "nothing"),
            (b"image\n", "no rows"),
            (b"image;text\nsample:1;green hair\n", "semicolons"),
            (b"image\r\rsample:1\r", "carriage returns"),
            (b'image\n"sample:1\n\n\n"\n', "lines in a cell"),
            (b"text,image\ngreen\x1b[2J,sample:1\n", "a control character"),
        )
    )


def _spoilt_lines(data: bytes, random: Random) -> Spoilt:
    lines = data.decode().splitlines() or [""]
    place, value = random.randrange(len(lines)), _cell(random)
    words = lines[place].split()
    if words and random.random() < 0.5:
        words[random.randrange(len(words))] = value
        lines[place] = " ".join(words)
    else:
        lines[place] = value
    text = "\n".join(lines) + "\n"
    return text.encode("utf-8", "surrogatepass"), f"{value[:60]!r} in line {place + 1}"


def _odd_lines(random: Random) -> Spoilt:
    return random.choice(
        (
            (b"", "nothing"),
            (b"\n" * 100_000, "empty lines"),
            (b"a" * 1_000_000, "a long line"),
            (b"".join(b"text %d\n" % n for n in range(50_000)), "50,000 lines"),
            (b"1 1\n" * 200_000, "200,000 points"),
            (b"\x1b[2J\n", "a control character"),
            (random.randbytes(3000), "noise"),
        )
    )


_FORMS: dict[str, Callable[[bytes, Random], Spoilt]] = {
    "json": _spoilt_json,
    "jsonl": _spoilt_lines_of_json,
    "toml": _spoilt_toml,
    "csv": _spoilt_csv,
    "lines": _spoilt_lines,
}
_JSON = (_deep_json, _other_json, _other_json, _many_keys, _wide_json)
_WHOLE: dict[str, tuple[Callable[[Random], Spoilt], ...]] = {
    "json": _JSON,
    "jsonl": _JSON,
    "toml": (_encoded(_odd_toml),),  # type: ignore[arg-type]
    "csv": (_odd_csv,),
    "lines": (_odd_lines,),
}
