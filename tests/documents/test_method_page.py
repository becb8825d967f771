"""docs/METHOD.md: its pictures exist, and so does every function that it names."""

import importlib
import re
from pathlib import Path

from cfclip.losses.terms import TERMS, ObjectiveConfig
from examples.method_figures import FIGURES

PAGE = Path(__file__).parents[2] / "docs" / "METHOD.md"


def test_the_page_shows_every_picture() -> None:
    page = PAGE.read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", page)
    assert {f"images/method/{name}" for name in FIGURES} <= set(targets)


def test_functions_that_the_page_names_exist() -> None:
    named = re.findall(r"`(cfclip(?:\.[a-z_]+)+)\.(\w+)`", PAGE.read_text(encoding="utf-8"))
    assert len(named) > 20
    for module, name in named:
        assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


def test_the_table_of_terms_is_that_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    start = page.index("| term |")
    rows = []
    for line in page[start : page.index("\n\n", start)].splitlines()[2:]:
        rows.append([cell.strip(" `") for cell in line.strip("|").split("|")])
    expected = []
    for name, row in TERMS.items():
        weight = 1.0 if row.weight is None else getattr(ObjectiveConfig(), row.weight)
        marks = ("yes" if each else "" for each in (row.network, row.confines, not row.published))
        where = (row.objective or "each", row.weight or "", f"{weight:g}", row.loss)
        expected.append([name, *where, *marks])
    assert rows == expected
