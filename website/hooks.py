"""What mkdocs is told that mkdocs.yml cannot say: which pages there are, and where links lead.

The pages are written for a code host: README.md and others lie beside `docs/`, and links go from
file to file of the repository. In the site they all lie in one folder.
"""

import posixpath
import re
from pathlib import Path

from doctests import DoctestExtension
from formulas import FormulaExtension
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from reference import reference_pages

ROOT = Path(__file__).parents[1]
BESIDE_DOCS = {
    "README.md": "index.md",
    "EVALUATION.md": "EVALUATION.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "LICENSE": "LICENSE.txt",
    "NOTICE": "NOTICE.txt",
    "examples/tour.ipynb": "tour.ipynb",
    "website/style.css": "style.css",
}
"""File of the repository to its place in the site; those of `docs/` keep theirs."""
_IN_SITE = {place: file for file, place in BESIDE_DOCS.items()}
_LINK = re.compile(r"(\]\()(?!\w+:|#)([^)#\s]+)")
_FENCED = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Formulas become MathML, and doctests code, while the site is built."""
    config.markdown_extensions += [FormulaExtension(), DoctestExtension()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from beside `docs/`, and the reference."""
    for file, place in BESIDE_DOCS.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / file)))
    for place, text in reference_pages().items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the links of a page of the repository into those of the site."""
    place = page.file.src_uri
    folder = posixpath.dirname(_IN_SITE.get(place, f"docs/{place}"))

    def linked(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, match[2]))
        wanted = BESIDE_DOCS.get(target, target.removeprefix("docs/"))
        return match[1] + posixpath.relpath(wanted, posixpath.dirname(place) or ".")

    parts = _FENCED.split(markdown)
    return "".join(part if part.startswith("```") else _LINK.sub(linked, part) for part in parts)
