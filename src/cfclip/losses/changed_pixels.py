"""How many pixels an edit changed: a prior that an edit is confined to what it is about."""

from torch import Tensor, nn

from cfclip.errors import InputError
from cfclip.losses.embedding_rows import Reduction, reduce_images

VISIBLE = 0.1
"""Root mean square over the channels, from -1 to 1, at which half a pixel has changed."""


def changed_pixels_loss(
    edited: Tensor, source: Tensor, visible: float = VISIBLE, reduction: Reduction = "mean"
) -> Tensor:
    """Share of pixels that differ, each counted as `d^2 / (d^2 + visible^2)`.

    `d` is the pixel's difference, root mean square over its channels. The count of a pixel ends at
    1 (Geman and McClure 1985): what an edit is about may change as far as it likes, while a tint
    of all the rest, which a squared error hardly sees, costs as many pixels as there are. CLIP does
    not see that tint either.

    Args:
        edited, source: `(B, C, H, W)` image tensors.
        visible: the difference that counts half.
        reduction: `"mean"` over images, or `"none"` for the `(B,)` values.

    Raises:
        InputError: images of different shapes, or an unknown reduction.

    One of two pixels differs by as much as is visible:

    >>> import torch
    >>> source = torch.zeros(1, 3, 1, 2)
    >>> edited = torch.tensor([0.0, 0.1]).expand(1, 3, 1, 2)
    >>> changed_pixels_loss(edited, source)
    tensor(0.2500)
    """
    return reduce_images(changed_pixels(edited, source, visible).mean((1, 2)), reduction)


def changed_pixels(edited: Tensor, source: Tensor, visible: float = VISIBLE) -> Tensor:
    """How much each pixel counts as changed, `(B, H, W)` in [0, 1): the terms of the loss.

    Raises `InputError` for images of different shapes.
    """
    if edited.ndim != 4 or edited.shape != source.shape:
        raise InputError(
            f"edited has shape {tuple(edited.shape)} and source {tuple(source.shape)}, expected "
            "the same (batch, channels, height, width)"
        )
    square = (edited - source).square().mean(1)
    return square / (square + visible**2)


class ChangedPixelsLoss(nn.Module):
    """`changed_pixels_loss` as a module; `forward(edited, source)`."""

    def __init__(self, visible: float = VISIBLE, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.visible = visible
        self.reduction: Reduction = reduction

    def forward(self, edited: Tensor, source: Tensor) -> Tensor:
        return changed_pixels_loss(edited, source, self.visible, self.reduction)
