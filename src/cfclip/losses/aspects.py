"""What a text speaks of comes true and the rest stays, as far as CLIP can tell.

An *aspect* is something about a picture that several texts name the values of: the colour of the
hair, for example, by "red hair", "blue hair", ... CLIP's own reading of it is the softmax of the
similarities to those texts. A loss of directions such as CLIP-NCE is content with any change that
points the right way, however small; a reading is not.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cfclip.losses.rows import (
    Reduction,
    check_rows,
    check_text_pair,
    reduce_images,
    split_copies,
)
from cfclip.tensors import unit

SHARPNESS = 100.0
"""Factor on similarities before the softmax: the largest that CLIP's training allows."""
SPOKEN = 0.5
"""Share of the reading of an aspect that has to move for a text to speak of it."""

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
def aspect_targets(
    source: Tensor,
    target_texts: Tensor,
    source_texts: Tensor,
    aspects: Sequence[Tensor],
    threshold: float = SPOKEN,
) -> tuple[Tensor, ...]:
    """What CLIP shall read of an edited image: logarithms, `(B, values)` for each aspect.

    The image's embedding is moved by the text's direction, `E(x) + mean_k(E(t_k) - E(s_k))`. A text
    speaks of the aspects whose reading that changes by more than `threshold` in total variation:
    of these the reading of the text itself is the target, of all others that of the image.

    Args:
        source: unit embeddings `(B, dim)`.
        target_texts: unit embeddings `(K, dim)`, or `(P, K, dim)` for P texts, of which the last
            that speaks of an aspect decides.
        source_texts: unit embeddings `(K, dim)`, the same templates.
        aspects: unit embeddings `(values, dim)` of each aspect's texts.
        threshold: 0 to 1.

    Raises:
        InputError: shapes that do not fit together.
    """
    check_rows("source", source)
    targets = [readings(source, aspect) for aspect in aspects]
    for texts in target_texts if target_texts.ndim == 3 else target_texts[None]:
        check_text_pair(texts, source_texts, source.shape[1])
        moved = unit(source + (texts - source_texts).mean(0), _EPS)
        said = unit(texts.mean(0, keepdim=True), _EPS)
        for i, aspect in enumerate(aspects):
            before, after = readings(source, aspect).exp(), readings(moved, aspect).exp()
            spoken = (after - before).abs().sum(1, keepdim=True) > 2.0 * threshold
            targets[i] = torch.where(spoken, readings(said, aspect), targets[i])
    return tuple(targets)


def aspects_loss(
    edited: Tensor,
    targets: Sequence[Tensor],
    aspects: Sequence[Tensor],
    reduction: Reduction = "mean",
) -> Tensor:
    """Mean over aspects and augmentations of `KL(target || reading(x'))`.

    Args:
        edited: unit embeddings `(A * B, dim)`, row `a * B + b` from image `b`.
        targets: log readings `(B, values)` of each aspect, see `aspect_targets`; at least one.
        aspects: unit embeddings `(values, dim)` of each aspect's texts.
        reduction: `"mean"` over images, or `"none"` for the `(B,)` values.

    Raises:
        InputError: shapes that do not fit together, or an unknown reduction.

    What is read as it shall be costs nothing, and the contrary as much as CLIP is sure of it:

    >>> hair = torch.eye(2)
    >>> short, long = hair.split(1)
    >>> aspects_loss(short, [readings(short, hair)], [hair])
    tensor(0.)
    >>> aspects_loss(long, [readings(short, hair)], [hair])
    tensor(100.)
    """
    copies = len(edited) // max(1, len(targets[0]))
    total = edited.new_zeros(len(targets[0]))
    for aspect, target in zip(aspects, targets, strict=True):
        after = split_copies(readings(edited, aspect), copies)
        total = total + (target.exp() * (target - after)).sum(2).mean(0)
    return reduce_images(total / len(aspects), reduction)


class AspectsLoss(nn.Module):
    """`aspects_loss` as a module; `forward(edited, targets, aspects)`."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction: Reduction = reduction

    def forward(
        self, edited: Tensor, targets: Sequence[Tensor], aspects: Sequence[Tensor]
    ) -> Tensor:
        return aspects_loss(edited, targets, aspects, self.reduction)
