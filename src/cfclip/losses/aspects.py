"""What a text speaks of comes true and the rest stays, as far as CLIP can tell.

An *aspect* is something about a picture that several texts name the values of: the colour of the
hair, for example, by "red hair", "blue hair", ... CLIP's own reading of it is the softmax of the
similarities to those texts. A loss of directions such as CLIP-NCE is content with any change that
points the right way, however small; a reading is not.

What a text speaks of follows from its embedding as a sparse sum of the embeddings of known texts,
after SpLiCE (Bhalla et al., NeurIPS 2024), which decomposes embeddings of CLIP into words; the
weights are those of the non-negative lasso, found by accelerated proximal gradient (Beck and
Teboulle, SIAM J. Imaging Sciences 2009).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cfclip.losses.clip_losses import (
    Reduction,
    check_rows,
    check_text_pair,
    reduce_images,
    split_copies,
)
from cfclip.tensors import unit

SHARPNESS = 100.0
"""Factor on similarities before the softmax: the largest that CLIP's training allows."""
SPOKEN = 0.05
"""Weight that an aspect has in a text that speaks of it. In the pack `avatars` that tells right of
all 113 texts of aspects which one they are of, and of 388 of 400 random pairs of them which two."""
_EPS = 1e-6
SPARSITY = 0.05
"""Price of a weight, in units of the cosine that it has to explain."""
_STEPS = 1000


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


@dataclass(frozen=True)
class Aspect:
    """An aspect, and what the texts of an edit say of it.

    Attributes:
        values: unit embeddings `(values, dim)` of the texts that name its values.
        said: logarithms `(values,)` of what shall be read of it, None if no text speaks of it.
    """

    values: Tensor
    said: Tensor | None = None


@torch.no_grad()
def spoken_aspects(
    target_texts: Tensor,
    source_texts: Tensor,
    aspects: Sequence[Tensor],
    threshold: float = SPOKEN,
) -> tuple[Aspect, ...]:
    """Which aspects the texts of an edit speak of, and what they say; independent of images.

    A text is decomposed into the texts of all aspects and that of the original image; it speaks of
    the aspects that have a share in it. How far the text would move the reading of an image does
    not tell: a direction of texts moves readings of what it has nothing to do with, too.

    Args:
        target_texts: unit embeddings `(K, dim)`, or `(P, K, dim)` for P texts, of which the last
            that speaks of an aspect decides.
        source_texts: unit embeddings `(K, dim)`, the same templates.
        aspects: unit embeddings `(values, dim)` of each aspect's texts; of none, nothing is told.
        threshold: least sum of the weights of an aspect's texts, above 0.

    Raises:
        InputError: shapes that do not fit together.

    >>> hair, eyes, person = torch.eye(5).split((2, 2, 1))
    >>> [each.said is None for each in spoken_aspects(eyes[:1], person, [hair, eyes])]
    [True, False]
    """
    texts = target_texts if target_texts.ndim == 3 else target_texts[None]
    of_each = spoken_aspects_of_each(texts, source_texts, aspects, threshold)
    merged = []
    for of_aspect in zip(*of_each, strict=True):
        speaking = [each for each in of_aspect if each.said is not None]
        merged.append((speaking or of_aspect)[-1])
    return tuple(merged)


@torch.no_grad()
def spoken_aspects_of_each(
    target_texts: Tensor,
    source_texts: Tensor,
    aspects: Sequence[Tensor],
    threshold: float = SPOKEN,
) -> tuple[tuple[Aspect, ...], ...]:
    """What `spoken_aspects` gives for each of many texts `(P, K, dim)` alone, found at once.

    Raises `InputError` as that does.
    """
    if not aspects:
        return ((),) * len(target_texts)
    for each in target_texts:
        check_text_pair(each, source_texts, aspects[0].shape[1])
    means = unit(target_texts.mean(1), _EPS)
    known = torch.cat((*aspects, unit(source_texts.mean(0, keepdim=True), _EPS)))
    *weights, _ = decompose(means, known).split([*map(len, aspects), 1], dim=1)
    columns = []
    for aspect, weight in zip(aspects, weights, strict=True):
        speaking, said = (weight.sum(1) > threshold).tolist(), readings(means, aspect)
        columns.append(
            [Aspect(aspect, said[p] if speaks else None) for p, speaks in enumerate(speaking)]
        )
    return tuple(zip(*columns, strict=True))


@torch.no_grad()
def aspect_targets(source: Tensor, aspects: Sequence[Aspect]) -> tuple[Tensor, ...]:
    """What CLIP shall read of an edited image: logarithms, `(B, values)` for each aspect.

    Of the aspects that the texts speak of it is what they say, of all others what is read of the
    image before the edit, unit embeddings `source` `(B, dim)`.
    """
    return tuple(
        readings(source, each.values) if each.said is None else each.said.expand(len(source), -1)
        for each in aspects
    )


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


@torch.no_grad()
def decompose(texts: Tensor, known: Tensor, sparsity: float = SPARSITY) -> Tensor:
    """Weights of the known texts in each text.

    `argmin_(w >= 0) |t - w K|^2 / 2 + sparsity * sum(w)`.

    Args:
        texts: unit embeddings `(N, dim)`.
        known: unit embeddings `(M, dim)`, K.
        sparsity: at least 0; at 1 or more, no weight is worth its price.

    Returns:
        `(N, M)`, at least 0, in float64 on the CPU, whatever the texts' device is.

    Raises:
        InputError: not matrices of one width.

    >>> decompose(torch.tensor([[0.6, -0.8]]), torch.eye(2), sparsity=0.1)
    tensor([[0.5000, 0.0000]], dtype=torch.float64)
    """
    check_rows("texts", texts)
    check_rows("known", known, texts.shape[1])
    texts, known = texts.cpu().double(), known.cpu().double()
    gram, explained = known @ known.T, texts @ known.T - sparsity
    rate = 1.0 / torch.linalg.matrix_norm(gram, 2)
    weights = ahead = torch.zeros_like(explained)
    pace = 1.0
    for _ in range(_STEPS):
        step = (ahead - rate * (ahead @ gram - explained)).clamp_min(0.0)
        faster = (1.0 + (1.0 + 4.0 * pace**2) ** 0.5) / 2.0
        ahead = step + (pace - 1.0) / faster * (step - weights)
        weights, pace = step, faster
    return weights
