"""Rows: what they are called, and which are refused."""

import pytest

from cfclip.batches.rows import Entry, Place, Refused, Row, RowDefaults, make_rows, plain_stem
from cfclip.io import FormatError

SAMPLE = Place("sample", seed=7)
DEFAULTS = RowDefaults(("green hair",), 1.0, 0)


def entry(stem: str = "sample-7", where: str = "list.csv:2", **more: object) -> Entry:
    return Entry(where=where, image="sample:7", place=SAMPLE, stem=stem, **more)


def names(*entries: Entry, defaults: RowDefaults = DEFAULTS) -> list[str]:
    rows, refused = make_rows(entries, defaults)
    assert refused == []
    return [row.name for row in rows]


def reason(*entries: Entry, defaults: RowDefaults = DEFAULTS) -> str:
    _, refused = make_rows(entries, defaults)
    (one,) = refused
    return one.line


def test_names_follow_from_the_row_alone() -> None:
    assert names(entry()) == ["sample-7_green-hair"]
    assert names(entry(text="Blue skin!", strength=0.5, seed=3)) == [
        "sample-7_blue-skin_x0p5_seed3"
    ]
    both = RowDefaults(("green hair", "blue skin"), 1.0, 0)
    assert names(entry(), defaults=both) == ["sample-7_green-hair", "sample-7_blue-skin"]


def test_names_that_are_given() -> None:
    assert names(entry(name="mine")) == ["mine"]
    both = RowDefaults(("green hair", "blue skin"), 1.0, 0)
    assert names(entry(name="mine"), defaults=both) == ["mine_green-hair", "mine_blue-skin"]


def test_what_a_row_says_holds_over_what_the_command_says() -> None:
    (row,), _ = make_rows([entry(text="a  smile", strength=2.0, seed=5)], DEFAULTS)
    assert (row.text, row.strength, row.seed) == ("a smile", 2.0, 5)
    (row,), _ = make_rows([entry()], RowDefaults(("green hair",), 0.5, 9))
    assert (row.text, row.strength, row.seed) == ("green hair", 0.5, 9)


@pytest.mark.parametrize(
    "stem", ["../../etc/x", "a.b.c", ".hidden", "a/b", "\0\n\x1b[1m", "..", "ä" * 99]
)
def test_stems_are_made_plain(stem: str) -> None:
    (name,) = names(entry(stem))
    assert not set(name) & set("/\\.\0\n\x1b")
    assert len(name.encode()) < 200


def test_stems_that_are_cut_stay_apart() -> None:
    assert plain_stem("a" * 100) != plain_stem("a" * 101)
    assert plain_stem("/") != plain_stem("//")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a.b", ".x", "a\nb", "x" * 61, "-a"])
def test_names_that_are_none(name: str) -> None:
    assert "letters, digits" in reason(entry(name=name))


def test_two_rows_of_one_name() -> None:
    line = reason(entry(where="list.csv:2"), entry(where="list.csv:9"))
    assert line == (
        "list.csv:9: its result would be 'sample-7_green-hair', as that of list.csv:2 is; "
        "name them in a list (column name)"
    )
    assert "as that of" in reason(entry(name="Mine"), entry(name="mine"))
    twice = RowDefaults(("green hair", "green, hair"), 1.0, 0)
    assert "as that of" in reason(entry(), defaults=twice)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"text": " "}, "empty"),
        ({"strength": 1e9}, "strength is 1000000000.0"),
        ({"strength": float("nan")}, "strength is nan"),
        (
            {"seed": 2**63},
            "seed is 9223372036854775808, it must be a number at least 0 and at most 2^63 - 1",
        ),
    ],
)
def test_values_out_of_their_limits(more: dict[str, object], why: str) -> None:
    assert why in reason(entry(**more))


def test_no_text_at_all() -> None:
    assert "give one in column text, or for all (--text)" in reason(
        entry(), defaults=RowDefaults((), 1.0, 0)
    )


def test_what_was_refused_before_stays_refused() -> None:
    rows, refused = make_rows([Refused("a:1", "is bad"), entry()], DEFAULTS)
    assert len(rows) == 1
    assert [each.line for each in refused] == ["a:1: is bad"]


def test_a_row_survives_its_line() -> None:
    row = Row("a", "in/ä\udcff.png", Place("member", 0, "a.tar", 512, 9), "green hair", 0.5, 3)
    assert Row.from_json(row.to_json()) == row


@pytest.mark.parametrize("line", ["", "3", "{}", '{"name": 3}', '{"place": {"x": 1}}'])
def test_a_line_that_is_no_row(line: str) -> None:
    with pytest.raises(FormatError, match=r"missing|JSON|table|expected"):
        Row.from_json(line)
