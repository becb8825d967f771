"""Finding mappers: runs, files, and nothing else that lies about."""

from pathlib import Path

import pytest
from tiny_training import tiny_run

from cfclip.errors import InputError
from cfclip.fitting import find_mappers


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    tiny_run(folder / "green", steps=3)
    (folder / "single.safetensors").write_bytes(
        (folder / "green" / "best.safetensors").read_bytes()
    )
    return folder


def test_runs_and_files_are_found_by_name(runs: Path, tiny_pack: Path) -> None:
    expected = {"green": runs / "green", "single": runs / "single.safetensors"}
    assert find_mappers([runs]) == expected
    assert find_mappers([runs / "green"]) == {"green": runs / "green"}
    (runs / "other.safetensors").write_bytes((tiny_pack / "generator.safetensors").read_bytes())
    (runs / "notes.txt").write_text("nothing")
    (runs / "empty").mkdir(exist_ok=True)
    assert find_mappers([runs]) == expected


def test_two_of_one_name_are_told_apart(runs: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    (more / "green").mkdir(parents=True)
    whole = (runs / "green" / "last.safetensors").read_bytes()
    (more / "green" / "last.safetensors").write_bytes(whole)
    (more / "styles.pt").write_bytes(b"perhaps")
    found = find_mappers([runs, more])
    assert found["green"] == runs / "green"
    assert found["more/green"] == more / "green"
    assert found["styles"] == more / "styles.pt"


def test_folders_without_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no mapper"):
        find_mappers([tmp_path])
    with pytest.raises(InputError, match="cannot list"):
        find_mappers([tmp_path / "missing"])
