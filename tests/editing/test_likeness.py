from pathlib import Path

import numpy as np
import pytest
from network_files import write_identity
from PIL import Image

from cfclip.editing import IdentityMeasure
from cfclip.errors import CheckpointError


def noise(seed: int, side: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_a_picture_is_most_like_itself(tmp_path: Path) -> None:
    measure = IdentityMeasure(write_identity(tmp_path / "identity.pth"))
    one, other = noise(0, 64), noise(1, 32).resize((64, 64))
    assert measure.similarity(one, one) == pytest.approx(1.0, abs=1e-5)
    assert measure.similarity(one, other) == pytest.approx(measure.similarity(other, one))
    assert measure.similarity(one, other) < 1.0 - 1e-4


def test_the_pictures_may_differ_in_size(tmp_path: Path) -> None:
    measure = IdentityMeasure(write_identity(tmp_path / "identity.pth"))
    small = noise(0, 32)
    large = small.resize((512, 512), Image.Resampling.NEAREST)
    assert measure.similarity(small, large) == pytest.approx(1.0, abs=1e-4)


def test_a_file_that_is_no_network(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"nothing")
    with pytest.raises(CheckpointError):
        IdentityMeasure(tmp_path / "a.pth")
