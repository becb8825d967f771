import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cfclip.errors import InputError
from cfclip.photos import PasteBack, paste_back
from cfclip.photos.alignment import Quad, align

SIDE = 64
MIDDLE = (24, 24, 39, 39)


def square(left: float, top: float, side: float, degrees: float = 0.0) -> Quad:
    angle = math.radians(degrees)
    across = side * np.array([math.cos(angle), math.sin(angle)])
    down = np.array([-across[1], across[0]])
    origin = np.array([left, top])
    corners = [origin, origin + down, origin + across + down, origin + across]
    return Quad(tuple((float(x), float(y)) for x, y in corners))


def photo(width: int = 200, height: int = 160) -> Image.Image:
    """Smooth, so that cutting and pasting lose next to nothing."""
    y, x = np.mgrid[:height, :width]
    channels = [
        127 + 90 * np.sin(x / 40),
        127 + 90 * np.cos(y / 30),
        127 + 90 * np.sin((x + y) / 50),
    ]
    return Image.fromarray(np.rint(np.stack(channels, -1)).astype(np.uint8))


def painted(image: Image.Image, box: tuple[int, int, int, int] = MIDDLE) -> Image.Image:
    made = image.copy()
    ImageDraw.Draw(made).rectangle(box, fill=(0, 255, 0))
    return made


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, float)


@pytest.mark.parametrize("side", [SIDE, 40.7, 96.2])
@pytest.mark.parametrize("degrees", [0, 17, -100])
def test_what_was_cut_comes_back_to_its_place(side: float, degrees: float) -> None:
    whole, quad = photo(400, 400), square(200, 200, side, degrees)
    crop = align(whole, quad, SIDE)
    made = paste_back(whole, quad, crop, crop, PasteBack("whole", 0.1))
    assert np.abs(pixels(made) - pixels(whole)).max() < 6


def test_without_a_change_the_photo_keeps_every_bit() -> None:
    whole, quad = photo(), square(60, 40, 80, 10)
    other = painted(Image.new("RGB", (SIDE, SIDE), "red"))
    assert paste_back(whole, quad, other, other).tobytes() == whole.tobytes()


def test_only_what_changed_is_pasted() -> None:
    whole, quad = photo(), square(59.5, 39.5, SIDE)
    before = align(whole, quad, SIDE)
    made = paste_back(whole, quad, painted(before), before, PasteBack("changed", 0.1))
    changed = (pixels(made) != pixels(whole)).any(2)
    rows, columns = np.nonzero(changed)
    assert (made.getpixel((60 + 31, 40 + 31))) == (0, 255, 0)
    reach = 0.1 * SIDE
    assert 60 + 24 - 2 * reach <= columns.min() < 60 + 24
    assert 60 + 39 < columns.max() <= 60 + 39 + 2 * reach
    assert 40 + 24 - 2 * reach <= rows.min() < 40 + 24


def test_the_edge_is_soft() -> None:
    whole, quad = Image.new("RGB", (200, 160), "black"), square(59.5, 39.5, SIDE)
    before, after = (Image.new("RGB", (SIDE, SIDE), colour) for colour in ("black", "white"))
    line = pixels(paste_back(whole, quad, after, before, PasteBack("whole", 0.25)))[72, :, 0]
    assert line[59] == 0.0
    assert line[92] == 255.0
    steps = np.diff(line[59:92])
    assert steps.min() >= 0.0
    assert steps.max() < 40.0


def test_without_a_feather_the_whole_crop_is_pasted_sharply() -> None:
    whole, quad = Image.new("RGB", (200, 160), "black"), square(59.5, 39.5, SIDE)
    before, after = (Image.new("RGB", (SIDE, SIDE), colour) for colour in ("black", "white"))
    for region in ("whole", "changed"):
        made = pixels(paste_back(whole, quad, after, before, PasteBack(region, 0.0)))[..., 0]
        expected = np.zeros((160, 200))
        expected[40 : 40 + SIDE, 60 : 60 + SIDE] = 255.0
        np.testing.assert_array_equal(made, expected)


def test_a_lone_pixel_is_no_change() -> None:
    whole, quad = photo(), square(59.5, 39.5, SIDE)
    before = Image.new("RGB", (256, 256), "grey")
    after = painted(before, (130, 130, 130, 130))
    assert paste_back(whole, quad, after, before).tobytes() == whole.tobytes()


def test_a_face_at_the_border_of_the_photo() -> None:
    whole, quad = photo(), square(-30, -20, 100)
    before = align(whole, quad, SIDE)
    made = paste_back(whole, quad, painted(before, (0, 0, 63, 63)), before, PasteBack("whole"))
    assert made.size == whole.size
    assert made.getpixel((10, 10)) == (0, 255, 0)
    assert made.getpixel((150, 100)) == whole.getpixel((150, 100))


def test_the_photo_given_is_not_changed() -> None:
    whole = photo()
    kept = whole.tobytes()
    before = Image.new("RGB", (SIDE, SIDE), "grey")
    paste_back(whole, square(60, 40, 80), painted(before), before)
    assert whole.tobytes() == kept


@pytest.mark.parametrize(
    ("values", "why"),
    [({"region": "all"}, "region is 'all'"), ({"feather": 0.6}, "feather is 0.6")],
)
def test_settings_that_do_not_fit(values: dict[str, object], why: str) -> None:
    with pytest.raises(InputError, match=why):
        PasteBack(**values)  # type: ignore[arg-type]


def test_pictures_of_other_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="64x64 pixels, what it started from 32x32"):
        paste_back(
            photo(),
            square(60, 40, 80),
            Image.new("RGB", (64, 64)),
            Image.new("RGB", (32, 32)),
        )
