"""docs/YOUR-OWN-DOMAIN.md: its commands run one after another, its claims are the code's."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from clip_origins import openai_tensors, write_archive
from domain_files import centred_generator
from PIL import Image

from cfclip.apps.cli import main, parse
from cfclip.apps.make_pack import DEFAULT_CLIP, PacksDownload
from cfclip.apps.packs import Packs
from cfclip.generators.checkpoints import save_generator
from cfclip.packs.addresses import PUBLISHED
from cfclip.packs.downloads import PINS_FILE
from cfclip.packs.manifest import read_manifest
from cfclip.session import Session
from cfclip.settings import edit_settings
from cfclip.tensors import pil_from_signed

PAGE = (Path(__file__).parents[1] / "docs" / "YOUR-OWN-DOMAIN.md").read_text()
COMMANDS = re.findall(r"^cfclip .*$", PAGE, re.MULTILINE)
FEW_STEPS = "--projection.steps 2"
SHORTER = {
    "edit": f"--steps 2 {FEW_STEPS}",
    "invert": FEW_STEPS,
    "fit-text-map": FEW_STEPS,
    "train": "--steps 2 --samples 8 --validation 4 --lr 0.01 --perceptual 0",
    "apply": FEW_STEPS,
}
"""What is added to a command so that the test takes seconds."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the page starts from."""
    monkeypatch.chdir(tmp_path)
    generator = centred_generator()
    save_generator(generator, tmp_path / "own.safetensors")
    (tmp_path / "own.safetensors").rename(tmp_path / "network.pkl")  # opened by content
    write_archive(tmp_path / "ViT-B-32.pt", openai_tensors())
    pictures = pil_from_signed(generator.synthesis(generator.w_avg.expand(2, 6, -1)))
    captions = []
    for folder in ("photos", "captioned/images"):
        Path(folder).mkdir(parents=True)
    for index in range(20):
        if index < 3:
            pictures[index % 2].resize((24, 20)).rotate(90 * index).save(f"photos/{index}.png")
        Image.new("RGB", (16, 16), (12 * index, 80, 90)).save(f"captioned/images/{index}.png")
        captions.append(json.dumps({"image": f"{index}.png", "text": f"a dog, number {index}"}))
    Path("captioned/captions.jsonl").write_text("\n".join(captions) + "\n")
    return tmp_path


@pytest.mark.slow
def test_the_whole_page(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = []
    for command in COMMANDS:
        arguments = shlex.split(command)[1:]
        if arguments[:2] == ["packs", "download"]:
            continue  # needs a network; tests/apps/test_make_pack.py has a server
        assert main([*arguments, *SHORTER.get(arguments[0], "").split()]) == 0, command
        ran.append(arguments[0])
    assert set(ran) == {"packs", "sample", *SHORTER}
    told = capsys.readouterr()
    assert "CLIP with QuickGELU" in told.err
    assert Path("first/sample-3_a-blue-dog_strip.png").is_file()
    assert Path("edits/0_a-blue-dog_x0.5.png").is_file()
    assert {path.name[0] for path in Path("inverted").glob("*.png")} == {"0", "1", "2"}
    assert list(Path("mapped").glob("*.png"))
    (settings,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    with Path("dogs/pack.toml").open("a") as file:
        file.write("\n" + settings)
    chosen = edit_settings(Session.open("dogs").pack.manifest)
    wanted = tomllib.loads(settings)["defaults"]["edit"]
    assert {name: getattr(chosen, name) for name in wanted} == wanted


@pytest.mark.slow
def test_the_python_part(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(code.replace('"a blue dog")', '"a blue dog", steps=2)'), "page", "exec"), {})
    assert list(Path("out").glob("*.png"))
    assert read_manifest("packs/hounds/pack.toml").licence == "my own"


def test_every_command_is_understood() -> None:
    assert len(COMMANDS) == 12
    for command in COMMANDS:
        parse(shlex.split(command)[1:])


def test_what_it_says_about_downloads() -> None:
    (command,) = [each for each in COMMANDS if "download" in each]
    parsed = parse(shlex.split(command)[1:])
    assert isinstance(parsed, Packs)
    assert isinstance(parsed.action, PacksDownload)
    assert parsed.action.accept_licence
    rows = re.findall(r"^\| (`[a-z, `]+`) \| .* px \|", PAGE, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"[a-z]+", row)} == set(PUBLISHED)
    assert {each.licence_address for each in PUBLISHED.values()} == {
        *re.findall(r"https://\S+license\.html", PAGE)
    }
    assert all(each.source.split()[0] in PAGE for each in PUBLISHED.values())
    assert PINS_FILE in PAGE
    assert f"`{DEFAULT_CLIP}` | MODEL:TAG" in PAGE
