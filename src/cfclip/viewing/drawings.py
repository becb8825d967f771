"""Drawings of lines, dots and texts, as SVG or as pixels; and the look of all that cfclip draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias
from xml.sax.saxutils import escape

from PIL import Image, ImageDraw, ImageFont

PAPER = "#ffffff"
INK = "#202020"
FAINT = "#dddddd"
"""Of lines that only help to read."""
PALETTE = (
    *("#000000", "#e69f00", "#56b4e9", "#009e73"),
    *("#d55e00", "#0072b2", "#cc79a7", "#999933"),
)
"""Okabe and Ito (2008): told apart by everybody."""
TEXT_SIZE = 14
LINE_HEIGHT = 20

Anchor: TypeAlias = Literal["start", "middle", "end"]

_FINER = 2
"""Pixels are drawn so many times finer and then averaged: PIL draws lines with steps."""
_ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}


@dataclass(frozen=True)
class Line:
    """A line through points."""

    points: tuple[tuple[float, float], ...]
    colour: str = INK
    width: float = 1.0


@dataclass(frozen=True)
class Dot:
    """A filled circle."""

    x: float
    y: float
    radius: float
    colour: str = INK


@dataclass(frozen=True)
class Text:
    """A text whose base line begins, has its middle, or ends at a point."""

    x: float
    y: float
    text: str
    anchor: Anchor = "start"
    upwards: bool = False
    """Whether it is turned to be read from below to above."""


Shape: TypeAlias = Line | Dot | Text


@dataclass(frozen=True)
class Drawing:
    """Shapes on paper, the later ones over the earlier; y grows downwards."""

    width: int
    height: int
    shapes: Sequence[Shape]

    def svg(self) -> str:
        """The text of an SVG file."""
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'font-family="sans-serif" font-size="{TEXT_SIZE}" fill="{INK}">',
            f'<rect width="{self.width}" height="{self.height}" fill="{PAPER}"/>',
            *map(_svg, self.shapes),
            "</svg>",
        ]
        return "\n".join(lines) + "\n"

    def picture(self, scale: int = 2) -> Image.Image:
        """An RGB picture of `scale` pixels for each unit, 2 for a screen of high resolution."""
        fine = scale * _FINER
        paper = Image.new("RGB", (self.width * fine, self.height * fine), PAPER)
        for shape in self.shapes:
            _paint(paper, shape, fine)
        return paper.resize((self.width * scale, self.height * scale), Image.Resampling.BOX)


def font(size: float = TEXT_SIZE) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """That of all texts in pixels."""
    return ImageFont.load_default(size)


def _svg(shape: Shape) -> str:
    match shape:
        case Line(((x1, y1), (x2, y2))):
            return (
                f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                f'stroke="{shape.colour}" stroke-width="{shape.width:g}"/>'
            )
        case Line():
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape.points)
            return (
                f'<polyline points="{points}" fill="none" stroke="{shape.colour}" '
                f'stroke-width="{shape.width:g}" stroke-linejoin="round"/>'
            )
        case Dot():
            return (
                f'<circle cx="{shape.x:.1f}" cy="{shape.y:.1f}" r="{shape.radius:g}" '
                f'fill="{shape.colour}"/>'
            )
        case Text():
            at = f'x="{shape.x:.1f}" y="{shape.y:.1f}"'
            turned = f' transform="rotate(-90 {shape.x:.1f} {shape.y:.1f})"'
            return (
                f'<text {at}{turned if shape.upwards else ""} text-anchor="{shape.anchor}">'
                f"{escape(shape.text)}</text>"
            )


def _paint(paper: Image.Image, shape: Shape, scale: int) -> None:
    draw = ImageDraw.Draw(paper)
    match shape:
        case Line():
            width = max(1, round(shape.width * scale))
            places = [(x * scale, y * scale) for x, y in shape.points]
            for one, other in pairwise(places):
                draw.line((*one, *other), shape.colour, width)
            if width > 2:  # joints that a change of direction would leave open
                for x, y in places[1:-1]:
                    _circle(draw, x, y, width / 2, shape.colour)
        case Dot():
            x, y, radius = (scale * each for each in (shape.x, shape.y, shape.radius))
            _circle(draw, x, y, radius, shape.colour)
        case Text():
            _write(paper, shape, scale)


def _circle(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: str) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)


def _write(paper: Image.Image, text: Text, scale: int) -> None:
    kind, x, y = font(TEXT_SIZE * scale), text.x * scale, text.y * scale
    if not text.upwards:
        ImageDraw.Draw(paper).text((x, y), text.text, INK, kind, _ANCHORS[text.anchor])
        return
    # Written on a square around the point, and turned with it.
    side = 2 * round(kind.getlength(text.text) + 2 * TEXT_SIZE * scale)
    square = Image.new("L", (side, side))
    draw = ImageDraw.Draw(square)
    draw.text((side / 2, side / 2), text.text, 255, kind, _ANCHORS[text.anchor])
    corner = (round(x - side / 2), round(y - side / 2))
    paper.paste(Image.new("RGB", (side, side), INK), corner, square.rotate(90))
