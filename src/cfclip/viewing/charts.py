"""Charts of values over x, drawn by matplotlib, which is the extra `plots`."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from PIL import Image

from cfclip.errors import InputError, plain, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Scale: TypeAlias = Literal["shares", "values"]

PALETTE = (
    *("#000000", "#e69f00", "#56b4e9", "#009e73"),
    *("#d55e00", "#0072b2", "#cc79a7", "#999933"),
)
"""Okabe and Ito (2008): told apart by everybody."""
MOST_DRAWN = 1e30
"""No number in a chart is larger; differences of such can be told, and their ticks be written."""

_FAINT = "#dddddd"
"""Of lines that only help to read."""
_BLUE = 5
"""Place in the palette of the colour of a small chart."""
_DOTS_PER_INCH = 100
_SIZE, _SMALL_SIZE = (7.2, 4.5), (2.56, 2.56)
"""Inches."""
_MARGIN = 1.15
"""Of an axis beyond its outermost point."""
_MOST_DOTS = 40
"""Of a line with more points only the line is drawn."""
_LONGEST_NAME = 26
"""Characters of a name in the legend."""
_STYLE = {
    "text.parse_math": False,  # a dollar in a name is a dollar
    "svg.fonttype": "none",  # texts stay texts
    "svg.hashsalt": "cfclip",  # the same chart gives the same bytes
}


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
) -> "Figure":
    """A chart of several series, each in a colour of its own, for `svg_of` or `picture_of`.

    Args:
        series: at least one, each with a point or more, of numbers up to `MOST_DRAWN` on either
            side of 0; with `log_x`, x is above 0.
        x_label, y_label: names of the axes.
        log_x: whether the x axis is logarithmic.
        scale: "shares" for a y axis from 0 to 100 %, "values" for one around the values.

    Raises:
        InputError: the extra `plots` is not installed.
    """
    with _drawing():
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, PercentFormatter

        figure = Figure(_SIZE, _DOTS_PER_INCH, layout="constrained")
        axes = figure.subplots()
        for index, each in enumerate(series):
            _draw(axes, each, PALETTE[index % len(PALETTE)])
        xs = [point.x for each in series for point in each.points]
        if log_x:
            axes.set_xscale("log")
            axes.set_xlim(min(xs) / _MARGIN, max(xs) * _MARGIN)
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_minor_locator(NullLocator())
        else:
            axes.set_xlim(min(0.0, *xs), max(xs) * _MARGIN or 1.0)
            axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter("{x:g}")
        if scale == "shares":
            axes.set_ylim(0.0, 1.0)
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        else:
            axes.yaxis.set_major_formatter("{x:.6g}")
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.grid(axis="y", color=_FAINT)
        axes.set_axisbelow(True)
        lines = axes.get_lines()
        names = [shortened(plain(each.name), _LONGEST_NAME) for each in series]
        figure.legend(lines, names, loc="outside right upper", frameon=False)
        return figure


def curve(values: Sequence[float]) -> "Figure":
    """A small chart without numbers: values, one a step, from 0 (or below) to the largest.

    Raises `InputError` as `chart` does.
    """
    with _drawing():
        from matplotlib.figure import Figure

        figure = Figure(_SMALL_SIZE, _DOTS_PER_INCH, layout="constrained")
        axes = figure.subplots()
        axes.axhline(0.0, color=_FAINT)
        axes.plot(values, color=PALETTE[_BLUE], linewidth=2)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        return figure


def svg_of(figure: "Figure") -> str:
    """The text of an SVG file; the same chart gives the same one."""
    with _drawing():
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
        return stream.getvalue()


def picture_of(figure: "Figure") -> Image.Image:
    """An RGB picture, as large as charts are in sheets."""
    with _drawing():
        stream = io.BytesIO()
        figure.savefig(stream, format="png")
        return Image.open(stream).convert("RGB")


@contextmanager
def _drawing() -> Iterator[None]:
    """matplotlib is there, looks the same whatever its user has set, and is silent."""
    try:
        from matplotlib import style
    except ImportError as error:
        raise InputError("charts need matplotlib; pip install 'cfclip[plots]'") from error
    # Of letters that its font does not have: a box stands for them.
    silent = warnings.catch_warnings(action="ignore", category=UserWarning)
    with style.context(["default", _STYLE]), silent:
        yield


def _draw(axes: "Axes", series: Series, colour: str) -> None:
    xs, ys = [point.x for point in series.points], [point.y for point in series.points]
    axes.plot(xs, ys, color=colour, marker="o" if len(xs) <= _MOST_DOTS else None)
    for point in series.points:
        if point.low is not None and point.high is not None:
            axes.vlines(point.x, point.low, point.high, color=colour)
