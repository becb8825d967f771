"""Updates against PyTorch's own optimisers, bit for bit."""

import pytest
import torch

from cfclip.optim.updates import AdamUpdate, PlainUpdate

CASES = [(PlainUpdate, torch.optim.SGD), (AdamUpdate, torch.optim.Adam)]


@pytest.mark.parametrize(("own", "theirs"), CASES)
def test_steps_are_those_of_pytorch(own, theirs):
    draws = torch.Generator().manual_seed(0)
    start = torch.randn(3, 2, 8, generator=draws)
    expected = start.clone().requires_grad_()
    optimizer = theirs([expected], lr=1.0)
    moved = start.clone().requires_grad_()
    update = own(moved)
    for step in range(12):
        gradient, rate = torch.randn(start.shape, generator=draws), 0.1 / (step + 1)
        expected.grad = gradient.clone()
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        update(gradient, rate)
        assert torch.equal(moved, expected)
    assert moved.requires_grad
    assert not torch.equal(moved, start)
