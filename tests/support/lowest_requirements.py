"""The lowest versions that pyproject.toml allows, as requirements for pip.

Of what users install: the dependencies and the extras, without the tools of development but pytest.
"""

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
_NOT_FOR_USERS = ("dev", "docs")
_BOUND = re.compile(r"(?P<name>[\w.-]+)(?:\[[\w,]+\])?>=(?P<version>[\w.]+)")


def lowest_requirements() -> list[str]:
    """`name==version` of each; `name[extra]==version` keeps its extras."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    stated = list(project["dependencies"])
    for name, requirements in extras.items():
        if name not in _NOT_FOR_USERS:
            stated += [each for each in requirements if not each.startswith("cfclip[")]
    stated += [each for each in extras["dev"] if each.startswith("pytest>=")]
    return [_lowest(each) for each in stated]


def _lowest(requirement: str) -> str:
    match = _BOUND.match(requirement)
    assert match is not None, f"{requirement} has no lower bound"
    return match[0].replace(">=", "==")


if __name__ == "__main__":
    print("\n".join(lowest_requirements()))
