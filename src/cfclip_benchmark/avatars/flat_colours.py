"""The colours that a picture of an avatar shows, read without any network.

A part's colour is flat, so that a picture is linear in its colours (`renderer.Layers`). Read are
those that, drawn in given shapes, come nearest to the picture. The thinnest brow is read without
what its neighbours shed on it, which the mean over its pixels is not.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.transforms.v2 import functional

from cfclip_benchmark.avatars.attributes import COLOURS, AvatarRecord, changed
from cfclip_benchmark.avatars.colours import lab_from_rgb
from cfclip_benchmark.avatars.renderer import render_layers

# Standard deviation as a share of the side: two pixels of 128. JPEG keeps hue and saturation for
# every second pixel only, and outlines are off by a pixel; smoothed, neither matters.
_BLUR = 1 / 64
_KERNEL_SIGMAS = 3

# The difference in L, a and b that half of the people see between two squares of a size, and how
# much more it takes the smaller they are: Stone, Szafir & Setlur, "An Engineering Model for Color
# Difference as a Function of Size" (Color and Imaging Conference 2014), for displays as people have
# them. Up to 5 of very large ones are not noticed.
_SEEN = np.array([5.079, 5.339, 5.349])
_SEEN_PER_DEGREE = np.array([0.751, 1.541, 2.871])
# Of a part, and the blurred share of a part that a pixel has to be to be of that part alone.
_SPOT = 1 / 8
_WHOLE = 0.99
# How wide a picture is when it is looked at: 4.4 cm on a screen half a metre away.
_DEGREES = 5.0


@dataclass(frozen=True)
class FlatColours:
    """The colours of one picture, as if drawn in the shapes of a record."""

    lab: NDArray[np.float64]
    """(6, 3) CIE Lab, in the order of `COLOURS`."""
    sides: NDArray[np.float64]
    """(6,) how large each part is: the side of a square of its area, in degrees, above 0."""
    misfit: float
    """Sum of squares of what the shapes leave unexplained, in 0..255."""
    picture: torch.Tensor
    """(3, P) float32 in 0..255: the blurred pixels."""
    shapes: AvatarRecord
    """What it was read in; the colours play no part."""


def read_colours(pixels: NDArray[np.uint8], shapes: Iterable[AvatarRecord]) -> FlatColours:
    """The colours of a picture, in those of several shapes that explain it best.

    Args:
        pixels: (side, side, 3) sRGB.
        shapes: records, of which the colours play no part; at least one. Of equal ones the first.
    """
    side = len(pixels)
    picture = _blurred(torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)).flatten(1)
    read = [_read(picture, record, side) for record in dict.fromkeys(map(_uncoloured, shapes))]
    return min(read, key=lambda each: each.misfit)


def seen_differences(
    lab: NDArray[np.float64], others: NDArray[np.float64], sides: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How far colours are apart in units of what half of the people see.

    Args:
        lab, others: (..., 3) CIE Lab.
        sides: (...) sides of squares of these colours, in degrees, above 0.

    >>> white, grey = np.array([100.0, 0, 0]), np.array([100.0 - 5.83, 0, 0])
    >>> float(seen_differences(white, grey, np.array(1.0)).round(3))
    1.0
    """
    limits = _SEEN + _SEEN_PER_DEGREE / sides[..., None]
    return np.sqrt((((lab - others) / limits) ** 2).sum(-1))


def spotted_parts(
    before: FlatColours, after: FlatColours, usual: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """(6,): parts with a spot of another colour, such as a halo, though the whole may be the same.

    A spot is an eighth of what both pictures show of the part, or more, in which the difference
    would be seen in a square of that size. Parts too thin to have a spot have none.

    Args:
        before, after: of two pictures of the same side.
        usual: (6, 3) CIE Lab, which is no spot either.
    """
    side = round(before.picture.shape[1] ** 0.5)
    shown = torch.minimum(*(_system(each.shapes, side)[1] for each in (before, after))).numpy()
    first, second = (lab_from_rgb(each.picture.T.numpy()) for each in (before, after))
    spots = after.sides * _SPOT**0.5
    spotted = np.zeros(len(COLOURS), dtype=np.bool_)
    for part, whole in enumerate(shown >= _WHOLE):
        if whole.any():
            sides = np.full(whole.sum(), spots[part])
            seen = seen_differences(second[whole], first[whole], sides)
            seen = seen.clip(max=seen_differences(second[whole], usual[part], sides))
            spotted[part] = (seen > 1.0).mean() >= _SPOT
    return spotted


def record_lab(record: AvatarRecord) -> NDArray[np.float64]:
    """(6, 3) CIE Lab: the colours of a record, in the order of `COLOURS`."""
    return lab_from_rgb([getattr(record, name) for name in COLOURS])


def _read(picture: torch.Tensor, record: AvatarRecord, side: int) -> FlatColours:
    fixed, coverage, inverse, sides = _system(record, side)
    drawn = picture - fixed
    rgb = drawn @ inverse  # (3, 6)
    misfit = float((drawn - rgb @ coverage).square().sum())
    lab = lab_from_rgb(rgb.clamp(0, 255).T.double().numpy())
    return FlatColours(lab, sides, misfit, picture, record)


@lru_cache(maxsize=128)
def _system(
    record: AvatarRecord, side: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, NDArray[np.float64]]:
    """Blurred fixed layer (3, P), coverage (6, P), its pseudoinverse (P, 6), and `sides`."""
    layers = render_layers(record, side)
    fixed = _blurred(torch.tensor(layers.fixed).permute(2, 0, 1)).flatten(1)
    coverage = _blurred(torch.tensor(layers.coverage)).flatten(1)
    inverse = torch.linalg.pinv(coverage.double()).float()
    pixels = np.maximum(layers.coverage.sum((1, 2), dtype=np.float64), 1.0)
    return fixed, coverage, inverse, np.sqrt(pixels) * _DEGREES / side


def _blurred(planes: torch.Tensor) -> torch.Tensor:
    sigma = planes.shape[-1] * _BLUR
    size = 2 * round(_KERNEL_SIGMAS * sigma) + 1
    return functional.gaussian_blur(planes, [size, size], [sigma, sigma])


def _uncoloured(record: AvatarRecord) -> AvatarRecord:
    """The same for all records of the same shapes."""
    return changed(record, **dict.fromkeys(COLOURS, (0, 0, 0)))
