import os
from pathlib import Path

import pytest

from cfclip.errors import PackError
from cfclip.packs import available_packs, resolve


def make(folder: Path) -> Path:
    """A folder that looks like a pack from outside; nothing here opens it."""
    folder.mkdir(parents=True)
    (folder / "pack.toml").touch()
    return folder


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A folder of packs and a folder that is one, both in `CFCLIP_PACKS`."""
    many = tmp_path / "many"
    make(many / "cats")
    (many / "nothing").mkdir()
    single = make(tmp_path / "dogs")
    monkeypatch.setenv("CFCLIP_PACKS", f"{many}{os.pathsep}{os.pathsep}{single}")
    return many, single


def test_packs_are_found_by_folder_name(places: tuple[Path, Path]) -> None:
    many, single = places
    found = available_packs()
    assert found["cats"] == many / "cats"
    assert found["dogs"] == single
    assert "nothing" not in found
    assert list(found) == sorted(found)
    assert resolve("cats") == many / "cats"


def test_the_same_folder_listed_twice_is_one_pack(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", f"{places[0]}{os.pathsep}{places[0] / 'cats'}")
    assert "cats" in available_packs()


def test_a_name_in_two_places_is_refused(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "other" / "cats")
    monkeypatch.setenv("CFCLIP_PACKS", f"{places[0]}{os.pathsep}{tmp_path / 'other'}")
    with pytest.raises(PackError, match=r"pack 'cats' is in .* and in .*; rename"):
        available_packs()


def test_a_place_that_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tmp_path / "none"))
    with pytest.raises(PackError, match=r"CFCLIP_PACKS names .*none"):
        available_packs()


def test_by_folder(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    birds = make(tmp_path / "elsewhere" / "birds")
    assert resolve(birds) == birds
    assert resolve(str(birds)) == birds
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert resolve("birds") == Path("birds")


@pytest.mark.parametrize("name", ["birds", "", "a\0b", "~nobody-of-that-name/x", "x" * 5000])
def test_unknown_names_list_the_known(places: tuple[Path, Path], name: str) -> None:
    with pytest.raises(PackError, match=r"unknown pack .*; available: .*cats, dogs; the folder"):
        resolve(name)


def test_folders_that_are_not_packs(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"is not a pack: it has no pack\.toml"):
        resolve(tmp_path)
    with pytest.raises(PackError, match=r"is not a pack: it has no pack\.toml"):
        resolve(str(tmp_path))
    with pytest.raises(PackError, match="there is no pack folder"):
        resolve(tmp_path / "none")
