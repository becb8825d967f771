"""docs/RESULTS.md: its tables are those of its rows, the best settings those of the pack."""

import csv
import json
import re
from pathlib import Path
from statistics import mean

import pytest

from cfclip.editing import COMPARED, edit_settings
from cfclip.packs import Pack

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "RESULTS.md").read_text(encoding="utf-8")
TABLES = dict(re.findall(r"<!-- table (\S+) -->\n(.*?)<!-- end -->", PAGE, re.DOTALL))


def cells(table: str) -> list[list[str]]:
    rows = [line.strip("|").split("|") for line in table.splitlines()]
    return [[cell.strip().split(" [")[0] for cell in row] for row in rows]


@pytest.mark.parametrize("measure", ["success", "exact"])
def test_the_tables_are_those_of_the_rows(measure: str) -> None:
    with open(DOCS / "results.csv", encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    (_, *families), _, *rows = cells(TABLES[f"bench-families-{measure}"])
    assert {row[0] for row in rows} == {line["method"] for line in lines}
    for method, *shown in rows:
        for family, figure in zip(families, shown, strict=True):
            if family in {line["family"] for line in lines}:
                found = [
                    float(line[measure])
                    for line in lines
                    if (line["method"], line["family"]) == (method, family) and line[measure]
                ]
                assert figure == (f"{100 * mean(found):.1f}" if found else "-")


def test_exact_and_failed_edits_are_those_of_the_method_that_the_page_names() -> None:
    assert "drawn at random from those that CF-CLIP's optimisation answers exactly" in PAGE
    assert [row[0] for row in cells(TABLES["bench-families-exact"])[2:4]] == [
        *("oracle", "cfclip-optimisation")  # `cfclip bench` draws by the first that edits
    ]


def test_no_table_is_empty() -> None:
    assert TABLES
    for name, table in TABLES.items():
        assert len(table.splitlines()) > 2, name


def test_every_picture_is_there() -> None:
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", PAGE):
        assert (DOCS / picture).is_file()


def test_an_edit_uses_the_best_settings() -> None:
    found = {path.stem: json.loads(path.read_text()) for path in (DOCS / "results").glob("*.json")}
    assert set(found) <= set(COMPARED)
    settings = edit_settings(Pack.open("avatars").manifest)
    for name, value in found["cfclip-optimisation"]["settings"].items():
        assert getattr(settings, name) == value
