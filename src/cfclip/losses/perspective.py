"""Perspective warps of images, by arithmetic alone.

The order of the sums is that of kornia, whose warps these are to the last bit; importing kornia
takes as long as several steps of an edit.
"""

import torch
from torch import Tensor
from torch.nn import functional


def perspective_matrices(start: Tensor, end: Tensor) -> Tensor:
    """Matrices `(B, 3, 3)` that take the corners `start` to `end`, both `(B, 4, 2)` as (x, y).

    Corners are in pixels, in order around the quadrilateral; the last entry of a matrix is 1.
    """
    matrices = _from_unit_square(end) @ _inverse(_from_unit_square(start))
    return matrices / matrices[:, 2:, 2:]


def warp_perspective(images: Tensor, matrices: Tensor) -> Tensor:
    """Images `(B, C, height, width)` moved by matrices `(B, 3, 3)`; what is uncovered is 0.

    Matrices take pixels to pixels, sides have two pixels or more. Bilinear, differentiable in the
    images.
    """
    height, width = images.shape[-2:]
    to_unit = _to_unit_range(height, width, images)
    backwards = _inverse(to_unit @ (matrices / _scale(matrices) @ _inverse(to_unit)))
    x, y = (_unit_range(size, images) for size in (width, height))
    x, y = x[None, None, :], y[None, :, None]
    rows = [
        row[:, 0, None, None] * x + row[:, 1, None, None] * y + row[:, 2, None, None]
        for row in backwards.unbind(1)
    ]
    grid = torch.stack([rows[0] / rows[2], rows[1] / rows[2]], -1)
    return functional.grid_sample(images, grid, align_corners=True)


def _from_unit_square(corners: Tensor) -> Tensor:
    """Matrices that take the corners of the unit square to these (Heckbert 1989)."""
    first, second, third, fourth = corners.unbind(1)
    (dx1, dy1), (dx2, dy2) = (second - third).unbind(1), (fourth - third).unbind(1)
    sx, sy = (first - second + third - fourth).unbind(1)
    area = dx1 * dy2 - dy1 * dx2
    right = ((sx * dy2 - sy * dx2) / area)[:, None]
    down = ((dx1 * sy - dy1 * sx) / area)[:, None]
    upper = torch.stack(
        [second - first + right * second, fourth - first + down * fourth, first], -1
    )
    lower = torch.stack([right, down, torch.ones_like(right)], -1)
    return torch.cat([upper, lower], 1)


def _inverse(matrices: Tensor) -> Tensor:
    a, b, c = matrices.unbind(-1)
    crosses = [torch.linalg.cross(*pair, dim=-1) for pair in ((b, c), (c, a), (a, b))]
    determinants = (a * crosses[0]).sum(-1)
    return torch.stack(crosses, -2) / determinants[:, None, None]


def _scale(matrices: Tensor) -> Tensor:
    """What a matrix is divided by so that its determinant can be computed; it moves no pixel."""
    sizes = matrices.abs()
    largest = sizes.amax((1, 2), keepdim=True)
    smallest = sizes.masked_fill(sizes == 0, float("inf")).amin((1, 2), keepdim=True)
    return largest.clamp_max(1.0).clamp_min(smallest)


def _to_unit_range(height: int, width: int, like: Tensor) -> Tensor:
    """The matrix `(1, 3, 3)` from pixels to [-1, 1]."""
    x, y = 2.0 / (width - 1), 2.0 / (height - 1)
    rows = [[x, 0.0, -1.0], [0.0, y, -1.0], [0.0, 0.0, 1.0]]
    return torch.tensor([rows], dtype=like.dtype, device=like.device)


def _unit_range(size: int, like: Tensor) -> Tensor:
    """The pixels of a side in [-1, 1]."""
    return (torch.arange(size).to(like) / (size - 1) - 0.5) * 2
