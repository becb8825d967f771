"""Sheets: where tiles, heads, labels and captions are."""

import pytest
from PIL import Image

from cfclip.errors import InputError
from cfclip.viewing.sheets import LINE_HEIGHT, MIN_TILE, fitted, in_rows, sheet, strip

GAP = 8
RED, BLUE, WHITE = (200, 0, 0), (0, 0, 200), (255, 255, 255)


def tile(colour: tuple[int, int, int], width: int = 256, height: int = 256) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def inked(picture: Image.Image, box: tuple[int, int, int, int]) -> bool:
    """Whether anything but paper is in a box."""
    return picture.crop(box).getextrema() != ((255, 255),) * 3


def test_small_images_are_enlarged_and_stand_side_by_side() -> None:
    made = strip([(tile(RED, 100, 100), ""), (tile(BLUE, 100, 100), "")])
    assert made.size == (2 * (300 + GAP) + GAP, 300 + 2 * GAP)
    assert made.getpixel((GAP, GAP)) == made.getpixel((GAP + 299, GAP + 299)) == RED
    assert made.getpixel((GAP + 300, GAP)) == WHITE
    assert made.getpixel((2 * GAP + 300, GAP)) == BLUE


def test_captions_heads_and_labels_have_their_places() -> None:
    rows = [[(tile(RED), "caption"), (tile(BLUE), "")], [(tile(BLUE), "")]]
    plain = sheet([[(image, "") for image, _ in row] for row in rows])
    assert plain.size == (2 * MIN_TILE + 3 * GAP, 2 * MIN_TILE + 3 * GAP)
    captioned = sheet(rows)
    assert captioned.height == plain.height + LINE_HEIGHT  # of the first row alone
    top = GAP + MIN_TILE
    assert inked(captioned, (GAP, top, GAP + MIN_TILE, top + LINE_HEIGHT))
    assert not inked(captioned, (2 * GAP + MIN_TILE, top, captioned.width, top + LINE_HEIGHT))
    headed = sheet(rows, heads=("one", "two " * 40))
    lines = (headed.height - captioned.height) // LINE_HEIGHT
    assert lines > 1
    # A short head stands right above its column.
    above = (GAP, GAP, GAP + MIN_TILE, GAP + (lines - 1) * LINE_HEIGHT)
    assert not inked(headed, above)
    assert inked(headed, (GAP, above[3], GAP + MIN_TILE, above[3] + LINE_HEIGHT))
    labelled = sheet(rows, labels=("first row", ""))
    left = labelled.width - captioned.width
    assert 0 < left < MIN_TILE
    assert inked(labelled, (0, GAP, left, top))
    assert not inked(labelled, (0, top, left, labelled.height))
    assert labelled.getpixel((left + GAP, GAP)) == RED


def test_images_of_other_sizes_are_fitted() -> None:
    made = strip([(tile(RED), ""), (tile(BLUE, 1000, 500), "")])
    assert made.size == (2 * MIN_TILE + 3 * GAP, MIN_TILE + 2 * GAP)
    left = MIN_TILE + 2 * GAP
    assert made.getpixel((left + 10, GAP + 10)) == WHITE
    assert made.getpixel((left + 10, GAP + MIN_TILE // 2)) == BLUE
    square = sheet([[(tile(RED, 100, 100), "")]], side=50)
    assert square.size == (50 + 2 * GAP, 50 + 2 * GAP)
    assert fitted(tile(RED, 1, 1000), 64).size == (1, 64)


def test_whole_factors_keep_pixels_square() -> None:
    image = Image.new("RGB", (2, 2), RED)
    image.putpixel((0, 0), BLUE)
    colours = {colour for _, colour in fitted(image, 64).getcolors() or []}
    assert colours == {RED, BLUE}


def test_rows_of_a_contact_sheet() -> None:
    tiles = [(tile(RED), str(number)) for number in range(5)]
    assert [[caption for _, caption in row] for row in in_rows(tiles, 3)] == [
        list("012"),
        ["3", "4"],
    ]


def test_nothing_and_too_much_are_refused() -> None:
    for rows in ([], [[]], [[(tile(RED), "")], []]):
        with pytest.raises(InputError, match="a sheet of no images"):
            sheet(rows)
    many = [[(tile(RED, 1, 1), "")] * 100] * 100
    with pytest.raises(InputError, match=r"would have .* pixels, the limit is 50,000,000; give"):
        sheet(many, side=256)
