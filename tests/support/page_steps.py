"""What the documents tell a reader to type: the commands and the Python of a page, in order."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]
PAGES = tuple(
    sorted(str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))
)
"""Every page, by its path in the repository."""

SHELL = ("", "sh", "bash", "console")
"""Languages of fenced blocks whose lines are commands; other text says ```text."""
PROGRAMS = ("cfclip", "python", "python3", "pip", "make", "git", "docker", "torchrun")

Kind = Literal["command", "python", "inline"]

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`]+)`")
_CONTINUED = re.compile(r"\s*\\\n\s*")
_INDENTED = re.compile(rf"^ {{4,}}(?:{'|'.join(PROGRAMS)}) ", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """One thing to type."""

    page: str
    kind: Kind
    """`command` and `python` stand in fenced blocks, `inline` is a command in running text."""
    text: str

    @property
    def words(self) -> list[str]:
        """A command as the shell splits it, without its comment."""
        return shlex.split(self.text, comments=True)

    @property
    def command(self) -> str:
        """A command in one form: single spaces, no comment."""
        return shlex.join(self.words)


def steps_of(text: str, page: str = "") -> Iterator[Step]:
    """The fenced steps of a page in their order, then the commands in its running text."""
    for fence in _FENCE.finditer(text):
        language, content = fence.groups()
        if language == "python":
            yield Step(page, "python", content)
        elif language in SHELL:
            for line in _CONTINUED.sub(" ", content).splitlines():
                parts = line.split(" && ") if line.strip() else ()
                yield from (Step(page, "command", part.strip()) for part in parts)
    running = _FENCE.sub("", text)
    # A command that no test sees for its indent is worse than one that nobody runs.
    assert not _INDENTED.search(running), f"{page}: put commands between ```, not into an indent"
    for span in _INLINE.finditer(running):
        said = " ".join(span[1].split())
        if said.split(" ")[0] in PROGRAMS and said not in PROGRAMS:
            yield Step(page, "inline", said)


def inline_options(text: str) -> list[list[str]]:
    """The options that running text names, such as `--space w`, each as a list of its words."""
    spans = _INLINE.findall(_FENCE.sub("", re.sub(r"``+[^`]*``+", "", text)))
    return [span.split() for span in spans if span.startswith("--") and span != "--"]


def page_text(page: str) -> str:
    """The text of a page of `PAGES`."""
    return (ROOT / page).read_text(encoding="utf-8")


def steps_of_page(page: str) -> list[Step]:
    """Every step of a page of `PAGES`."""
    return list(steps_of(page_text(page), page))
