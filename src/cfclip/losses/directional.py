"""The directional loss of StyleGAN-NADA (Gal et al., 2021, arXiv 2108.00946)."""

from torch import Tensor, nn

from cfclip.losses.embedding_rows import (
    Reduction,
    check_text_pair,
    copies_of,
    direction,
    reduce_images,
)


def directional_loss(
    edited: Tensor,
    source: Tensor,
    target_texts: Tensor,
    source_texts: Tensor,
    reduction: Reduction = "mean",
) -> Tensor:
    """`1 - cos(E(x') - E(x), mean_k(E(t_k) - E(s_k)))`, averaged over the augmentations.

    Args:
        edited: unit embeddings `(A * B, dim)`, row `a * B + b` from image `b`.
        source: unit embeddings `(B, dim)` of the images before the edit.
        target_texts: unit embeddings `(K, dim)` of the target text in K templates.
        source_texts: unit embeddings `(K, dim)` of the source text in the same templates.
        reduction: `"mean"` over images, or `"none"` for the `(B,)` values.

    Raises:
        InputError: shapes that do not fit together, or an unknown reduction.

    A zero edit has no direction and costs 1; an edit along the text costs 0, against it 2:

    >>> import torch
    >>> x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> directional_loss(x, x, target_texts=y, source_texts=x)
    tensor(1.)
    >>> directional_loss(y, x, target_texts=x, source_texts=y)
    tensor(2.0000)
    """
    copies = copies_of(edited, source)
    check_text_pair(target_texts, source_texts, source.shape[1])
    moved = direction(edited.unflatten(0, (copies, -1)) - source)  # (A, B, dim)
    cosines = moved @ direction((target_texts - source_texts).mean(0))  # (A, B)
    return reduce_images(1.0 - cosines.mean(0), reduction)


class DirectionalLoss(nn.Module):
    """`directional_loss` as a module; `forward(edited, source, target_texts, source_texts)`."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction: Reduction = reduction

    def forward(
        self, edited: Tensor, source: Tensor, target_texts: Tensor, source_texts: Tensor
    ) -> Tensor:
        return directional_loss(edited, source, target_texts, source_texts, self.reduction)
