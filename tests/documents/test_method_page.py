"""docs/METHOD.md: its pictures exist, and so does every function that it names."""

import importlib
import re
from pathlib import Path

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
