"""The region of what changed, by hand."""

import torch
from torch import Tensor

from cfclip.regions import changed_mask

SIDE = 32


def edit_of(strong: float, weak: float) -> tuple[Tensor, Tensor]:
    """A picture, and the same with its left half changed much and its right half little."""
    source = torch.zeros(1, 3, SIDE, SIDE)
    edited = source.clone()
    edited[..., : SIDE // 2] += strong
    edited[..., SIDE // 2 :] += weak
    return source, edited


def test_what_changed_much_is_in_and_what_changed_little_is_out() -> None:
    mask = changed_mask(*edit_of(1.0, 0.1))
    assert mask.shape == (1, 1, SIDE, SIDE)
    assert bool((mask[..., : SIDE // 2 - 1] == 1.0).all())
    assert bool((mask[..., SIDE // 2 + 1 :] == 0.0).all())


def test_only_the_proportions_of_an_edit_count() -> None:
    strong, weak = (changed_mask(*edit_of(size, 0.25 * size)) for size in (1.0, 0.01))
    torch.testing.assert_close(strong, weak, atol=1e-4, rtol=0)
    assert 0.0 < float(strong[0, 0, 8, -4]) < 1.0


def test_no_change_is_no_region_and_gives_finite_gradients() -> None:
    source, _ = edit_of(0.0, 0.0)
    edited = source.clone().requires_grad_()
    mask = changed_mask(source, edited)
    assert float(mask.max()) == 0.0
    (edited * mask).sum().backward()
    assert edited.grad is not None
    assert bool(torch.isfinite(edited.grad).all())


def test_a_picture_is_seen_alike_alone_and_in_a_batch() -> None:
    draws = torch.Generator().manual_seed(1)
    source, edited = (torch.randn(3, 3, SIDE, SIDE, generator=draws) for _ in range(2))
    together = changed_mask(source, edited)
    alone = torch.cat([changed_mask(source[i : i + 1], edited[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone)
