from xml.etree import ElementTree

import pytest
from PIL import ImageColor

from cfclip.viewing.charts import Point, Series, chart, curve
from cfclip.viewing.drawings import PALETTE

SVG = "{http://www.w3.org/2000/svg}"
HALF = Series("half & half", (Point(1.0, 0.5, 0.25, 0.75), Point(2.0, 0.5)))
FULL = Series("full", (Point(0.5, 1.0),))


def drawn(log: bool) -> ElementTree.Element:
    return ElementTree.fromstring(chart([HALF, FULL], "seconds", "exact", log).svg())


@pytest.mark.parametrize("log", [False, True])
def test_points_lie_where_they_should(log: bool) -> None:
    root = drawn(log)
    circles = [(float(c.get("cx", 0)), float(c.get("cy", 0))) for c in root.iter(f"{SVG}circle")]
    one, two, _, half, _ = circles  # each series, then its mark in the legend
    grid = [float(line.get("y1", 0)) for line in root.iter(f"{SVG}line")][:6]
    bottom, top = max(grid), min(grid)
    assert one[1] == two[1] == (bottom + top) / 2
    assert half[1] == top
    assert half[0] < one[0] < two[0]
    if log:
        assert one[0] - half[0] == pytest.approx(two[0] - one[0], abs=0.2)
    else:
        assert 2 * (one[0] - half[0]) == pytest.approx(two[0] - one[0], abs=0.2)


def test_ticks_are_round() -> None:
    def ticks(log: bool) -> list[str]:
        middle = [t.text or "" for t in drawn(log).iter(f"{SVG}text") if t.get("y") == "410.0"]
        return middle

    assert ticks(False) == ["0", "0.5", "1", "1.5", "2"]
    assert ticks(True) == ["0.5", "1", "2"]


def test_names_and_labels_are_there() -> None:
    texts = {each.text for each in drawn(False).iter(f"{SVG}text")}
    assert {"half & half", "full", "seconds", "exact", "0 %", "100 %"} <= texts


def test_one_point_is_a_chart_too() -> None:
    ElementTree.fromstring(chart([FULL], "x", "y", True).svg())
    ElementTree.fromstring(chart([Series("zero", (Point(0.0, 0.0),))], "x", "y").svg())


def test_values_have_an_axis_of_their_own() -> None:
    series = Series("loss", tuple(Point(float(x), 3.2 - 0.01 * x) for x in range(100)))
    root = ElementTree.fromstring(chart([series], "steps", "total", scale="values").svg())
    texts = [each.text for each in root.iter(f"{SVG}text")]
    assert {"2.2", "2.4", "3", "3.2"} <= set(texts)
    assert not any("%" in (text or "") for text in texts)
    (line,) = root.iter(f"{SVG}polyline")  # so many points are a line without dots
    assert len((line.get("points") or "").split()) == 100
    assert len(list(root.iter(f"{SVG}circle"))) == 1  # of the legend


def test_a_small_curve_falls_from_left_to_right() -> None:
    picture = curve([1.0, 0.5, 0.0]).picture(1)
    colour = ImageColor.getrgb(PALETTE[5])
    blue = [
        (x, y)
        for x in range(picture.width)
        for y in range(picture.height)
        if picture.getpixel((x, y)) == colour
    ]
    assert max(blue)[1] - min(blue)[1] > picture.height // 2
