"""How far an edit moved what identifies a person."""

from torch import Tensor, nn

from cfclip.errors import InputError
from cfclip.losses.embedding_rows import Reduction, check_rows, reduce_images


def identity_loss(edited: Tensor, source: Tensor, reduction: Reduction = "mean") -> Tensor:
    """`1 - <edited, source>`: 0 for the same identity, 2 at most.

    Source: CF-CLIP (Yu et al., ACM MM 2022), the identity term, after pSp (CVPR 2021).

    Args:
        edited, source: `(B, dim)` unit vectors of an identity network.
        reduction: `"mean"` over images, or `"none"` for the `(B,)` values.

    Raises:
        InputError: vectors of other shapes, or an unknown reduction.

    >>> import torch
    >>> identity_loss(torch.tensor([[0.6, 0.8]]), torch.tensor([[1.0, 0.0]]))
    tensor(0.4000)
    """
    check_rows("source", source)
    if edited.shape != source.shape:
        raise InputError(
            f"edited has shape {tuple(edited.shape)}, source {tuple(source.shape)}; give a vector "
            "of each image"
        )
    return reduce_images(1.0 - (edited * source).sum(1), reduction)


class IdentityLoss(nn.Module):
    """`identity_loss` as a module; `forward(edited, source)`."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction: Reduction = reduction

    def forward(self, edited: Tensor, source: Tensor) -> Tensor:
        return identity_loss(edited, source, self.reduction)
