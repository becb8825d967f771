"""The ranges of pyproject.toml have lower bounds, and hold what the constraints say."""

import re

from lowest_requirements import PROJECT, lowest_requirements

from cfclip.io import parse_toml


def test_every_requirement_has_a_lower_bound_that_the_constraints_keep() -> None:
    lines = (PROJECT.parent / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(plain(line).split("==") for line in lines if "==" in line)
    lowest = [re.sub(r"\[.*\]", "", plain(each)).split("==") for each in lowest_requirements()]
    names = [name for name, _ in lowest]
    assert {"torch", "numpy", "gradio", "pyarrow", "pytest"} <= set(names)
    assert len(names) == len(set(names))
    for name, version in lowest:
        assert numbers(version) <= numbers(pinned[name]), name


def plain(requirement: str) -> str:
    """Names of packages are alike with dashes, underscores and capitals."""
    return requirement.replace("_", "-").lower()


def numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:3]]


def test_what_only_developers_need_is_not_among_them() -> None:
    project = parse_toml(PROJECT.read_text(encoding="utf-8"))["project"]
    names = " ".join(lowest_requirements())
    assert "mkdocs" in str(project["optional-dependencies"]["docs"])
    assert "mkdocs" not in names
    assert "ruff" not in names
