"""The SVG of an avatar, put together from precompiled fragments.

The shapes are those of DiceBear's "ToonHead" style, read at run time from the `dicebear-styles`
package: a remix of "ToonHead" by Johan Melin, licensed under CC BY 4.0. Added here: brows with a
colour of their own and a little thicker, drawn over the hair; a larger mouth, drawn over the
beard, with lips as a filled shape of their own colour.
"""

from collections.abc import Mapping
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from cfclip.io import parse_json

CANVAS = 768  # the style's own units per side

# What the style's own names are beside ours in camel case.
_COMPONENTS = {"brows": "eyebrows"}
_VARIANTS = {"side_combed": "sideComed", "full": "fullBeard", "long": "longBeard"}
# From back to front. The style draws the beard over the mouth and the hair over the brows; the
# other way round no brow and no lip is ever hidden.
_ORDER = ("rear_hair", "body", "head", "clothes", "beard", "mouth", "eyes", "hair", "brows")
# A mere moustache would vanish below the larger mouth: it is drawn over it, and a little higher.
_OVER_MOUTH = ("chin_moustache", "moustache_twirl")
_MOUSTACHE_LIFT = 14

MOUTH_CENTRE = (384.5, 527.0)
MOUTH_SCALE = {"agape": 1.5, "angry": 1.6, "laugh": 1.6}
_STYLE_MOUTH_CENTRE = (58.2, 26.0)
# Lip width around an opening, in the style's units before scaling.
_LIP_BAND = {"agape": 14.0, "angry": 12.0, "laugh": 12.0}
_BROW_STROKE = 7.0
_LINE = "#3f2626"

# Closed lips, drawn by us around (0, 0): the outline of both lips and the line between them.
_CLOSED_LIPS = {
    "smile": (
        "M-92-30C-62-16-30-12-14-14C-6-15-4-9 0-9C4-9 6-15 14-14C30-12 62-16 92-30"
        "C74 16 38 40 0 40C-38 40-74 16-92-30Z",
        "M-92-30C-60 0-26 10 0 10C26 10 60 0 92-30",
    ),
    "sad": (
        "M-84 36C-70-4-38-28-14-28C-6-28-4-22 0-22C4-22 6-28 14-28C38-28 70-4 84 36"
        "C56 20 28 20 0 20C-28 20-56 20-84 36Z",
        "M-84 36C-56 4-26-2 0-2C26-2 56 4 84 36",
    ),
}


@lru_cache(maxsize=1)
def _style() -> dict[str, Any]:
    text = (resources.files("dicebear_styles") / "toon-head.json").read_text(encoding="utf-8")
    style: dict[str, Any] = parse_json(text)
    return style


def _compile(element: Mapping[str, Any], colours: Mapping[str, str]) -> str:
    """One element of the style as text with `{slot}` where a colour goes."""
    attributes = ""
    for key, value in element.get("attributes", {}).items():
        if isinstance(value, dict):
            value = "{" + colours.get(value["name"], value["name"]) + "}"
        elif key in ("fill", "stroke") and not value.startswith(("none", "url")):
            # Fixed colours are slots too, so that masks can blacken them.
            value = "{shadow}" if value == "black" else "{fixed" + value.replace("#", "_") + "}"
        attributes += f' {key}="{value}"'
    children = "".join(_compile(child, colours) for child in element.get("children", []))
    return f"<{element['name']}{attributes}>{children}</{element['name']}>"


def _component(name: str, variant: str, colours: Mapping[str, str]) -> str:
    elements = _style()["components"][name]["variants"][variant]["elements"]
    return "".join(_compile(element, colours) for element in elements)


def _mouth(shape: str) -> str:
    x, y = MOUTH_CENTRE
    if shape in _CLOSED_LIPS:
        outline, line = _CLOSED_LIPS[shape]
        return (
            f'<g transform="translate({x} {y})"><path d="{outline}" fill="{{lips}}"/>'
            f'<path d="{line}" stroke="{{fixed_{_LINE[1:]}}}" stroke-width="7"'
            ' stroke-linecap="round"/></g>'
        )
    # An open mouth: its own outline, filled and widely stroked with the lip colour, below it.
    elements = _style()["components"]["mouth"]["variants"][shape]["elements"]
    opening = next(e for e in elements if e["name"] == "mask")["children"][0]
    lips = dict(opening["attributes"])
    lips |= {"fill": {"name": "lips"}, "stroke": {"name": "lips"}, "stroke-linejoin": "round"}
    lips["stroke-width"] = str(2 * _LIP_BAND[shape])
    cx, cy = _STYLE_MOUTH_CENTRE
    return (
        f'<g transform="translate({x} {y}) scale({MOUTH_SCALE[shape]}) translate({-cx} {-cy})">'
        + _compile({"name": opening["name"], "attributes": lips}, {})
        + _component("mouth", shape, {})
        + "</g>"
    )


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.title, others))


@cache
def fragment(attribute: str, shape: str) -> str:
    """SVG text of one part's shape, placed on the canvas, with `{slot}` for each colour.

    Args:
        attribute: a shape attribute, or `body` or `head`.
        shape: its value; `none` gives no text.
    """
    if shape == "none":
        return ""
    if attribute == "mouth":
        return _mouth(shape)
    component = _COMPONENTS.get(attribute, _camel_case(attribute))
    variant = _VARIANTS.get(shape, _camel_case(shape))
    # Each hairy part has a slot of its own, so that masks can tell them apart.
    colours = {"hair": attribute} if attribute in ("hair", "rear_hair", "beard", "brows") else {}
    text = _component(component, variant, colours)
    if attribute == "brows":
        # A stroke of the brow's own colour makes the brows readable at low resolution.
        text = text.replace(
            'stroke="{stroke}"', f'stroke="{{brows}}" stroke-width="{_BROW_STROKE}"'
        )
    canvas = next(e for e in _style()["canvas"]["elements"] if e["name"] == component)
    lift = f"translate(0 {-_MOUSTACHE_LIFT}) " if shape in _OVER_MOUTH else ""
    return f'<g transform="{lift}{canvas["attributes"]["transform"]}">{text}</g>'


@lru_cache(maxsize=4096)
def template(shapes: tuple[str, ...], names: tuple[str, ...], background: bool = True) -> str:
    """The whole SVG with colour slots, for `str.format_map`.

    Args:
        shapes: the shape of every attribute in `names`, in order.
        background: whether to fill the canvas with the `{background}` slot.
    """
    chosen = dict(zip(names, shapes, strict=True)) | {"body": "body", "head": "head"}
    order = list(_ORDER)
    if chosen["beard"] in _OVER_MOUTH:
        order.remove("beard")
        order.insert(order.index("mouth") + 1, "beard")
    rect = f'<rect width="{CANVAS}" height="{CANVAS}" fill="{{background}}"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {CANVAS} {CANVAS}" fill="none">'
        + (rect if background else "")
        + "".join(fragment(name, chosen[name]) for name in order)
        + "</svg>"
    )
