"""Pictures of pictures: before/after strips and contact sheets, with captions."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from cfclip.errors import InputError

MIN_TILE = 256
"""Side in pixels that small images are enlarged to (by a whole factor, so pixels stay square)."""

_GAP = 8
_CAPTION_SIZE = 14
_LINE_HEIGHT = 20
_PAPER = (255, 255, 255)
_INK = (32, 32, 32)


def sheet(rows: Sequence[Sequence[tuple[Image.Image, str]]]) -> Image.Image:
    """Rows of (image, caption) on white paper; captions are wrapped to the width of their tile.

    Images of one sheet have one size, which is that of a pack. Images smaller than `MIN_TILE` are
    enlarged by a whole factor.
    """
    if not rows or not all(rows):
        raise InputError("a sheet of no images: give at least one image in every row")
    tile = enlarged(rows[0][0][0]).size
    font = ImageFont.load_default(_CAPTION_SIZE)
    wrapped = [[_wrap(caption, font, tile[0]) for _, caption in row] for row in rows]
    heights = [tile[1] + _LINE_HEIGHT * max(len(lines) for lines in row) for row in wrapped]
    columns = max(len(row) for row in rows)
    paper = Image.new(
        "RGB",
        (columns * (tile[0] + _GAP) + _GAP, sum(heights) + _GAP * (len(rows) + 1)),
        _PAPER,
    )
    draw = ImageDraw.Draw(paper)
    top = _GAP
    for row, captions, row_height in zip(rows, wrapped, heights, strict=True):
        for column, ((image, _), lines) in enumerate(zip(row, captions, strict=True)):
            left = _GAP + column * (tile[0] + _GAP)
            shown = image.convert("RGB").resize(tile, Image.Resampling.NEAREST)
            paper.paste(shown, (left, top))
            for line, text in enumerate(lines):
                draw.text((left, top + tile[1] + line * _LINE_HEIGHT), text, _INK, font)
        top += row_height + _GAP
    return paper


def enlarged(image: Image.Image) -> Image.Image:
    """`image` at least `MIN_TILE` wide: a small one enlarged by a whole factor."""
    factor = max(1, -(-MIN_TILE // image.width))
    size = (image.width * factor, image.height * factor)
    return image.resize(size, Image.Resampling.NEAREST)


def strip(tiles: Sequence[tuple[Image.Image, str]]) -> Image.Image:
    """One row of (image, caption): a sheet with a single row."""
    return sheet([tiles])


def _wrap(
    caption: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int
) -> list[str]:
    """Lines of `caption` that fit `width` pixels; a single word that is too long is cut."""
    lines: list[str] = []
    for word in caption.split():
        while len(word) > 1 and font.getlength(word) > width:
            word = word[:-1]
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] = f"{lines[-1]} {word}"
        else:
            lines.append(word)
    return lines
