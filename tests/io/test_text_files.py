"""Files of text from outside: those that are none, and lines that are bad among good ones."""

import os
from pathlib import Path

import pytest

from cfclip.io import FormatError, read_csv, read_json, read_lines, read_text


def test_files_that_are_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin").write_bytes("é".encode("latin-1"))
    for path in (tmp_path / "none", tmp_path / "pipe", tmp_path, "/dev/zero", tmp_path / "latin"):
        with pytest.raises(FormatError) as caught:
            read_text(path)
        assert str(path) in str(caught.value)
    for path in (tmp_path / ("x" * 5000), tmp_path / "a\0b", tmp_path / "\ud800"):
        with pytest.raises(FormatError) as caught:
            read_json(path)
        assert len(str(caught.value)) < 400


def test_a_bad_line_is_the_only_one_that_fails(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"\xef\xbb\xbfone\n\xff\n" + b"x" * 3_000_000 + b"\na\0b\nlast")
    found = [(number, str(line).strip()) for number, line in read_lines(path)]
    assert [number for number, _ in found] == [1, 2, 3, 4, 5]
    assert [line for _, line in found[:2]] == ["one", "is not UTF-8 text"]
    assert "longer" in found[2][1]
    assert "U+0000" in found[3][1]
    assert found[4][1] == "last"


def test_a_bad_row_of_csv_is_the_only_one_that_fails(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    rows = (
        b"a,b",
        b"\xff,1",
        b"x" * 200_000,
        b"y," * 1_000_000,
        b"c\0,1",
        b'"d"e,1',
        b'"f\r\ng",2',
    )
    path.write_bytes(b"\r\n".join(rows))
    found = list(read_csv(path))
    assert found[0] == (1, ["a", "b"])
    assert all(isinstance(row, FormatError) for _, row in found[1:-1])
    assert len(found) == 7
    assert found[-1] == (8, ["f\r\ng", "2"])
