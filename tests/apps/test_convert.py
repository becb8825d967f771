"""`cfclip convert`: every layout in, one file out that says where it came from."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from foreign_files import good_files, nvidia_pickle, nvidia_state
from full_disk import room_for
from refusals import refused
from tiny_models import tiny_generator

from cfclip.apps.cli import main
from cfclip.generators.stylegan2 import FORMAT, load_generator_file
from cfclip.io import read_metadata
from recipes.rehearsal.forms import tensorflow_pickle

LAYOUTS = {
    "nvidia.pkl": "NVIDIA pickle",
    "rosinality.pt": "rosinality",
    "legacy.pt": "rosinality",
    "decoder.pt": "decoder of another checkpoint",
    "own.safetensors": "cfclip",
}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "made" / "generator.safetensors"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "network.pkl"
    path.write_bytes(nvidia_pickle(nvidia_state(tiny_generator())))
    return path


def test_every_layout_is_converted(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = tiny_generator()
    for name, data in good_files(expected).items():
        path = tmp_path / name
        path.write_bytes(data)
        assert main(["convert", str(path), str(out), "--licence", "CC0-1.0", "--overwrite"]) == 0
        captured = capsys.readouterr()
        assert captured.out == f"{out}\n"
        assert captured.err == (
            f"a generator of 16 px with codes of 6 x 16; converted from {name} ({LAYOUTS[name]})\n"
        )
        assert read_metadata(out, FORMAT) == {
            "licence": "CC0-1.0",
            "origin": f"converted from {name} ({LAYOUTS[name]})",
            "source_file": name,
            "source_sha256": hashlib.sha256(data).hexdigest(),
            "source_layout": LAYOUTS[name],
        }
        found = load_generator_file(out)
        assert found.config == expected.config
        for key, value in expected.state_dict().items():
            assert torch.equal(found.state_dict()[key], value)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_what_a_file_of_ours_says_is_kept(
    source: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--licence", "CC-BY-4.0", "--origin", "made by Ada", "--json"]
    assert main(["convert", str(source), str(out), *arguments]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["generator"], told["resolution"], told["licence"]) == (str(out), 16, "CC-BY-4.0")
    again = out.with_name("again.safetensors")
    assert main(["convert", str(out), str(again), "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    kept = read_metadata(again, FORMAT)
    assert (kept["licence"], kept["origin"]) == ("CC-BY-4.0", "made by Ada")


def test_what_is_refused(source: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    licence = ["--licence", "CC0-1.0"]
    assert main(["convert", str(source), str(out)]) == 2
    assert "does not say which licence its weights have; say so (--licence)" in refused(capsys)
    assert main(["convert", str(source), str(out.with_suffix(".pt")), *licence]) == 2
    assert "expected the name of a .safetensors file" in refused(capsys)
    assert main(["convert", str(source.with_name("absent")), str(out), *licence]) == 2
    assert "there is no generator file" in refused(capsys)
    source.write_bytes(tensorflow_pickle())
    assert main(["convert", str(source), str(out), *licence]) == 2
    assert "convert it with legacy.py" in refused(capsys)
    assert list(out.parent.iterdir()) == []
    out.write_bytes(b"kept")
    assert main(["convert", str(source), str(out), *licence]) == 2
    assert "exists already" in refused(capsys)
    assert main(["convert", str(out), str(out), *licence, "--overwrite"]) == 2
    assert "is the file to convert" in refused(capsys)
    assert out.read_bytes() == b"kept"


def test_a_full_disk_leaves_nothing(
    source: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with room_for(1000):
        assert main(["convert", str(source), str(out), "--licence", "CC0-1.0"]) == 2
    assert "cannot write" in refused(capsys)
    assert list(out.parent.iterdir()) == []
