"""Every command and every piece of Python in the README runs, in this order, on a small pack."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cfclip.apps.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [(match[1], match[2]) for match in FENCE.finditer(README)]
COMMANDS = [line for _, text in BLOCKS for line in text.splitlines() if line.startswith("cfclip ")]
PYTHON = [text for language, text in BLOCKS if language == "python"]


@pytest.fixture(scope="module")
def folder(tiny_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder with the examples, where a tiny pack goes by the name of the shipped one."""
    place = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "examples" / "avatars", place / "examples" / "avatars")
    from cfclip.packs import registry

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        # Only the tiny pack is to be found, as "avatars": the README is about commands here.
        packs = place / "packs"
        pack = shutil.copytree(tiny_pack, packs / "avatars")
        manifest = pack / "pack.toml"
        manifest.write_text(manifest.read_text().replace('name = "tiny"', 'name = "avatars"'))
        patch.setattr(registry, "_SHIPPED", packs)
        yield place


def test_the_readme_has_commands_and_python() -> None:
    assert len(COMMANDS) >= 6
    assert len(PYTHON) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_command(folder: Path, command: str) -> None:
    assert main(shlex.split(command)[1:]) == 0


@pytest.mark.parametrize("code", PYTHON)
def test_python(folder: Path, code: str) -> None:
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert (folder / "out" / "python").is_dir()


def test_linked_files_exist() -> None:
    made_later = {"docs/images/edits.png", "EVALUATION.md"}
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert target in made_later or (ROOT / target).exists(), target


def test_demo(folder: Path) -> None:
    from examples.demo import EDITS, SHEET, main

    assert main(["--out", "demo"]) == 0
    assert (folder / "demo" / SHEET).is_file()
    assert len(list((folder / "demo").glob("*_strip.png"))) == len(EDITS)
    assert main(["--out", "demo", "--pack", "nonesuch"]) == 2
