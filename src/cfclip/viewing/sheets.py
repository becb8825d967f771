"""Pictures of pictures: before/after strips, contact sheets and grids, with what they show."""

import math
from collections.abc import Sequence
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

from cfclip.errors import InputError

MIN_TILE = 256
"""Side in pixels that small images are enlarged to (by a whole factor, so pixels stay square)."""

Tile: TypeAlias = tuple[Image.Image, str]
"""An image and its caption, which may be empty."""

LINE_HEIGHT = 20
"""Pixels that a line of text takes."""

_PAPER, _INK = "#ffffff", "#202020"
_TEXT_SIZE = 14
_GAP = 8
_LABEL_WIDTH = 120
_MAX_PIXELS = 50_000_000
"""Of a sheet: as many as `cfclip.images.image_files` reads of a picture."""


def sheet(
    rows: Sequence[Sequence[Tile]],
    heads: Sequence[str] = (),
    labels: Sequence[str] = (),
    side: int | None = None,
) -> Image.Image:
    """Rows of tiles on paper; texts are wrapped to the width of a tile.

    All tiles have the size of the first image, which is enlarged by a whole factor if it is smaller
    than `MIN_TILE`; images of another size are scaled until they fit.

    Args:
        rows: one tile or more each; they may differ in number.
        heads: a text above each column.
        labels: a text to the left of each row, wrapped to a narrow column.
        side: makes tiles square, of so many pixels.

    Raises:
        InputError: no images, or more than a sheet can hold.
    """
    if not rows or not all(rows):
        raise InputError("a sheet of no images: give at least one image in every row")
    tile = _tile(rows[0][0][0], side)
    columns = max(len(row) for row in rows)
    captions = [[_wrap(caption, tile[0]) for _, caption in row] for row in rows]
    above = [_wrap(head, tile[0]) for head in heads]
    beside = [_wrap(label, _LABEL_WIDTH) for label in labels] or [[] for _ in rows]
    widest = max((_font().getlength(line) for lines in beside for line in lines), default=0)
    margin = math.ceil(widest) + _GAP if widest else 0
    top = _GAP + LINE_HEIGHT * max(map(len, above), default=0)
    heights = [tile[1] + LINE_HEIGHT * max(map(len, row)) for row in captions]
    width = margin + columns * (tile[0] + _GAP) + _GAP
    paper = _paper(width, top + sum(heights) + _GAP * len(rows))
    places = [_GAP + margin + column * (tile[0] + _GAP) for column in range(columns)]
    for left, lines in zip(places, above, strict=False):
        _write(paper, left, top - LINE_HEIGHT * len(lines), lines)
    for row, texts, label, height in zip(rows, captions, beside, heights, strict=True):
        _write(paper, _GAP, top + (tile[1] - LINE_HEIGHT * len(label)) // 2, label)
        for left, (image, _), lines in zip(places, row, texts, strict=False):
            shown = _fitted(image, tile)
            across, down = ((tile[i] - shown.size[i]) // 2 for i in (0, 1))
            paper.paste(shown, (left + across, top + down))
            _write(paper, left, top + tile[1], lines)
        top += height + _GAP
    return paper


def strip(tiles: Sequence[Tile]) -> Image.Image:
    """One row of tiles: a sheet with a single row."""
    return sheet([tiles])


def in_rows(tiles: Sequence[Tile], columns: int) -> list[Sequence[Tile]]:
    """The tiles in rows of so many, the last of which may be shorter.

    >>> tile = Image.new("L", (1, 1))
    >>> [len(row) for row in in_rows([(tile, "")] * 5, 2)]
    [2, 2, 1]
    """
    return [tiles[first : first + columns] for first in range(0, len(tiles), columns)]


def fitted(image: Image.Image, side: int) -> Image.Image:
    """The image as a tile of `side` pixels shows it: RGB, in its own shape."""
    return _fitted(image, (side, side))


def enlarged(image: Image.Image) -> Image.Image:
    """The image as a tile of its own size shows it: at least `MIN_TILE` wide, by a whole factor."""
    return _fitted(image, _tile(image, None))


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(_TEXT_SIZE)


def _wrap(text: str, width: int) -> list[str]:
    """Lines of `text` that fit `width` pixels; a single word that is too long is cut."""
    lines: list[str] = []
    kind = _font()
    for word in text.split():
        while len(word) > 1 and kind.getlength(word) > width:
            word = word[:-1]
        if lines and kind.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] = f"{lines[-1]} {word}"
        else:
            lines.append(word)
    return lines


def _tile(image: Image.Image, side: int | None) -> tuple[int, int]:
    if side is not None:
        return side, side
    factor = max(1, -(-MIN_TILE // image.width))
    return image.width * factor, image.height * factor


def _paper(width: int, height: int) -> Image.Image:
    if width * height > _MAX_PIXELS:
        raise InputError(
            f"the sheet would have {width:,} x {height:,} pixels, the limit is {_MAX_PIXELS:,}; "
            "give fewer images, or a smaller size for each"
        )
    return Image.new("RGB", (width, height), _PAPER)


def _fitted(image: Image.Image, tile: tuple[int, int]) -> Image.Image:
    """The image as large as fits the tile; its pixels stay square where the factor is whole."""
    share = min(tile[0] / image.width, tile[1] / image.height)
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    whole = share == int(share)
    sampling = Image.Resampling.NEAREST if whole else Image.Resampling.LANCZOS
    return image.convert("RGB").resize(size, sampling)


def _write(paper: Image.Image, left: int, top: int, lines: Sequence[str]) -> None:
    draw = ImageDraw.Draw(paper)
    for number, line in enumerate(lines):
        draw.text((left, top + number * LINE_HEIGHT), line, _INK, _font())
