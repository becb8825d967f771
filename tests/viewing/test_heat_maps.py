"""What an edit changed, seen and counted."""

import numpy as np
import pytest
from PIL import Image

from cfclip.errors import InputError
from cfclip.viewing import changed_share, heat_map

GREY = Image.new("RGB", (8, 8), (120, 120, 120))


def with_square(colour: tuple[int, int, int]) -> Image.Image:
    changed = GREY.copy()
    changed.paste(colour, (0, 0, 4, 4))
    return changed


def test_nothing_changed_is_a_faded_picture() -> None:
    assert changed_share(GREY, GREY) == 0.0
    made = heat_map(GREY, GREY)
    (colour,) = {tuple(pixel) for row in np.asarray(made).tolist() for pixel in row}
    assert len(set(colour)) == 1
    assert 120 < colour[0] < 255


def test_heat_is_where_the_change_is_and_grows_with_it() -> None:
    weak, strong = with_square((130, 120, 120)), with_square((0, 255, 0))
    assert 0.24 < changed_share(GREY, strong) <= 0.25
    assert 0 < changed_share(GREY, weak) < 0.05
    still = np.asarray(heat_map(GREY, GREY))
    for changed in (weak, strong):
        made = np.asarray(heat_map(GREY, changed))
        assert (made[4:] == still[4:]).all()
        assert (made[:4, :4] != still[:4, :4]).any(2).all()
    hot = np.asarray(heat_map(GREY, strong))[0, 0].tolist()
    assert hot[0] > 150
    assert hot[1] < 60


def test_other_sizes_are_refused() -> None:
    for compare in (changed_share, heat_map):
        with pytest.raises(InputError, match="8x8 and 4x4"):
            compare(GREY, GREY.resize((4, 4)))
        with pytest.raises(InputError, match="two squares"):
            compare(GREY.resize((4, 8)), GREY.resize((4, 8)))
