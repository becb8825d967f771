import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageColor

from cfclip.apps.cli import main
from cfclip.errors import InputError
from cfclip.viewing.charts import PALETTE, Point, Series, chart, curve, picture_of, svg_of

SVG = "{http://www.w3.org/2000/svg}"
HALF = Series("half & half", (Point(1.0, 0.5, 0.25, 0.75), Point(2.0, 0.5)))
FULL = Series("full", (Point(0.5, 1.0),))


def texts(figure: Figure) -> list[str]:
    root = ElementTree.fromstring(svg_of(figure))
    return ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]


def ticks(log: bool) -> list[str]:
    """Those of the x axis, which comes first."""
    found = texts(chart([HALF, FULL], "seconds", "exact", log))
    return found[: found.index("seconds")]


def blue_of(picture: Image.Image) -> list[tuple[int, int]]:
    colour = ImageColor.getrgb(PALETTE[5])
    pixels = ((x, y) for x in range(picture.width) for y in range(picture.height))
    return [place for place in pixels if picture.getpixel(place) == colour]


@pytest.mark.parametrize("log", [False, True])
def test_points_lie_where_they_should(log: bool) -> None:
    (axes,) = chart([HALF, FULL], "seconds", "exact", log).axes
    lines = [axes.transData.transform(line.get_xydata()).tolist() for line in axes.get_lines()]
    (one, two), (half,) = lines
    bottom, top = axes.get_window_extent().y0, axes.get_window_extent().y1
    assert one[1] == two[1] == pytest.approx((bottom + top) / 2)
    assert half[1] == pytest.approx(top)
    assert half[0] < one[0] < two[0]
    share = 1 if log else 2
    assert share * (one[0] - half[0]) == pytest.approx(two[0] - one[0])


def test_ticks_are_round() -> None:
    assert ticks(False) == ["0", "0.5", "1", "1.5", "2"]
    assert ticks(True) == ["0.5", "1", "2"]


def test_names_and_labels_are_there() -> None:
    found = texts(chart([HALF, FULL], "seconds", "exact"))
    assert {"half & half", "full", "seconds", "exact", "0 %", "100 %"} <= set(found)


def test_names_are_shown_as_they_are() -> None:
    names = ["_hidden", "$x$", "\u7eff\u8272", "turned \u202e back", "n" * 99]
    figure = chart([Series(name, FULL.points) for name in names], "x", "y")
    assert texts(figure)[-5:] == [*names[:3], "turned \\u202e back", "n" * 13 + " ... " + "n" * 8]
    picture_of(figure)


def test_the_same_chart_gives_the_same_bytes() -> None:
    one, other = (chart([HALF, FULL], "x", "y") for _ in range(2))
    assert svg_of(one) == svg_of(other)
    assert picture_of(one).tobytes() == picture_of(other).tobytes()


def test_one_point_is_a_chart_too() -> None:
    ElementTree.fromstring(svg_of(chart([FULL], "x", "y", True)))
    ElementTree.fromstring(svg_of(chart([Series("zero", (Point(0.0, 0.0),))], "x", "y")))


def test_values_have_an_axis_of_their_own() -> None:
    series = Series("loss", tuple(Point(float(x), 3.2 - 0.01 * x) for x in range(100)))
    figure = chart([series], "steps", "total", scale="values")
    found = texts(figure)
    assert {"2.2", "2.4", "3", "3.2"} <= set(found)
    assert not any("%" in text for text in found)
    (line,) = figure.axes[0].get_lines()  # so many points are a line without dots
    assert len(line.get_xydata()) == 100
    assert line.get_marker() == "None"


def test_a_small_curve_falls_from_left_to_right() -> None:
    picture = picture_of(curve([1.0, 0.5, 0.0]))
    assert picture.size == (256, 256)
    blue = blue_of(picture)
    assert max(blue)[1] - min(blue)[1] > picture.height // 2


def test_without_matplotlib_it_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"pip install 'cfclip\[plots\]'"):
        chart([FULL], "x", "y")
    (tmp_path / "log.jsonl").write_text('{"step": 1, "total": 0.5}\n')
    assert main(["grid", "curves", str(tmp_path), "--out", str(tmp_path / "a.png")]) == 2
    assert "pip install 'cfclip[plots]'" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()
