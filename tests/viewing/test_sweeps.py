"""Sweeps over strength: an animation that tells how it was made."""

from pathlib import Path

import pytest
from PIL import Image

from cfclip import EditResult, Session
from cfclip.apps.cli import main
from cfclip.errors import InputError
from cfclip.images import write_gif
from cfclip.provenance import MARKED, Marking, inspect_picture, provenance_of
from cfclip.viewing.sheets import MIN_TILE
from cfclip.viewing.sweeps import sweep_strengths, write_sweep


@pytest.fixture(scope="module")
def result(tiny_pack: Path) -> EditResult:
    return Session.open(tiny_pack).edit("sample:3", "green hair", seed=4)


def sweep(result: EditResult, path: Path, frames: int, marking: Marking = MARKED) -> None:
    write_sweep(result.render, result.strength, path, provenance_of(result.record), frames, marking)


def test_it_goes_to_the_strength_and_back(result: EditResult, tmp_path: Path) -> None:
    strong = result.at_strength(2.0)
    sweep(strong, tmp_path / "sweep.gif", frames=5)
    with Image.open(tmp_path / "sweep.gif") as opened:
        assert opened.size == (MIN_TILE, MIN_TILE)
        shown = 0
        for index in range(opened.n_frames):
            opened.seek(index)
            shown += opened.info["duration"]
        assert shown == 2 * 900 + 2 * 3 * 80  # equal pictures in a row are one longer one
        assert opened.info["loop"] == 0


def test_it_tells_what_it_is_unless_asked_not_to(
    result: EditResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep(result, tmp_path / "a.gif", frames=3)
    found = inspect_picture(tmp_path / "a.gif").provenance
    assert found is not None
    assert (found.prompts, found.seed, found.sample_seed) == (("green hair",), 4, 3)
    assert main(["inspect", str(tmp_path / "a.gif")]) == 0
    assert "green hair" in capsys.readouterr().out
    sweep(result, tmp_path / "b.gif", frames=3, marking=Marking(metadata=False))
    assert inspect_picture(tmp_path / "b.gif").provenance is None


def test_limits(result: EditResult, tmp_path: Path) -> None:
    assert sweep_strengths(-1.0, 3) == (0.0, -0.5, -1.0)
    for frames in (1, 201):
        with pytest.raises(InputError, match=f"frames is {frames}"):
            sweep_strengths(1.0, frames)
    (tmp_path / "there.gif").write_bytes(b"mine")
    with pytest.raises(InputError, match="exists already"):
        sweep(result, tmp_path / "there.gif", frames=2)
    assert (tmp_path / "there.gif").read_bytes() == b"mine"
    with pytest.raises(InputError, match="no pictures"):
        write_gif([], tmp_path / "none.gif")
