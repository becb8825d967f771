"""An edited face put back into its photo with a soft edge; the rest stays as it was."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from cfclip.errors import InputError
from cfclip.photos.alignment import Quad
from cfclip.photos.photo import PasteBack

_NOTICED = 8
"""Grey levels of a channel from which a pixel counts as changed: under what an eye sees, over what
an edit does everywhere."""
_SEEN_FROM_AFAR = 6
"""Of 255: what a blur by half the growth leaves, at the growth's distance, of a changed half-plane.
In pictures of 256 pixels and more a lone changed pixel leaves less anywhere, and is not pasted."""
_OPAQUE = 255


def paste_back(
    photo: Image.Image,
    quad: Quad,
    edited: Image.Image,
    before: Image.Image,
    paste: PasteBack | None = None,
) -> Image.Image:
    """The photo with the edit in it.

    Args:
        photo: RGB, upright; it is not changed.
        quad: where its face was cut out.
        edited: the edit, square RGB.
        before: what the edit started from, of the same size; what differs from it is the change.
        paste: which part, and how soft its edge is.

    Returns:
        RGB of the photo's size. Where nothing is pasted, it has the photo's very pixels.

    Raises `InputError` for pictures that are not of one size.
    """
    paste = paste or PasteBack()
    side = edited.width
    if edited.size != (side, side) or before.size != edited.size:
        raise InputError(
            f"the edit is {edited.width}x{edited.height} pixels, what it started from "
            f"{before.width}x{before.height}; give two squares of one size"
        )
    opacity = _edge(side, paste.feather)
    if paste.region == "changed":
        opacity = opacity * _changed(edited, before, paste.feather)
    layer = edited.convert("RGB")
    layer.putalpha(Image.fromarray(np.rint(opacity * _OPAQUE).astype(np.uint8)))
    # A photo with a smaller face than the edit: reduced by a filter that sees every pixel.
    reduced = min(side, max(1, round(quad.size)))
    layer = layer.resize((reduced, reduced), Image.Resampling.LANCZOS)
    corners = np.asarray(quad.corners)
    left, top = np.floor(corners.min(0)).astype(int).clip(0).tolist()
    right, bottom = np.ceil(corners.max(0)).astype(int).tolist()
    right, bottom = min(right + 1, photo.width), min(bottom + 1, photo.height)
    to_photo = np.vstack([quad.to_photo(reduced), [0.0, 0.0, 1.0]])
    to_crop = np.linalg.inv(to_photo) @ [[1.0, 0.0, left], [0.0, 1.0, top], [0.0, 0.0, 1.0]]
    placed = layer.transform(
        (right - left, bottom - top),
        Image.Transform.AFFINE,
        tuple(to_crop[:2].ravel()),
        Image.Resampling.BICUBIC,
    )
    made = photo.copy()
    made.paste(placed.convert("RGB"), (left, top), placed.getchannel("A"))
    return made


def _edge(side: int, feather: float) -> NDArray[np.float64]:
    """Opacity `(side, side)` that rises from 0 at the edges to 1, smoothly over the feather."""
    places = np.arange(side) + 0.5
    inwards = np.minimum(places, side - places)
    # Without a feather, all of it is opaque.
    share = np.clip(inwards / (feather * side), 0.0, 1.0) if feather else np.ones(side)
    smooth = share * share * (3.0 - 2.0 * share)
    return np.outer(smooth, smooth)


def _changed(edited: Image.Image, before: Image.Image, feather: float) -> NDArray[np.float64]:
    """Opacity `(side, side)`: 1 where the edit changed something, soft around it."""
    new, old = (np.asarray(each.convert("RGB"), np.int16) for each in (edited, before))
    changed = Image.fromarray(
        np.where(np.abs(new - old).max(2) >= _NOTICED, _OPAQUE, 0).astype(np.uint8)
    )
    radius = feather * edited.width / 2
    if radius:
        # Grown by the radius first, so that the soft edge lies around the change, not in it.
        spread = np.asarray(changed.filter(ImageFilter.GaussianBlur(radius / 2)))
        grown = np.where(spread >= _SEEN_FROM_AFAR, _OPAQUE, 0).astype(np.uint8)
        changed = Image.fromarray(grown).filter(ImageFilter.GaussianBlur(radius / 2))
    return np.asarray(changed) / _OPAQUE
