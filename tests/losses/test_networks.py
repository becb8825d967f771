"""The identity and the perceptual loss, on features of any network."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cfclip.errors import InputError
from cfclip.losses import identity_loss, perceptual_loss
from cfclip.tensors import unit

Loss = Callable[..., Tensor]


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 3, 5, generator=draw, dtype=torch.float64)
    return unit(one), unit(other)


@pytest.mark.parametrize("loss", [identity_loss, perceptual_loss])
def test_images_are_independent_and_gradients_right(
    loss: Loss, pair: tuple[Tensor, Tensor]
) -> None:
    one, other = pair
    values = loss(one, other, "none")
    assert values.shape == (3,)
    assert (values > 0).all()
    torch.testing.assert_close(loss(one[1:2], other[1:2], "none"), values[1:2])
    torch.testing.assert_close(loss(one, other), values.mean())
    torch.testing.assert_close(loss(one, one, "none"), torch.zeros(3, dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda x: loss(x, other, "none"), one.clone().requires_grad_())
    with pytest.raises(InputError, match="edited has shape"):
        loss(one[:2], other)
