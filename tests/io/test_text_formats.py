"""JSON, TOML and numbers from outside: what is let in, what is refused, and how long it takes."""

import os
import time

import pytest

from cfclip.errors import PackError, shown
from cfclip.io import (
    FormatError,
    finite_number,
    named,
    parse_json,
    parse_toml,
    whole_number,
)

MAX_SECONDS = 5.0
DOTS = ".".join("a" * 50_000)
QUOTED_DOTS = " . ".join(["'a'"] * 50_000)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1e999", "not finite"),
        ("[-Infinity]", "not finite"),
        ("NaN", "not finite"),
        ("1" * 5000, "5,000 digits"),
        ("1." + "1" * 5000, "digits"),
        (str(2**65), "beyond"),
        ("[" * 100_000, "deeper"),
        ("[" * 70 + "]" * 70, "deeper"),
        ("[" + "{}," * 2_000_000 + "{}]", "values"),
        ('{"a": 1, "a": 2}', "twice"),
        (r'["\ud800"]', "U+D800"),
        (r'{"\u0000": 1}', "U+0000"),
        (b'"\xff"', "UTF-8"),
        ("", "not JSON"),
        ("[1", "not JSON"),
    ],
    ids=lambda text: text[:12],
)
def test_json_that_is_refused(text: str | bytes, problem: str) -> None:
    began = time.perf_counter()
    with pytest.raises(FormatError, match=problem.replace("+", r"\+")) as caught:
        parse_json(text)
    assert time.perf_counter() - began < MAX_SECONDS
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_json_keeps_names_of_files_that_are_no_text() -> None:
    name = os.fsdecode(b"caf\xe9.png")
    assert parse_json(r'{"path": "caf\udce9.png", "n": [1, -2.5e3, true, null]}') == {
        "path": name,
        "n": [1, -2500.0, True, None],
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (DOTS + " = 1", "parts"),
        (f"[{DOTS}]", "parts"),
        (f"[[{DOTS}]]", "parts"),
        (QUOTED_DOTS + " = 1", "parts"),
        (f"a = {{ {DOTS} = 1 }}", "parts"),
        (f"a = '''x'''\n{DOTS} = 1", "parts"),
        ('a = """x\\"""" # "\n' + DOTS + " = 1", "parts"),
        ("a = " + "[" * 10_000, "deeper"),
        ("{a = " * 10_000, "not TOML"),
        ("a = " + "{a = " * 5_000, "deeper"),
        ("a = " + "1" * 5000, "digits"),
        ("a = 0x" + "f" * 5000, "beyond"),
        ("a = inf", "not finite"),
        ("a = 1e999", "not finite"),
        ("a = 1979-05-27", "date"),
        ("a = 1\na = 2", "not TOML"),
        ("a" * 7_000_000, "longer"),
        ("a = " + "'" * 1_000_000, "not TOML"),
        ("a . " * 1_000_000, "values"),
        ("_ " * 500_000, "not TOML"),
        ('a = "\\' * 500_000, "not TOML"),
        ('a = """\\"' * 500_000, "not TOML"),
    ],
    ids=lambda text: text[:12],
)
def test_toml_that_is_refused(text: str, problem: str) -> None:
    began = time.perf_counter()
    with pytest.raises(FormatError, match=problem) as caught:
        parse_toml(text)
    assert time.perf_counter() - began < MAX_SECONDS
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "quotes", ['"{}"', "'{}'", '"""{}"""', "'''{}'''", '"""{}"" """', "''''{}'''''"]
)
def test_toml_may_have_dots_in_texts_and_comments(quotes: str) -> None:
    key = f"{quotes[:1]}x.y{quotes[:1]}"
    text = f"a = {quotes.format(DOTS)} # {DOTS}\n# {DOTS}\nb.c = 1.5\n[d.e]\n{key} = 1"
    content = parse_toml(text)
    assert DOTS in content["a"]
    assert content["b"] == {"c": 1.5}
    assert content["d"] == {"e": {"x.y": 1}}


def test_numbers() -> None:
    assert [whole_number("seed", each) for each in (3, 3.0, "3", "3.0", "3.", "+3")] == [3] * 6
    for value in (-1, True, None, 1.5, "1.5", "1e3", "x", "1" * 5000, 1e300, 2**65, [], "²", ""):
        with pytest.raises(FormatError, match=r"^seed is .*, expected a whole number"):
            whole_number("seed", value)
    assert [finite_number("lr", each) for each in (2, 2.0, "2", " 2e0 ")] == [2.0] * 4
    for value in (True, None, "inf", "nan", "1e999", 10**400, "x", "1" * 5000, [1], 1e308 * 10):
        with pytest.raises(FormatError, match=r"^lr is .*, expected a number"):
            finite_number("lr", value)


def test_errors_tell_where_and_what_to_do() -> None:
    with pytest.raises(PackError, match=r"^pack.toml: is not TOML \(.*\); get it again$"):  # noqa: SIM117
        with named("pack.toml", "get it again", PackError):
            parse_toml("=")
    assert len(shown("x" * 10_000)) < 100
