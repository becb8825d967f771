"""Charts of values over x, drawn here: a few of them are no reason for a plotting library."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

from cfclip.viewing.drawings import FAINT, PALETTE, Dot, Drawing, Line, Shape, Text, font

Scale: TypeAlias = Literal["shares", "values"]

_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 500, 20, 390
_HEIGHT = 440
_TICKS = 5
_ROUND = (1, 2, 5)
_PERCENT = 100.0
_LABEL_GAP = 18
_MARGIN = 1.15  # of an axis beyond its outermost point
_MOST_DOTS = 40
"""Of a line with more points only the line is drawn."""
_LONGEST_NAME = 26
"""Characters of a name in the legend."""
_LEGEND_INDENT = 26
_OTHER_FONTS = 1.15
"""How much wider than in our own font a name may be in that of a browser."""
_SMALL, _SMALL_MARGIN, _BLUE = 256, 12, 5
"""Side and margin of a small chart, and the place of its colour in the palette."""
MOST_DRAWN = 1e30
"""No number in a chart is larger; differences of such can be told, and their ticks be written."""
_NARROWEST, _NARROWEST_SHARE = 1e-30, 1e-9
"""Of an axis, and of it as a share of the numbers on it."""


@dataclass(frozen=True)
class Point:
    """One point; of shares, `y` is a share of 1, shown as per cent."""

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


def chart(
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    log_x: bool = False,
    scale: Scale = "shares",
) -> Drawing:
    """A chart of several series, each in a colour of its own.

    Args:
        series: at least one, each with a point or more, of numbers up to `MOST_DRAWN` on either
            side of 0; with `log_x`, x is above 0.
        x_label, y_label: names of the axes.
        log_x: whether the x axis is logarithmic.
        scale: "shares" for a y axis from 0 to 100 %, "values" for one from the lowest y to the
            highest.
    """
    points = [point for each in series for point in each.points]
    across = _across([point.x for point in points], log_x)
    upwards = _Axis(0.0, 1.0, _BOTTOM, _TOP) if scale == "shares" else _upwards(points)
    shapes: list[Shape] = []
    for y in upwards.ticks():
        told = f"{_PERCENT * y:.0f} %" if scale == "shares" else f"{y:.6g}"
        at = upwards.place(y)
        shapes.append(Line(((_LEFT, at), (_RIGHT, at)), FAINT))
        shapes.append(Text(_LEFT - 6, at + 4, told, "end"))
    for x in across.ticks():
        at = across.place(x)
        shapes.append(Line(((at, _BOTTOM), (at, _BOTTOM + 5))))
        shapes.append(Text(at, _BOTTOM + 20, f"{x:g}", "middle"))
    shapes.append(Text((_LEFT + _RIGHT) / 2, _HEIGHT - 10, x_label, "middle"))
    shapes.append(Text(16, (_TOP + _BOTTOM) / 2, y_label, "middle", upwards=True))
    for index, each in enumerate(series):
        colour = PALETTE[index % len(PALETTE)]
        shapes += _drawn(each, across.place, upwards.place, colour)
        shapes += _legend(each.name, colour, index)
    widest = max(font().getlength(_shortened(each.name)) for each in series)
    width = _RIGHT + 2 * _LEGEND_INDENT + round(_OTHER_FONTS * widest)
    return Drawing(width, _HEIGHT, shapes)


def curve(values: Sequence[float]) -> Drawing:
    """A small chart without numbers: values, one a step, from 0 (or below) to the largest."""
    low, high = min(0.0, *values), max(0.0, *values)
    inner = _SMALL - _SMALL_MARGIN
    across = _Axis(0.0, max(1.0, len(values) - 1.0), _SMALL_MARGIN, inner)
    upwards = _Axis(low, high if high > low else low + 1.0, inner, _SMALL_MARGIN)
    left, bottom = across.place(0.0), upwards.place(0.0)
    line = tuple((across.place(step), upwards.place(y)) for step, y in enumerate(values))
    return Drawing(
        _SMALL,
        _SMALL,
        [
            Line(((left, inner), (left, _SMALL_MARGIN)), FAINT, 2),
            Line(((left, bottom), (inner, bottom)), FAINT, 2),
            Line(line, PALETTE[_BLUE], 3),
        ],
    )


class _Axis:
    """Where numbers lie between two ends.

    Args:
        low, high: the numbers at the ends, logarithms if `log`.
        start, end: where the ends lie.
    """

    def __init__(self, low: float, high: float, start: float, end: float, log: bool = False):
        self._low, self._high, self._log = low, high, log
        self._start, self._end = start, end

    def place(self, value: float) -> float:
        share = (_scaled(value, self._log) - self._low) / (self._high - self._low)
        return self._start + share * (self._end - self._start)

    def ticks(self) -> list[float]:
        """Round numbers within the axis."""
        if self._log:
            powers = range(math.floor(self._low), math.ceil(self._high) + 1)
            values = [each * 10.0**power for power in powers for each in _ROUND]
            return [x for x in values if self._low <= math.log10(x) <= self._high]
        step = _round_step(self._high - self._low)
        first, last = math.ceil(self._low / step - 1e-9), math.floor(self._high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]


def _across(values: Sequence[float], log: bool) -> _Axis:
    """The x axis: from 0, or from below the lowest value if that is below 0 or the axis is
    logarithmic, to beyond the highest."""
    low, high = min(values), max(values)
    first = _scaled(low / _MARGIN, log) if log else min(0.0, low)
    last = _scaled(high * _MARGIN, log)
    return _Axis(first, last if last - first > _NARROWEST else first + 1.0, _LEFT, _RIGHT, log)


def _upwards(points: Sequence[Point]) -> _Axis:
    """The y axis: round numbers around all values."""
    values = [y for point in points for y in (point.y, point.low, point.high) if y is not None]
    low, high = min(values), max(values)
    beside = _NARROWEST_SHARE * max(abs(low), abs(high))  # what floats of that size can tell apart
    if high - low <= max(beside, _NARROWEST):
        low, high = low - max(beside, 0.5), high + max(beside, 0.5)
    step = _round_step(high - low)
    return _Axis(step * math.floor(low / step), step * math.ceil(high / step), _BOTTOM, _TOP)


def _scaled(value: float, log: bool) -> float:
    return math.log10(value) if log else value


def _round_step(span: float) -> float:
    """The smallest round step of which a span has `_TICKS` at most."""
    power = 10.0 ** math.floor(math.log10(span / _TICKS))
    return next(each * power for each in (*_ROUND, 10) if each * power * _TICKS >= span * 0.999999)


def _drawn(
    series: Series, across: Callable[[float], float], upwards: Callable[[float], float], colour: str
) -> list[Shape]:
    places = [(across(point.x), upwards(point.y)) for point in series.points]
    shapes: list[Shape] = []
    if len(places) > _MOST_DOTS:
        return [Line(tuple(places), colour, 2)]
    shapes += [Line(pair, colour, 2) for pair in pairwise(places)]
    for point, (x, y) in zip(series.points, places, strict=True):
        if point.low is not None and point.high is not None:
            ends = ((x, upwards(point.low)), (x, upwards(point.high)))
            shapes.append(Line(ends, colour, 1.5))
        shapes.append(Dot(x, y, 4, colour))
    return shapes


def _legend(name: str, colour: str, index: int) -> list[Shape]:
    at = _TOP + 10 + index * _LABEL_GAP
    dot = Dot(_RIGHT + _LEGEND_INDENT - 10, at - 4, 4, colour)
    return [dot, Text(_RIGHT + _LEGEND_INDENT, at, _shortened(name))]


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 3] + "..."
