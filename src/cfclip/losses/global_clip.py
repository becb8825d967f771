"""The plain CLIP score of StyleCLIP (Patashnik et al., ICCV 2021, arXiv 2103.17249)."""

from torch import Tensor, nn

from cfclip.losses.embedding_rows import (
    Reduction,
    check_rows,
    reduce_images,
    split_copies,
)
from cfclip.tensors import unit


def text_cosines(edited: Tensor, texts: Tensor, copies: int) -> Tensor:
    """Cosine of every row to the renormalised mean of `texts` `(K, dim)`: `(A, B)`."""
    rows = split_copies(edited, copies)
    check_rows("texts", texts, rows.shape[-1])
    return rows @ unit(texts.mean(0))


def global_clip_loss(
    edited: Tensor, target_texts: Tensor, copies: int = 1, reduction: Reduction = "mean"
) -> Tensor:
    """`1 - cos(E(x'), u(mean_k E(t_k)))`, averaged over the augmentations.

    Args:
        edited: unit embeddings `(A * B, dim)`, row `a * B + b` from image `b`.
        target_texts: unit embeddings `(K, dim)` of the target text in K templates.
        copies: A, the augmented rows per image.
        reduction: `"mean"` over images, or `"none"` for the `(B,)` values.

    Raises:
        InputError: shapes that do not fit together, or an unknown reduction.

    >>> import torch
    >>> global_clip_loss(torch.tensor([[0.6, 0.8]]), target_texts=torch.tensor([[0.0, 1.0]]))
    tensor(0.2000)
    """
    return reduce_images(1.0 - text_cosines(edited, target_texts, copies).mean(0), reduction)


class GlobalClipLoss(nn.Module):
    """`global_clip_loss` as a module; `forward(edited, target_texts)`."""

    def __init__(self, copies: int = 1, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.copies = copies
        self.reduction: Reduction = reduction

    def forward(self, edited: Tensor, target_texts: Tensor) -> Tensor:
        return global_clip_loss(edited, target_texts, self.copies, self.reduction)
