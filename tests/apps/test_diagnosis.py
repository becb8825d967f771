"""What `cfclip doctor` finds, on whole and on broken installations, and what it keeps to itself."""

import getpass
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cfclip.apps.cli import main
from cfclip.apps.diagnosis import anonymous, diagnose
from cfclip.packs import Pack
from cfclip.version import __version__


@pytest.fixture(autouse=True)
def packs(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))


def broken_pack(tiny_pack: Path, folder: Path) -> Path:
    pack = shutil.copytree(tiny_pack, folder / "broken")
    manifest = pack / "pack.toml"
    manifest.write_text(manifest.read_text().replace('name = "tiny"', 'name = "broken"'))
    weights = pack / "generator.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    return pack


def test_a_whole_installation(tiny_pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--pack", "tiny", "--json"]) == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert told["problems"] == []
    assert told["versions"]["cfclip"] == __version__
    assert told["versions"]["torch"].startswith(torch.__version__.split("+")[0])
    assert set(told["versions"]) == {
        *("python", "cfclip", "torch", "torchvision"),
        *("open_clip_torch", "numpy", "pillow"),
    }
    assert told["machine"]["threads"] == torch.get_num_threads()
    assert 1 <= told["machine"]["usable_cores"] <= told["machine"]["cores"]
    machine = told["machine"]
    assert machine["memory_gigabytes"] > machine["available_memory_gigabytes"] > 0
    known = {pack["name"]: pack["fingerprint"] for pack in told["packs"]}
    assert known["tiny"] == Pack.open(tiny_pack).fingerprint
    assert "avatars" in known
    test = told["self_test"]
    assert (test["pack"], test["device"], test["steps"]) == ("tiny", "cpu", 3)
    assert test["stop_reason"] == "completed"
    assert told["steps_per_second"] > 0
    assert captured.err == ""


def test_the_text_is_for_bug_reports(tiny_pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--pack", str(tiny_pack)]) == 0
    text = capsys.readouterr().out
    assert f"cfclip           {__version__}\n" in text
    assert f"pack tiny        1, whole, {Pack.open(tiny_pack).fingerprint}\n" in text
    assert "3 steps in" in text
    assert "steps a second" in text
    assert str(Path.home()) not in text
    assert str(tiny_pack.parent) not in text


def test_the_edit_ends_in_time() -> None:
    seen = []
    found = diagnose("tiny", seconds=0.0, callback=lambda progress: seen.append(progress.step))
    assert found.problems == ()
    assert found.self_test is not None
    assert (found.self_test.steps, found.self_test.stop_reason) == (1, "stopped by the caller")
    assert seen == [0, 1]


def test_a_broken_pack_is_one_line_without_its_place(
    tiny_pack: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = tmp_path / "alice's private packs"
    place.mkdir()
    broken_pack(tiny_pack, place)
    monkeypatch.setenv("CFCLIP_PACKS", f"{place}{os.pathsep}{tiny_pack.parent}")
    for chosen in ("tiny", str(place / "broken")):
        assert main(["doctor", "--pack", chosen]) == 2
        captured = capsys.readouterr()
        assert captured.err.count("\n") == 1
        assert "pack 'broken': <folder>/generator.safetensors was changed or" in captured.err
        assert "pack broken      broken\n" in captured.out
        assert ("self-test        failed" in captured.out) == (chosen != "tiny")
        assert "alice" not in captured.out + captured.err


def test_a_place_of_packs_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tmp_path / "none at all"))
    assert main(["doctor", "--quiet"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "CFCLIP_PACKS names <folder>, which is not a folder" in captured.err


@pytest.mark.parametrize(("option", "value"), [("--pack", "nope"), ("--device", "cuda:99")])
def test_a_self_test_that_cannot_be(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--pack", "tiny", option, value]) == 2
    captured = capsys.readouterr()
    assert "the self-test failed: " in captured.err
    assert value in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.slow
def test_a_library_that_does_not_load(tmp_path: Path) -> None:
    """The report is made all the same, of a torch that is broken and lies below the home."""
    home = tmp_path / "bob"
    (home / "libs").mkdir(parents=True)
    library = home / "libs" / "torch.py"
    library.write_text("raise OSError(f'{__file__}: undefined symbol: x')\n")
    path = os.pathsep.join([str(library.parent), *sys.path])
    ran = subprocess.run(
        [sys.executable, "-m", "cfclip", "doctor"],
        env={**os.environ, "HOME": str(home), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert "torch does not load (OSError: <folder>: undefined symbol: x)" in ran.stderr
    assert "self-test        failed" in ran.stdout
    assert "threads          None" in ran.stdout
    assert "bob" not in ran.stdout + ran.stderr


def test_places_that_tell_of_a_user_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    told = "cannot read '/home/alice/my/a.png': /home/alice, /home/alices/b and /srv/a b/c"
    assert anonymous(told, ["/srv/a b"]) == (
        "cannot read '<folder>': <folder>, /home/alices/b and <folder>/c"
    )
    user = getpass.getuser()
    assert anonymous(f"/media/{user}/disk and {user}s") == f"/media/<user>/disk and {user}s"
    monkeypatch.setenv("HOME", "/")
    assert anonymous("/lib/x.so") == "/lib/x.so"
