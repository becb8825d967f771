"""Avatars as pixels: the image, the mask of every part, and what of it can be read.

Shapes: DiceBear's "ToonHead" by Johan Melin (CC BY 4.0), see `drawing`. Rasterised by resvg.
"""

import io
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import resvg_py
from numpy.typing import NDArray
from PIL import Image

from cfclip_benchmark.avatars import drawing
from cfclip_benchmark.avatars.attributes import (
    ATTRIBUTES,
    COLOURS,
    SHAPES,
    AttributeTable,
    AvatarRecord,
)
from cfclip_benchmark.avatars.colours import delta_e, lab_from_rgb

RESOLUTION = 128
# Around brows, eyes and mouth: x0, y0, x1, y1 as fractions of the side.
FACE_BOX = (0.30, 0.35, 0.70, 0.77)

# Mask part -> the colour attribute it shows.
PART_COLOURS: dict[str, str] = {
    "hair": "hair_colour",
    "rear_hair": "hair_colour",
    "beard": "hair_colour",
    "brows": "brow_colour",
    "lips": "lip_colour",
    "skin": "skin_colour",
    "clothes": "clothes_colour",
    "background": "background_colour",
}
PARTS: tuple[str, ...] = tuple(PART_COLOURS)

# Corners of the colour cube: no mixture of corners is a corner, so a pixel equal to a code is
# covered by that part alone. Black is everything else: strokes, shadows, eyes, teeth.
_CODES: dict[str, tuple[int, int, int]] = {
    "hair": (255, 0, 0),
    "rear_hair": (0, 255, 0),
    "beard": (0, 0, 255),
    "brows": (255, 255, 0),
    "lips": (255, 0, 255),
    "skin": (0, 255, 255),
    "clothes": (255, 255, 255),
}

# Colours nearer than this (Delta-E 1976) do not stand out from each other.
CONTRAST = 15.0
# A shape seen only by its dark lines (closed eyes) needs this much between skin and line.
_LINE_RGB = (0x4B, 0x24, 0x22)
_LINE_CONTRAST = 18.0


class _Slots(dict[str, str]):
    """Colours by slot; a fixed colour `fixed_x` is x itself unless it is overridden."""

    def __missing__(self, slot: str) -> str:
        name = slot.removeprefix("fixed")
        return "#" + name[1:] if name.startswith("_") else name


def _hex(rgb: tuple[int, ...]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def _rasterise(svg: str, resolution: int) -> Image.Image:
    png = resvg_py.svg_to_bytes(
        svg_string=svg, width=resolution, height=resolution, skip_system_fonts=True
    )
    return Image.open(io.BytesIO(png))


def _shapes(record: AvatarRecord) -> tuple[str, ...]:
    return tuple(getattr(record, name) for name in SHAPES)


def render(record: AvatarRecord, resolution: int = RESOLUTION) -> NDArray[np.uint8]:
    """The avatar as (resolution, resolution, 3) uint8 sRGB."""
    slots = _Slots({part: _hex(getattr(record, name)) for part, name in PART_COLOURS.items()})
    slots["stroke"] = slots["shadow"] = "#000"
    svg = drawing.template(_shapes(record), tuple(SHAPES)).format_map(slots)
    return np.asarray(_rasterise(svg, resolution).convert("RGB"))


def render_masks(
    record: AvatarRecord, resolution: int = RESOLUTION
) -> dict[str, NDArray[np.bool_]]:
    """For each of `PARTS`, the pixels that show its flat colour and nothing else.

    Outlines, shadows and mixed edge pixels belong to no part, so the mean colour inside a mask
    is the colour that was drawn. Masks depend on the shapes alone; they are read-only.

    Returns:
        part -> (resolution, resolution) bool.
    """
    return dict(_masks(_shapes(record), resolution))


@lru_cache(maxsize=1024)
def _masks(shapes: tuple[str, ...], resolution: int) -> dict[str, NDArray[np.bool_]]:
    # Whatever has no code of its own is black.
    slots = defaultdict(lambda: "#000", {part: _hex(code) for part, code in _CODES.items()})
    svg = drawing.template(shapes, tuple(SHAPES), background=False).format_map(slots)
    rgba = np.asarray(_rasterise(svg, resolution).convert("RGBA"))
    masks = {part: (rgba == (*code, 255)).all(axis=-1) for part, code in _CODES.items()}
    masks["background"] = rgba[..., 3] == 0
    for mask in masks.values():
        mask.setflags(write=False)
    return masks


@dataclass(frozen=True)
class Layers:
    """What an avatar's picture is made of. Its shapes alone decide it.

    `render(record) = fixed + sum of coverage[i] * the record's i-th colour`, to a rounding: every
    stroke, shadow and smoothed edge is blended in sRGB, so that a picture is linear in its colours.
    """

    fixed: NDArray[np.float32]
    """(resolution, resolution, 3) in 0..255: lines, teeth, eyes."""
    coverage: NDArray[np.float32]
    """(6, resolution, resolution) in [0, 1], in the order of `COLOURS`."""


def render_layers(record: AvatarRecord, resolution: int = RESOLUTION) -> Layers:
    """What the avatar is made of; its colours play no part."""
    drawn = drawing.template(_shapes(record), tuple(SHAPES))
    black = dict.fromkeys([*PARTS, "stroke", "shadow"], "#000")
    fixed = _rasterise(drawn.format_map(_Slots(black)), resolution).convert("RGB")
    shares = []
    for name in COLOURS:
        own = {part: "#fff" for part, colour in PART_COLOURS.items() if colour == name}
        slots = defaultdict(lambda: "#000", own)
        shares.append(np.asarray(_rasterise(drawn.format_map(slots), resolution).convert("L")))
    coverage = np.stack(shares).astype(np.float32) / np.float32(255)
    return Layers(np.asarray(fixed, np.float32), coverage)


def face_box_pixels(resolution: int = RESOLUTION) -> tuple[int, int, int, int]:
    """`FACE_BOX` as x0, y0, x1, y1 in pixels of an image of that side."""
    x0, y0, x1, y1 = (round(v * resolution) for v in FACE_BOX)
    return x0, y0, x1, y1


def face_weight(weight: float, resolution: int = RESOLUTION) -> NDArray[np.float32]:
    """(resolution, resolution) float32: `weight` inside `FACE_BOX`, 1 elsewhere."""
    x0, y0, x1, y1 = face_box_pixels(resolution)
    image = np.ones((resolution, resolution), dtype=np.float32)
    image[y0:y1, x0:x1] = weight
    return image


def visibility(table: AttributeTable) -> dict[str, NDArray[np.bool_]]:
    """Which attributes can be read off each avatar.

    A part whose colour is nearer than `CONTRAST` to that of a neighbour is not read, neither its
    shape nor its colour. Absence counts as a shape: where a beard could not be told from the
    skin, its absence cannot either.

    Returns:
        attribute -> (N,) bool, for every one of `ATTRIBUTES`.
    """
    lab = {part: lab_from_rgb(table.rgb[name]) for name, part in COLOURS.items()}

    def apart(first: str, *others: str) -> NDArray[np.bool_]:
        near = [delta_e(lab[first], lab[other]) for other in others]
        return np.min(near, axis=0) >= CONTRAST

    def is_shape(name: str, *values: str) -> NDArray[np.bool_]:
        return np.isin(table.codes[name], [SHAPES[name].index(value) for value in values])

    hair = apart("hair", "skin", "background")
    # Long hair hangs onto the clothes, a long beard covers the collar.
    long_beard = is_shape("beard", "long")
    behind = is_shape("rear_hair", "long_straight", "long_wavy", "shoulder_high") | long_beard
    hair_clothes = apart("hair", "clothes") | ~behind
    clothes = apart("clothes", "background", "skin") & hair_clothes
    bearded = is_shape("beard", "chin_moustache", "full", "long", "moustache_twirl")
    lips = apart("lip", "skin") & (apart("lip", "hair") | ~bearded)
    # Brows that reach into the hair need to stand out from it too.
    high = is_shape("brows", "happy", "raised") & ~is_shape("hair", "undercut")
    brows = apart("brow", "skin") & (apart("brow", "hair") | ~high)
    line = delta_e(lab["skin"], lab_from_rgb(_LINE_RGB)) >= _LINE_CONTRAST
    collar_hidden = long_beard & is_shape("clothes", "shirt", "t_shirt", "turtle_neck")
    # A goatee lies below the lips of a wide open mouth.
    chin_hidden = is_shape("beard", "chin") & is_shape("mouth", "agape", "laugh")
    seen = {
        "hair": hair,
        "rear_hair": hair & hair_clothes,
        "beard": apart("hair", "skin") & hair_clothes & ~chin_hidden,
        "brows": brows,
        "eyes": line | is_shape("eyes", "happy", "wide", "wink"),
        "mouth": lips | is_shape("mouth", "agape", "angry", "laugh"),
        "clothes": clothes & ~collar_hidden,
        "hair_colour": hair,
        "brow_colour": brows,
        "lip_colour": lips,
        "skin_colour": apart("skin", "hair", "background"),
        "clothes_colour": clothes,
        "background_colour": np.ones(len(table), dtype=bool),
    }
    return {name: seen[name] for name in ATTRIBUTES}
