"""docs/PHOTOS.md: its options are understood, its numbers are the code's."""

import re
import shlex
import textwrap
from pathlib import Path

import pytest

from cfclip.apps.cli import parse
from cfclip.apps.edit import Edit
from cfclip.encoders import TuningConfig
from cfclip.images.image_files import ENLARGED_WARNING, MAX_PIXELS
from cfclip.photos import alignment, pasting
from cfclip.photos.landmarks import read_quads

PAGE = (Path(__file__).parents[2] / "docs" / "PHOTOS.md").read_text()
OPTIONS = re.findall(r"`(--[a-z.-]+\s[^`]+)`", PAGE)
EDIT = ["edit", "photo.jpg", "green hair", "--out", "out"]


@pytest.mark.parametrize("option", sorted(set(OPTIONS)))
def test_option(option: str) -> None:
    assert len(OPTIONS) == 6
    needed = ["--align"] if "--face" in option else []
    assert isinstance(parse([*EDIT, *needed, *shlex.split(option)]), Edit)


def test_the_example_of_landmarks(tmp_path: Path) -> None:
    (block,) = re.findall(r"^(    # left eye.*?)\n\n", PAGE, re.DOTALL | re.MULTILINE)
    (tmp_path / "a.txt").write_text(textwrap.dedent(block))
    assert len(read_quads(tmp_path / "a.txt")) == 1


def test_its_numbers() -> None:
    assert f"up to {MAX_PIXELS // 10**6} million pixels" in PAGE
    assert f"less than {alignment.SMALLEST_FACE} pixels" in PAGE
    assert ENLARGED_WARNING == 2.0  # "more than twofold"
    assert f"by {pasting._NOTICED} grey levels" in PAGE
    config = TuningConfig()
    assert (config.lr, config.locality_weight, config.locality_share) == (1e-3, 0.1, 0.5)
    assert (config.l1_weight, config.mse_weight, config.perceptual_weight) == (1.0, 1.0, 0.5)
