"""Formulas of the pages, `$...$` and ```math, as MathML, which browsers draw without any script.

Code hosts draw the same source in their own way.
"""

import re
from xml.etree import ElementTree

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor
from markdown.preprocessors import Preprocessor

_BLOCK = re.compile(r"^```math\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
_INLINE = r"\$(?![\s$])([^$]+?)(?<!\s)\$(?!\d)"
_BEFORE_FENCES = 28  # fenced code has 25, and what 30 does would drop what is kept here
_AFTER_CODE = 185  # `code` has 190, and escapes such as \, have 180
_UNKNOWN = re.compile(r"(?<=>)(\\[A-Za-z]+|\\\|)(?=<)")
_NORM = "\N{DOUBLE VERTICAL LINE}"
_SIGNS = {r"\arg": "arg", r"\lVert": _NORM, r"\rVert": _NORM}
"""What latex2mathml leaves as it is, always or after \\Big, and how it is shown."""


class FormulaExtension(Extension):
    """Reads both forms."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Register the two readers."""
        md.preprocessors.register(_Blocks(md), "formula_blocks", _BEFORE_FENCES)
        md.inlinePatterns.register(_Inline(_INLINE, md), "formulas", _AFTER_CODE)


class _Blocks(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        def shown(match: re.Match[str]) -> str:
            return f"\n{self.md.htmlStash.store(_mathml(match[1], 'block'))}\n"

        return _BLOCK.sub(shown, "\n".join(lines)).split("\n")


class _Inline(InlineProcessor):
    def handleMatch(  # type: ignore[override]
        self, m: re.Match[str], data: str
    ) -> tuple[str | ElementTree.Element, int, int]:
        return self.md.htmlStash.store(_mathml(m[1], "inline")), m.start(0), m.end(0)


def _mathml(latex: str, display: str) -> str:
    formula = _UNKNOWN.sub(_sign, convert(" ".join(latex.split()), display=display))
    return f'<div class="formula">{formula}</div>' if display == "block" else formula


def _sign(match: re.Match[str]) -> str:
    if match[0] not in _SIGNS:
        raise ValueError(f"{match[0]} is not known to latex2mathml; write it in another way")
    return _SIGNS[match[0]]
