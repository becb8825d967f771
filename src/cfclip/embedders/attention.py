"""The attention of CLIP's transformers in one call, whatever the batch.

`nn.MultiheadAttention` puts tokens first, so that its projections see rows that do not follow each
other, and copies its weights for each token where it cannot tell that they are shared: a quarter of
the time of a ViT-B/32 with eight views. Here tokens stay behind the batch, and one call of
`scaled_dot_product_attention` goes over `(batch, heads, tokens, width)`.
"""

from typing import Any, TypeGuard

from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """What an `nn.MultiheadAttention` of queries, keys and values of one width computes.

    It takes the parameters over under their names, so that a state dict stays as it was.

    Args:
        attention: batch first, without dropout and without biases of keys and values.
    """

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.num_heads = attention.num_heads
        self.in_proj_weight = attention.in_proj_weight
        self.in_proj_bias = attention.in_proj_bias
        self.out_proj = attention.out_proj

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        need_weights: bool = False,
        attn_mask: Tensor | None = None,
    ) -> tuple[Tensor, None]:
        """`(batch, tokens, width)`, the same three times, to `(batch, tokens, width)`.

        Args:
            query, key, value: one tensor.
            need_weights: False; they are not computed.
            attn_mask: `(tokens, tokens)`, added to the scores.
        """
        assert query is key is value  # self-attention, which CLIP's blocks have alone
        assert not need_weights
        projected = functional.linear(query, self.in_proj_weight, self.in_proj_bias)
        heads = projected.unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(heads[0], heads[1], heads[2], attn_mask)
        joined: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return joined, None


def with_own_attention(model: nn.Module) -> nn.Module:
    """The model with `Attention` in place of every attention of `nn` that it can stand for."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if _replaceable(child):
                setattr(module, name, Attention(child))
    return model


def _replaceable(module: Any) -> TypeGuard[nn.MultiheadAttention]:
    return (
        type(module) is nn.MultiheadAttention
        and module.batch_first
        and module.in_proj_weight is not None
        and module.bias_k is None
        and not module.add_zero_attn
        and not module.dropout
    )
