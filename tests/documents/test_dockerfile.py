"""The Dockerfile: a linter accepts it, and what it names is there. No image is built here."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from pathspec import GitIgnoreSpec

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_a_linter_accepts_it() -> None:
    linter = shutil.which("hadolint")
    if linter is None:
        pytest.skip("hadolint is packaged for x86-64 Linux only")
    command = [linter, "Dockerfile"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "")


def test_what_it_copies_is_there_and_not_ignored() -> None:
    ignored = GitIgnoreSpec.from_lines((ROOT / ".dockerignore").read_text().splitlines())
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", TEXT, re.MULTILINE)
    names = [name for line in copied for name in line.split()]
    assert "src" in names
    for name in names:
        assert (ROOT / name).exists(), name
        files = [ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*.*")
        kept = [file for file in files if "__pycache__" not in file.parts and file.is_file()]
        assert not [f for f in kept if ignored.match_file(str(f.relative_to(ROOT)))], name


def test_its_extras_and_its_python_are_those_of_the_project() -> None:
    (extras,) = re.findall(r"^ARG EXTRAS=(\S+)$", TEXT, re.MULTILINE)
    known = set(PROJECT["optional-dependencies"])
    assert set(extras.split(",")) <= known
    assert "web" in extras.split(",") or "web" not in known, "cfclip web shall run in a container"
    versions = set(re.findall(r"^FROM python:(\d+\.\d+)\.\d+-slim-\w+", TEXT, re.MULTILINE))
    assert versions == {PROJECT["requires-python"].removeprefix(">=")}


def test_it_gives_up_the_rights_of_root() -> None:
    assert re.search(r"^USER 1000:1000\n(?:.*\n)*ENTRYPOINT", TEXT, re.MULTILINE)


def test_what_it_is_built_on_is_pinned_by_digest() -> None:
    bases = re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE)
    assert len(set(bases)) == 1  # both stages have the same Python
    assert re.fullmatch(r"python:[\w.-]+@sha256:[0-9a-f]{64}", bases[0])
