"""The crop of a face as FFHQ's pictures were made, which face generators were trained on.

Source: Karras et al., "A Style-Based Generator Architecture for GANs" (CVPR 2019), appendix A,
after Karras et al., "Progressive Growing of GANs" (ICLR 2018), appendix C: the eyes and the corners
of the mouth decide an oriented square; where it leaves the photo, the photo is continued by its
mirror image, which is blurred and fades to the photo's median colour.

Points are `(x, y)` in pixels, y down, the centre of the first pixel at `(0, 0)`.
"""

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from cfclip.errors import InputError

Points: TypeAlias = NDArray[np.float64]
"""`(number, 2)`, in pixels."""

_EYES_SHARE = 2.0
_MOUTH_SHARE = 1.8
"""Half the square's side is the larger of the distance of the eyes and that of eyes and mouth, each
times its factor."""
_DOWN_SHARE = 0.1
"""The square's centre lies this share of the way from the eyes to the mouth."""

_BORDER = 0.1
_SMALLEST_BORDER = 3
"""Margin around the square that is kept for filtering: a share of its side, in pixels at least."""
_BORDER_SLACK = 4
"""The photo is continued only where more than the margin less these pixels is missing."""
_PADDING = 0.3
"""Continued on every side by at least this share of the square's side."""
_BLUR = 0.02
"""Standard deviation of the blur, as a share of the square's side."""
_BLUR_REACH = 3.0
"""The blur sets in within the photo, at one over this share of the padding from its edge."""

FARTHEST = 1e7
"""No point of a photo is farther from its corner, in pixels."""
_HALF_PIXEL = 0.5
_BRIGHTEST = 255
SMALLEST_FACE = 16
"""Pixels of the square's side under which there is no face to edit."""


@dataclass(frozen=True)
class Quad:
    """An oriented square in a photo. Raises `InputError` for corners that are not one."""

    corners: tuple[tuple[float, float], ...]
    """Top left, bottom left, bottom right, top right, as the face stands."""

    def __post_init__(self) -> None:
        points = np.asarray(self.corners, np.float64)
        if points.shape != (4, 2) or not (np.abs(points) <= FARTHEST).all():
            raise InputError(f"a crop has 4 corners (x, y), not {self.corners!r}")
        top_left, bottom_left, bottom_right, top_right = points
        across, down = top_right - top_left, bottom_left - top_left
        turned = np.array([-across[1], across[0]])
        wide = math.hypot(*across)
        off = max(np.abs(turned - down).max(), np.abs(top_right + down - bottom_right).max())
        if wide == 0.0 or off > 1e-3 * wide:
            raise InputError(f"the corners of the crop, {self.corners!r}, are no square")

    @property
    def size(self) -> float:
        """Side in pixels of the photo."""
        return math.dist(self.corners[0], self.corners[3])

    def scaled(self, factor: float) -> "Quad":
        """The same square in the photo scaled by a factor."""
        if factor == 1:
            return self
        # Pixels are counted by their centres.
        corners = (np.asarray(self.corners, np.float64) + _HALF_PIXEL) * factor - _HALF_PIXEL
        return Quad(tuple((float(x), float(y)) for x, y in corners))

    def to_photo(self, side: int) -> NDArray[np.float64]:
        """`(2, 3)`: from places in a picture of the square, `side` pixels wide, to the photo's.

        Both are counted as Pillow does, the first pixel reaching from 0 to 1.
        """
        top_left, bottom_left, _, top_right = np.asarray(self.corners, np.float64)
        across, down = (top_right - top_left) / side, (bottom_left - top_left) / side
        return np.stack([across, down, top_left + _HALF_PIXEL], axis=1)


def face_quad(left_eye: Any, right_eye: Any, mouth_left: Any, mouth_right: Any) -> Quad:
    """The square of a face, from four points `(x, y)`; left and right are the viewer's.

    With `e` from the left eye to the right one and `m` from between the eyes to between the corners
    of the mouth, its horizontal axis points along `e - rot90(m)`; its half side is
    `max(2 |e|, 1.8 |m|)`, its centre a tenth of `m` below the eyes.

    Raises `InputError` for points that no face has: on one another, or left and right exchanged.

    >>> face_quad((40, 40), (60, 40), (42, 60), (58, 60)).corners
    ((10.0, 2.0), (10.0, 82.0), (90.0, 82.0), (90.0, 2.0))
    """
    points = np.asarray([left_eye, right_eye, mouth_left, mouth_right], np.float64)
    between_eyes = points[:2].mean(0)
    eyes = points[1] - points[0]
    mouth = points[2:].mean(0) - between_eyes
    apart, high = math.hypot(*eyes), math.hypot(*mouth)
    upright = eyes[0] * mouth[1] - eyes[1] * mouth[0]
    if not upright > 0.0:
        raise InputError(
            "the landmarks are those of no face: with the left eye to the left of the right one, "
            "the mouth must be below; left and right are those of the picture"
        )
    axis = eyes + np.array([mouth[1], -mouth[0]])
    across = axis / math.hypot(*axis) * max(_EYES_SHARE * apart, _MOUTH_SHARE * high)
    down = np.array([-across[1], across[0]])
    centre = between_eyes + _DOWN_SHARE * mouth
    corners = np.stack(
        [
            centre - across - down,
            centre - across + down,
            centre + across + down,
            centre + across - down,
        ]
    )
    return Quad(tuple((float(x), float(y)) for x, y in corners))


def align(photo: Image.Image, quad: Quad, size: int) -> Image.Image:
    """The square of a photo, upright, `size` pixels wide.

    Args:
        photo: mode RGB; it is not changed.
        quad: may reach beyond the photo, as long as its centre does not.
        size: of the result, at least 1.

    Raises `InputError` for a square that is centred elsewhere, or too small to show a face.
    """
    check_quad(quad, photo.size)
    corners = np.asarray(quad.corners, np.float64)
    shrink = max(1, math.floor(quad.size / size))
    window, corners = _window(photo, corners, shrink)
    padded, corners = _continued(window, corners)
    # Twice as fine first: what is left of the reduction is then done by a filter that sees it all.
    fine = size * max(1, math.ceil(quad.size / shrink / size))
    matrix = Quad(tuple((float(x), float(y)) for x, y in corners)).to_photo(fine)
    made = padded.transform(
        (fine, fine), Image.Transform.AFFINE, tuple(matrix.ravel()), Image.Resampling.BILINEAR
    )
    return made if fine == size else made.resize((size, size), Image.Resampling.LANCZOS)


def check_quad(quad: Quad, photo_size: tuple[int, int]) -> None:
    """Raise `InputError` unless the square can be cut from a photo of that width and height."""
    width, height = photo_size
    x, y = np.asarray(quad.corners).mean(0)
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(
            f"the face would be at ({x:.0f}, {y:.0f}), outside the photo of {width}x{height} "
            "pixels; give the landmarks in pixels of this photo, as it is seen upright"
        )
    if quad.size < SMALLEST_FACE:
        raise InputError(
            f"the face's crop is {quad.size:.1f} pixels wide, at least {SMALLEST_FACE} are needed; "
            "use a larger photo"
        )


def _bounds(corners: Points) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the pixels that a square touches."""
    left, top = np.floor(corners.min(0)).astype(int)
    right, bottom = np.ceil(corners.max(0)).astype(int)
    return int(left), int(top), int(right), int(bottom)


def _margin(side: float) -> int:
    return max(round(side * _BORDER), _SMALLEST_BORDER)


def _window(photo: Image.Image, corners: Points, shrink: int) -> tuple[Image.Image, Points]:
    """The part of the photo around the square, reduced by a whole factor, and the square there."""
    left, top, right, bottom = _bounds(corners)
    margin = _margin(math.dist(corners[0], corners[3]))
    left, top = max(left - margin, 0), max(top - margin, 0)
    right, bottom = min(right + margin, photo.width), min(bottom + margin, photo.height)
    corners = corners - np.array([left, top])
    if shrink == 1:
        return photo.crop((left, top, right, bottom)), corners
    size = (max(1, round((right - left) / shrink)), max(1, round((bottom - top) / shrink)))
    # To a whole number of pixels each side, which differs by less than one; a square stays one.
    scale = (size[0] / (right - left) + size[1] / (bottom - top)) / 2
    reduced = photo.resize(size, Image.Resampling.LANCZOS, box=(left, top, right, bottom))
    # The edges of the pixels are what is scaled, not their centres.
    return reduced, (corners + _HALF_PIXEL) * scale - _HALF_PIXEL


def _continued(window: Image.Image, corners: Points) -> tuple[Image.Image, Points]:
    """The window continued beyond the photo's edges if the square needs it."""
    side = math.dist(corners[0], corners[3])
    margin = _margin(side)
    left, top, right, bottom = _bounds(corners)
    beyond = (-left, -top, right - window.width, bottom - window.height)
    missing = [max(each + margin, 0) for each in beyond]
    if max(missing) <= max(margin - _BORDER_SLACK, 0):
        return window, corners
    pads = [max(each, round(side * _PADDING)) for each in missing]
    sides = ((pads[1], pads[3]), (pads[0], pads[2]), (0, 0))
    pixels = np.pad(np.asarray(window), sides, mode="reflect")
    mirrored = Image.fromarray(pixels)
    blurred = np.asarray(mirrored.filter(ImageFilter.GaussianBlur(side * _BLUR)), np.float32)
    depth = _depth(mirrored.size, pads)[..., None]
    shown: NDArray[Any] = pixels + (blurred - pixels) * np.clip(_BLUR_REACH * depth + 1.0, 0.0, 1.0)
    shown += (np.median(shown, axis=(0, 1)) - shown) * np.clip(depth, 0.0, 1.0)
    made = np.clip(np.rint(shown), 0, _BRIGHTEST).astype(np.uint8)
    return Image.fromarray(made), corners + np.array(pads[:2])


def _depth(size: tuple[int, int], pads: list[int]) -> NDArray[Any]:
    """How far out a pixel lies, `(height, width)`: 1 at the outer edge, 0 where the photo ends,
    below 0 within it, in units of the padding of the side that is nearest by that measure."""
    width, height = size
    left, top, right, bottom = pads
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    horizontal = np.minimum(x / left, (width - 1 - x) / right)
    vertical = np.minimum(y / top, (height - 1 - y) / bottom)
    inwards: NDArray[Any] = np.minimum(horizontal[None, :], vertical[:, None])
    return 1.0 - inwards
