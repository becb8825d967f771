"""docs/METHOD.md: its pictures exist, and so does every function that it names."""

import importlib
import re
from pathlib import Path

from cfclip.losses import TERMS, ObjectiveConfig
from examples.method_figures import FIGURES
from website.reference import terms_table

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


def test_the_reference_has_a_table_of_all_terms() -> None:
    header, _, *lines = terms_table().splitlines()
    cells = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]
    assert all(len(row) == header.strip("|").count("|") + 1 for row in cells)
    rows = {row[0]: row[1:] for row in cells}
    assert list(rows) == list(TERMS)
    assert rows["realism"] == [
        "logit",
        "gamma",
        "0.5",
        "losses.clip_losses.text_log_odds",
        "",
        "",
        "",
    ]
    pixels = ["each", "changed_pixels", "0", "losses.changes.changed_pixels_loss", "", "yes", "yes"]
    assert rows["changed_pixels"] == pixels
    assert rows["identity"][-3:] == ["yes", "", ""]


def test_the_weights_that_the_page_names() -> None:
    config = ObjectiveConfig()
    text = PAGE.read_text(encoding="utf-8")
    for symbol in ("alpha", "beta", "gamma"):
        assert rf"($\{symbol}$ = {getattr(config, symbol):g})" in text
    assert f"`latent_l2` with weight {config.latent_l2:g}" in text
    assert (config.changed_pixels, config.aspects) == (0.0, 0.0)
