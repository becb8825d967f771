"""Attention in one call: the values and gradients of `nn.MultiheadAttention`."""

import pytest
import torch
from torch import nn

from cfclip.embedders.attention import Attention, with_own_attention


def layer(**options: object) -> nn.MultiheadAttention:
    torch.manual_seed(0)
    made = nn.MultiheadAttention(12, 3, batch_first=True, **options)  # type: ignore[arg-type]
    return made.double().eval()


@pytest.mark.parametrize("masked", [False, True])
def test_it_is_the_attention_of_torch(masked: bool) -> None:
    reference = layer()
    mask = torch.full((5, 5), float("-inf")).triu(1).double() if masked else None
    results = []
    for attention in (reference, Attention(reference)):
        tokens = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(1)).double()
        tokens.requires_grad_()
        mixed, weights = attention(tokens, tokens, tokens, need_weights=False, attn_mask=mask)
        assert weights is None
        mixed.square().sum().backward()
        results.append((mixed.detach(), tokens.grad))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_images_do_not_depend_on_each_other() -> None:
    attention = Attention(layer())
    tokens = torch.randn(3, 5, 12).double()
    together, _ = attention(tokens, tokens, tokens)
    for row in range(3):
        one = tokens[row : row + 1]
        torch.testing.assert_close(attention(one, one, one)[0][0], together[row])


def test_only_what_it_can_stand_for_is_replaced_and_names_stay() -> None:
    model = nn.ModuleDict(
        {
            "own": layer(),
            "dropout": layer(dropout=0.1),
            "widths": layer(kdim=4, vdim=4),
            "bias": layer(add_bias_kv=True),
            "first": nn.MultiheadAttention(12, 3).double(),
        }
    )
    names = set(model.state_dict())
    replaced = with_own_attention(model)
    assert isinstance(replaced, nn.ModuleDict)
    assert [name for name, each in replaced.items() if isinstance(each, Attention)] == ["own"]
    assert set(replaced.state_dict()) == names
