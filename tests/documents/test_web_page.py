"""docs/WEB.md: its commands are understood, its options and numbers are the code's."""

import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from cfclip.apps.cli import parse
from cfclip.apps.web.command import DEFAULT_PORT, Web
from cfclip.apps.web.limits import Limits
from cfclip.apps.web.visitors import Visitor

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "WEB.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^cfclip .*$", PAGE, re.MULTILINE)
ROWS = re.findall(r"^\| `--limits\.([a-z-]+)` \| (\d+) \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command: str) -> None:
    assert isinstance(parse(shlex.split(command)[1:]), Web)


def test_the_table_is_of_all_limits_with_their_defaults() -> None:
    known = {each.name.replace("_", "-"): getattr(Limits(), each.name) for each in fields(Limits)}
    assert {name: float(value) for name, value in ROWS} == known
    given = [word for name, value in ROWS for word in (f"--limits.{name}", value)]
    parsed = parse(["web", *given])
    assert isinstance(parsed, Web)
    assert parsed.limits == Limits()


def test_its_numbers_and_pictures() -> None:
    assert len(COMMANDS) == 3
    assert f"127.0.0.1:{DEFAULT_PORT}/" in PAGE
    assert len(Visitor(Limits()).token) * 6 == 192
    for target in re.findall(r"\]\(((?!http)[^)#]+)", PAGE):
        assert (ROOT / "docs" / target).exists(), target


def test_several_folders_of_mappers() -> None:
    parsed = parse(["web", "--mappers", "a", "b", "--mappers", "c", "--port", "0"])
    assert isinstance(parsed, Web)
    assert [str(path) for path in parsed.folders] == ["a", "b", "c"]
