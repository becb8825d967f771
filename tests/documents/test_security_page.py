"""docs/SECURITY.md: every test that it names is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "SECURITY.md").read_text(encoding="utf-8")
WEB = "tests/apps/web/"
"""Where the table of the web app has its tests."""


def test_every_test_that_it_names_is_there() -> None:
    named = 0
    path = ""
    for code in re.findall(r"`([^`\n]+)`", PAGE):
        match = re.fullmatch(r"((?:tests/)?[\w/]*\.py|tests/[\w/]+)?(?:::(test_\w+))?", code)
        if match is None:
            continue
        if match[1]:
            path = match[1] if match[1].startswith("tests/") else WEB + match[1]
            assert (ROOT / path).exists(), code
        if match[2]:
            assert f"def {match[2]}(" in (ROOT / path).read_text(encoding="utf-8"), code
        named += 1
    assert named > 40
