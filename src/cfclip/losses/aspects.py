"""Keeping what a text does not speak of, as far as CLIP can tell.

An *aspect* is something about a picture that several texts name the values of: the colour of the
hair, for example, by "red hair", "blue hair", ... CLIP's own reading of it is the softmax of the
similarities to those texts.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cfclip.losses.rows import Reduction, check_rows, check_text_pair, copies_of, reduce_images
from cfclip.tensors import unit

SHARPNESS = 100.0
"""Factor on similarities before the softmax: the largest that CLIP's training allows."""
SPOKEN = 0.5
"""Share of the reading of an aspect that has to move for a text to be about it."""

_EPS = 1e-6


def readings(images: Tensor, aspect: Tensor, sharpness: float = SHARPNESS) -> Tensor:
    """Logarithms of CLIP's reading of one aspect.

    Args:
        images: unit embeddings `(N, dim)`.
        aspect: unit embeddings `(values, dim)` of the texts that name its values.
        sharpness: factor on similarities.

    Returns:
        `(N, values)`, whose exponentials sum to 1.
    """
    return (sharpness * images @ aspect.T).log_softmax(1)


@torch.no_grad()
def spoken_aspects(
    source: Tensor,
    target_texts: Tensor,
    source_texts: Tensor,
    aspects: Sequence[Tensor],
    threshold: float = SPOKEN,
) -> Tensor:
    """Which aspects of an image a text is about: `(B, aspects)` bool.

    The image's embedding is moved by the text's direction, `E(x) + mean_k(E(t_k) - E(s_k))`. A text
    is about the aspects whose reading that changes by more than `threshold` in total variation.

    Args:
        source: unit embeddings `(B, dim)`.
        target_texts, source_texts: unit embeddings `(K, dim)`, the same templates.
        aspects: unit embeddings `(values, dim)` of each aspect's texts.
        threshold: 0 to 1.

    Raises:
        InputError: shapes that do not fit together.
    """
    check_rows("source", source)
    check_text_pair(target_texts, source_texts, source.shape[1])
    moved = unit(source + (target_texts - source_texts).mean(0), _EPS)
    changes = [
        (readings(moved, aspect).exp() - readings(source, aspect).exp()).abs().sum(1) / 2
        for aspect in aspects
    ]
    return torch.stack(changes, 1) > threshold


def aspects_loss(
    edited: Tensor,
    source: Tensor,
    aspects: Sequence[Tensor],
    spoken: Tensor,
    reduction: Reduction = "mean",
) -> Tensor:
    """Divergence of the readings of all that is not spoken of, mean over aspects, augmentations.

    `KL(reading(x) || reading(x'))` for each aspect; those that are spoken of count as zero.

    Args:
        edited: unit embeddings `(A * B, dim)`, row `a * B + b` from image `b`.
        source: unit embeddings `(B, dim)` of the images before the edit.
        aspects: unit embeddings `(values, dim)` of each aspect's texts, at least one aspect.
        spoken: `(B, aspects)` bool, see `spoken_aspects`.
        reduction: `"mean"` over images, or `"none"` for the `(B,)` values.

    Raises:
        InputError: shapes that do not fit together, or an unknown reduction.

    An edit that changes nothing costs nothing, and one that is free to change may:

    >>> x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> hair = torch.cat([x, y])
    >>> aspects_loss(x, x, [hair], torch.tensor([[False]]))
    tensor(0.)
    >>> aspects_loss(y, x, [hair], torch.tensor([[False]]))
    tensor(100.)
    >>> aspects_loss(y, x, [hair], torch.tensor([[True]]))
    tensor(0.)
    """
    copies = copies_of(edited, source)
    total = source.new_zeros(len(source))
    for aspect, free in zip(aspects, spoken.unbind(1), strict=True):
        before = readings(source, aspect)
        after = readings(edited, aspect).unflatten(0, (copies, -1))
        divergence = (before.exp() * (before - after)).sum(2).mean(0)
        total = total + divergence.masked_fill(free, 0.0)
    return reduce_images(total / len(aspects), reduction)


class AspectsLoss(nn.Module):
    """`aspects_loss` as a module; `forward(edited, source, aspects, spoken)`."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction: Reduction = reduction

    def forward(
        self, edited: Tensor, source: Tensor, aspects: Sequence[Tensor], spoken: Tensor
    ) -> Tensor:
        return aspects_loss(edited, source, aspects, spoken, self.reduction)
