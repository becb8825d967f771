"""How far an edit moved the feature maps of a picture."""

from torch import Tensor, nn

from cfclip.errors import InputError
from cfclip.losses.embedding_rows import Reduction, reduce_images


def perceptual_loss(edited: Tensor, source: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Mean absolute difference over all entries of an image's feature maps.

    Source: CF-CLIP (Yu et al., ACM MM 2022), the perceptual term, on relu5_2 of VGG19.

    Args:
        edited, source: `(B, ...)` maps of one network.
        reduction: `"mean"` over images, or `"none"` for the `(B,)` values.

    Raises:
        InputError: maps of other shapes or without entries, or an unknown reduction.

    >>> import torch
    >>> perceptual_loss(torch.tensor([[3.0, -4.0]]), torch.tensor([[1.0, 0.0]]))
    tensor(3.)
    """
    if edited.shape != source.shape or edited.ndim < 2 or edited.numel() == 0:
        raise InputError(
            f"edited has shape {tuple(edited.shape)}, source {tuple(source.shape)}; expected maps "
            "of one shape (batch, entries, ...)"
        )
    return reduce_images((edited - source).abs().flatten(1).mean(1), reduction)


class PerceptualLoss(nn.Module):
    """`perceptual_loss` as a module; `forward(edited, source)`."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction: Reduction = reduction

    def forward(self, edited: Tensor, source: Tensor) -> Tensor:
        return perceptual_loss(edited, source, self.reduction)
