"""Perspective warps against kornia's, and by what they shall do to pictures."""

import pytest
import torch

from cfclip.losses.perspective import perspective_matrices, warp_perspective

INWARD = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])


def corners_of(height: int, width: int) -> torch.Tensor:
    right, bottom = width - 1.0, height - 1.0
    return torch.tensor([[0.0, 0.0], [right, 0.0], [right, bottom], [0.0, bottom]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("height", "width"), [(128, 128), (16, 20), (2, 3)])
def test_warps_are_kornias(height, width, dtype):
    transform = pytest.importorskip("kornia.geometry.transform", reason="of the developers' tools")
    draws = torch.Generator().manual_seed(0)
    images = torch.rand(8, 3, height, width, generator=draws).to(dtype)
    start = corners_of(height, width).expand(8, -1, -1)
    moves = torch.rand(8, 4, 2, generator=draws) * torch.tensor([width, height]) / 4
    matrices = perspective_matrices(start, start + moves * INWARD)
    expected = transform.get_perspective_transform(start, start + moves * INWARD)
    torch.testing.assert_close(matrices, expected, atol=1e-5, rtol=1e-5)
    warped = warp_perspective(images, expected.to(dtype))
    kornias = transform.warp_perspective(images, expected.to(dtype), (height, width))
    torch.testing.assert_close(warped, kornias, atol=1e-5, rtol=1e-5)


def test_matrices_take_each_corner_where_it_shall_go():
    start = corners_of(9, 17)[None]
    end = start + INWARD * torch.tensor([[1.0, 2.0], [0.5, 0.0], [3.0, 1.0], [2.0, 2.5]])
    (matrix,) = perspective_matrices(start, end)
    moved = torch.cat([start[0], torch.ones(4, 1)], 1) @ matrix.T
    torch.testing.assert_close(moved[:, :2] / moved[:, 2:], end[0])


def test_a_shift_moves_pixels_and_uncovers_zeros():
    image = torch.arange(1.0, 13.0).view(1, 1, 3, 4)
    shift = torch.tensor([[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
    moved = warp_perspective(image, shift)
    torch.testing.assert_close(moved[..., 1:], image[..., :-1])
    assert (moved[..., 0].abs() < 1e-4).all()
    # A matrix and its multiples are one map.
    torch.testing.assert_close(warp_perspective(image, shift * 1e20), moved)
