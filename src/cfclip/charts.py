"""Charts as SVG, drawn here: two of them are no reason for a plotting library."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.sax.saxutils import escape

# Okabe and Ito (2008): told apart by everybody.
_PALETTE = ("000000", "e69f00", "56b4e9", "009e73", "d55e00", "0072b2", "cc79a7", "999933")
_WIDTH, _HEIGHT = 720, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 230, 20, 50
_TICKS = 5
_ROUND = (1, 2, 5)
_PERCENT = 100.0
_LABEL_GAP = 18
_MARGIN = 1.15  # of an axis beyond its outermost point


@dataclass(frozen=True)
class Point:
    """One point; `y` is a share of 1, shown as per cent."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    """Ends of the interval of `y`, if there is one."""


@dataclass(frozen=True)
class Series:
    """Points that belong together, joined by a line in their order."""

    name: str
    points: tuple[Point, ...]


def chart(series: Sequence[Series], x_label: str, y_label: str, log_x: bool = False) -> str:
    """A chart of shares over x, from 0 to 100 %, as the text of an SVG file.

    Args:
        series: at least one, each with a point or more; with `log_x`, x is above 0.
        x_label, y_label: names of the axes.
        log_x: whether the x axis is logarithmic.
    """
    axis = _Axis([point.x for each in series for point in each.points], log_x)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        *_grid(axis),
        _text((_LEFT + _right()) / 2, _HEIGHT - 10, x_label, "middle"),
        f'<g transform="translate(16 {(_TOP + _bottom()) / 2}) rotate(-90)">'
        f"{_text(0, 0, y_label, 'middle')}</g>",
    ]
    for index, each in enumerate(series):
        parts += _drawn(each, axis, "#" + _PALETTE[index % len(_PALETTE)], index)
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Axis:
    """Where x lies."""

    def __init__(self, values: Sequence[float], log: bool) -> None:
        self._log = log
        low, high = min(values), max(values)
        self._low = self._of(low / _MARGIN) if log else min(0.0, low)
        self._high = self._of(high * _MARGIN)
        if self._high <= self._low:
            self._high = self._low + 1.0

    def _of(self, x: float) -> float:
        return math.log10(x) if self._log else x

    def place(self, x: float) -> float:
        share = (self._of(x) - self._low) / (self._high - self._low)
        return _LEFT + share * (_right() - _LEFT)

    def ticks(self) -> list[float]:
        """Round numbers within the axis."""
        if self._log:
            powers = range(math.floor(self._low), math.ceil(self._high) + 1)
            values = [each * 10.0**power for power in powers for each in _ROUND]
            return [x for x in values if self._low <= self._of(x) <= self._high]
        span = self._high - self._low
        power = 10.0 ** math.floor(math.log10(span / _TICKS))
        step = next(each * power for each in (*_ROUND, 10) if each * power * _TICKS >= span)
        first, last = math.ceil(self._low / step), math.floor(self._high / step)
        return [i * step for i in range(first, last + 1)]


def _right() -> float:
    return _WIDTH - _RIGHT


def _bottom() -> float:
    return _HEIGHT - _BOTTOM


def _height(share: float) -> float:
    return _bottom() - share * (_bottom() - _TOP)


def _grid(axis: _Axis) -> list[str]:
    parts = []
    for i in range(_TICKS + 1):
        share = i / _TICKS
        parts.append(_line((_LEFT, _height(share)), (_right(), _height(share)), "#ddd"))
        parts.append(_text(_LEFT - 6, _height(share) + 4, f"{_PERCENT * share:.0f} %", "end"))
    for x in axis.ticks():
        parts.append(_line((axis.place(x), _bottom()), (axis.place(x), _bottom() + 5), "#888"))
        parts.append(_text(axis.place(x), _bottom() + 20, f"{x:g}", "middle"))
    return parts


def _drawn(series: Series, axis: _Axis, colour: str, index: int) -> list[str]:
    places = [(axis.place(point.x), _height(point.y)) for point in series.points]
    parts = [_line(a, b, colour, 2) for a, b in pairwise(places)]
    for point, (x, y) in zip(series.points, places, strict=True):
        if point.low is not None and point.high is not None:
            parts.append(_line((x, _height(point.low)), (x, _height(point.high)), colour, 1.5))
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>')
    at = _TOP + 10 + index * _LABEL_GAP
    parts.append(f'<circle cx="{_right() + 16:.1f}" cy="{at - 4}" r="4" fill="{colour}"/>')
    return [*parts, _text(_right() + 26, at, series.name, "start")]


def _line(
    start: tuple[float, float], end: tuple[float, float], colour: str, width: float = 1.0
) -> str:
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
        f'stroke="{colour}" stroke-width="{width}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
