"""How far an edit moved the latent, the pixels, an identity or feature maps from the source."""

from torch import Tensor

from cfclip.errors import InputError
from cfclip.losses.clip_losses import Reduction, check_rows, reduce_images

VISIBLE = 0.1
"""Root mean square over the channels, from -1 to 1, at which half a pixel has changed."""


def latent_l2_loss(offset: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Mean square over all entries of an image's latent offset.

    CF-CLIP takes this mean. StyleCLIP's optimisation takes the sum instead: its weight has to be
    multiplied by the number of entries.

    Args:
        offset: `(B, ...)`, the edited latent minus the source's, in any latent space.
        reduction: `"mean"` over images, or `"none"` for the `(B,)` values.

    Raises:
        InputError: an offset without a batch axis or entries, or an unknown reduction.

    >>> import torch
    >>> latent_l2_loss(torch.tensor([[3.0, 4.0]]))
    tensor(12.5000)
    """
    if offset.ndim < 2 or offset.numel() == 0:
        raise InputError(f"offset has shape {tuple(offset.shape)}, expected (batch, entries, ...)")
    return reduce_images(offset.square().flatten(1).mean(1), reduction)


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
