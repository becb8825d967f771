"""Drawings: the same shapes as SVG and as pixels."""

from xml.etree import ElementTree

from PIL import ImageColor

from cfclip.viewing.drawings import INK, PAPER, Dot, Drawing, Line, Text

SVG = "{http://www.w3.org/2000/svg}"
DRAWING = Drawing(
    100,
    60,
    [
        Line(((10, 10), (90, 10)), "#ff0000", 4),
        Line(((10, 20), (50, 40), (90, 20)), "#0000ff", 2),
        Dot(85, 50, 5, "#00ff00"),
        Text(5, 55, "a < b & c"),
        Text(95, 30, "up", "middle", upwards=True),
    ],
)


def test_svg_has_every_shape_and_escapes_texts() -> None:
    root = ElementTree.fromstring(DRAWING.svg())
    names = [child.tag.removeprefix(SVG) for child in root]
    assert names == ["rect", "line", "polyline", "circle", "text", "text"]
    assert root.findall(f"{SVG}text")[0].text == "a < b & c"
    assert root.findall(f"{SVG}text")[1].get("transform") == "rotate(-90 95.0 30.0)"


def test_pixels_have_the_shapes_in_their_places() -> None:
    for scale in (1, 2):
        picture = DRAWING.picture(scale)
        assert picture.size == (100 * scale, 60 * scale)
        for place, colour in (
            ((50, 10), "#ff0000"),
            ((85, 50), "#00ff00"),
            ((3, 3), PAPER),
        ):
            found = picture.getpixel((place[0] * scale, place[1] * scale))
            assert found == ImageColor.getrgb(colour), (place, scale)


def test_a_text_upwards_is_higher_than_wide() -> None:
    for upwards in (False, True):
        drawing = Drawing(100, 100, [Text(50, 50, "a long text", "middle", upwards)])
        grey = drawing.picture(1).convert("L").point(lambda value: 255 * (value < 200))
        left, top, right, bottom = grey.getbbox() or (0, 0, 0, 0)
        assert (bottom - top > right - left) is upwards
        middle = (top + bottom) / 2 if upwards else (left + right) / 2
        assert abs(middle - 50) < 3
    assert INK != PAPER
