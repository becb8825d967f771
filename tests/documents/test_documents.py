"""The changelog, the citation and the page on responsible use say what is so."""

import re
import tomllib
from pathlib import Path

from cfclip.apps.cli import COMMANDS
from cfclip.images.image_files import MAX_PIXELS
from cfclip.provenance.stamping import COMPOSED, Provenance, xmp_packet

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_citation_is_of_this_version_and_of_the_paper() -> None:
    citation = text_of("CITATION.cff")
    assert f"\nversion: {PROJECT['version']}\n" in citation
    assert f"\nlicense: {PROJECT['license']}\n" in citation
    assert 'title: "Towards Counterfactual Image Manipulation via CLIP"' in citation
    assert "doi: 10.1145/3503161.3547935\n" in citation


def test_the_changelog_names_every_command_and_has_its_form() -> None:
    changelog = text_of("CHANGELOG.md")
    for command in COMMANDS:
        assert f"cfclip {command}" in changelog
    known = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", changelog, re.MULTILINE)) <= known
    assert re.findall(r"^## (.*)$", changelog, re.MULTILINE)[0] == "[Unreleased]"


def test_the_largest_picture_is_said_to_be_what_it_is() -> None:
    assert f"up to {MAX_PIXELS // 10**6} million pixels" in text_of("docs/EDITING.md")


def test_what_pictures_are_said_to_tell_they_tell() -> None:
    page = text_of("docs/RESPONSIBLE-USE.md")
    packet = xmp_packet(Provenance(COMPOSED, ("green hair",), "tiny", "1", "a" * 64, 3, 7))
    told = {name.partition(":")[2] or name for name in re.findall(r"<(\w+:\w+)>", packet)} - {"RDF"}
    named = {
        name.rpartition(":")[2]
        for line in page.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([\w:]+)`", line.split("|")[1])
    }
    assert named == told - {"Seq", "li"}
