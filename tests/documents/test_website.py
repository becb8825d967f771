"""The site of the documents: it builds without a warning and needs nothing from elsewhere."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from markdown import Markdown
from page_steps import PAGES, ROOT

import cfclip
from website.doctests import DoctestExtension
from website.formulas import FormulaExtension

FETCHED = re.compile(
    r'<(?:script|link|img|iframe|source|video)\b[^>]*?(?:src|href)="(?:https?:)?//'
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Place to HTML of every page of the built site."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return {
        str(path.relative_to(out)): path.read_text(encoding="utf-8") for path in out.rglob("*.html")
    }


@pytest.mark.slow
def test_every_page_is_there_and_fetches_nothing(site: Mapping[str, str]) -> None:
    pages = {Path(page).stem + ".html" for page in PAGES if Path(page).stem != "README"}
    reference = {f"reference/{name}.html" for name in ("commands", "parts", "python")}
    assert set(site) == pages | reference | {"index.html", "404.html"}
    for place, html in site.items():
        assert not FETCHED.search(html), place


@pytest.mark.slow
def test_formulas_and_doctests_are_shown(site: Mapping[str, str]) -> None:
    assert site["METHOD.html"].count("<math") > 50
    for place, html in site.items():
        text = re.sub(r"<(math|pre|code|script)\b.*?</\1>", "", html, flags=re.DOTALL)
        for left in ("wzxhzdk", "```", "$", "&gt;&gt;&gt;", "<blockquote>"):
            assert left not in text, f"{place}: {left}"


@pytest.mark.slow
def test_the_reference_has_every_public_name_and_every_command(site: Mapping[str, str]) -> None:
    from cfclip.apps.cli import COMMANDS

    for name in cfclip.__all__:
        if not name.startswith("__"):
            assert f'id="cfclip.{name}"' in site["reference/python.html"], name
    for name in COMMANDS:
        assert f"usage: cfclip {name} " in site["reference/commands.html"], name


def html_of(text: str) -> str:
    extensions = ["pymdownx.superfences", FormulaExtension(), DoctestExtension()]
    return Markdown(extensions=extensions).convert(text)


def test_formulas_are_mathml_and_code_and_prices_are_not() -> None:
    html = html_of("So $x' = G(w)$, `$x$` and $5 or $6.\n\n```math\n\\frac1K\\sum_k \\{a\\}\n```\n")
    assert html.count("<math") == 2
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">' in html
    assert "<mfrac>" in html
    assert "<code>$x$</code>" in html


def test_no_formula_shows_a_command_instead_of_its_sign() -> None:
    html = html_of(r"Here $\arg\min_w \Big\lVert w\Big\rVert^2$ is.")
    assert "<mi>arg</mi>" in html
    assert html.count(">\N{DOUBLE VERTICAL LINE}<") == 2
    assert "\\" not in html
    with pytest.raises(ValueError, match=r"\\nosuch is not known"):
        html_of(r"Here $\nosuch$ is.")


def test_doctests_are_code() -> None:
    html = html_of("Adds.\n\n>>> 1 + 1\n2\n>>> x\n\nThen > 3.")
    assert "<blockquote>" not in html
    assert html.count("<pre>") == 1
    assert html.endswith("<p>Then &gt; 3.</p>")
