"""Every command of docs/LOOKING.md runs, in this order, on a small pack."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from cfclip.apps.cli import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "LOOKING.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^cfclip (.*)$", PAGE, re.MULTILINE)
TRAIN = "train --text {} --out runs/green-hair --steps 2 --batch 2 --samples 9 --augmentations 1"


@pytest.fixture(scope="module")
def folder(tiny_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder with the examples and a training, where a tiny pack is the shipped one."""
    from cfclip.packs import registry

    place = tmp_path_factory.mktemp("looking")
    shutil.copytree(ROOT / "examples" / "avatars", place / "examples" / "avatars")
    pack = shutil.copytree(tiny_pack, place / "packs" / "avatars")
    manifest = pack / "pack.toml"
    manifest.write_text(manifest.read_text().replace('name = "tiny"', 'name = "avatars"'))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(registry, "_SHIPPED", place / "packs")
        assert main(shlex.split(TRAIN.format("'green hair'"))) == 0
        yield place


def test_the_page_shows_every_action() -> None:
    assert {command.split()[1] for command in COMMANDS} == {
        *("contact", "strengths", "compare", "curves")
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_command(folder: Path, command: str) -> None:
    arguments = shlex.split(command)
    few = ["--steps", "2"] if arguments[1] in ("strengths", "compare") else []
    assert main([*arguments, *few]) == 0
    with Image.open(folder / arguments[arguments.index("--out") + 1]) as picture:
        assert picture.format == "PNG"


def test_linked_files_exist() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
