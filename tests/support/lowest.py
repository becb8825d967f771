"""What users do, with the lowest versions of everything: see `make test-lowest`.

Not part of the suite, which runs with the versions of constraints.txt.
"""

import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from domain_files import write_domain
from lowest_requirements import lowest_requirements
from web_client import WebClient
from web_server import served

from cfclip.batches import packer_of


def cfclip(*arguments: object) -> str:
    """Run the command, as a process of its own; what it says."""
    command = [sys.executable, "-m", "cfclip", *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr, run.stderr
    return run.stdout


@pytest.mark.parametrize("requirement", lowest_requirements())
def test_the_versions_are_the_lowest(requirement: str) -> None:
    name, _, wanted = re.sub(r"\[.*\]", "", requirement).partition("==")
    found = version(name)
    # The release counts: 2.6 is 2.6.0, and builds of it are it too.
    assert re.match(re.escape(wanted) + r"(\.0)*(\.post\d+)?(\+.*)?$", found), (name, found, wanted)


def test_an_edit_and_the_same_again(tmp_path: Path) -> None:
    cfclip("edit", "sample:7", "--text", "green hair", "--steps", 3, "--out", tmp_path / "a")
    (record,) = (tmp_path / "a").glob("*.json")
    cfclip("rerun", record, "--out", tmp_path / "b")
    (picture,) = (tmp_path / "a").glob("*_green-hair.png")
    cfclip("inspect", picture)
    cfclip("invert", picture, "--projection.steps", 2, "--out", tmp_path / "c")


def test_a_training_and_its_mapper(tiny_pack: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    few = ("--steps", 2, "--batch", 2, "--samples", 8, "--validation", 2, "--validate-every", 1)
    cfclip("train", "--pack", tiny_pack, "--text", "blue hair", "--out", run, *few)
    cfclip("apply", run, "sample:1", "--pack", tiny_pack, "--out", tmp_path / "out")


def test_a_batch(tiny_pack: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    what = ("sample:0-3", "--text", "blue hair", "--pack", tiny_pack, "--steps", 2)
    cfclip("batch", *what, "--out", out, "--to", "parquet", "--workers", 1)
    packer = packer_of("parquet")
    assert packer is not None
    names = [name for shard in out.rglob("*.parquet") for name in packer.names(shard)]
    assert len(names) == 4


def test_a_pack_of_models_from_elsewhere(tmp_path: Path) -> None:
    write_domain(tmp_path)
    models = ("--generator", tmp_path / "generator.safetensors", "--clip", tmp_path / "clip.pt")
    pack = tmp_path / "packs" / "dogs"
    words = ("--name", "dogs", "--source-text", "dog")
    cfclip("packs", "create", *models, *words, "--out", pack.parent)
    cfclip(
        "edit", "sample:1", "--text", "blue dog", "--pack", pack, "--steps", 2, "--out", tmp_path
    )


def test_the_web_app_and_what_the_doctor_says(tiny_pack: Path) -> None:
    with served("--pack", tiny_pack) as app:
        client = WebClient(app.url)
        assert client.edit("blue hair", seed=0, steps=2) is not None
        client.close()
    told = json.loads(cfclip("doctor", "--json"))
    assert told
