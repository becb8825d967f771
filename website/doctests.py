"""Doctests of docstrings as code, which Markdown takes for quotations of quotations."""

import re

from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor

_DOCTEST = re.compile(r"(?:^>>> .*\n)(?:^(?!```)\S.*\n|^[ \t]+\S.*\n)*", re.MULTILINE)
_BEFORE_FENCES = 27  # fenced code has 25


class DoctestExtension(Extension):
    """Fences each doctest, from its first `>>>` to the next empty line."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Register the reader."""
        md.preprocessors.register(_Doctests(md), "doctests", _BEFORE_FENCES)


class _Doctests(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        text = "\n".join([*lines, ""])
        return _DOCTEST.sub(lambda match: f"\n```pycon\n{match[0]}```\n", text).split("\n")
