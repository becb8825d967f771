"""CLIP-NCE, the contrastive objective of CF-CLIP (Yu et al., ACM MM 2022, arXiv 2207.02812)."""

import math
from typing import get_args

import torch
from torch import Tensor, nn

from cfclip.errors import InputError
from cfclip.losses.choices import Negatives, Positives
from cfclip.losses.embedding_rows import (
    Reduction,
    check_text_pair,
    copies_of,
    direction,
    reduce_images,
)

TEMPERATURE = 0.1
"""The paper's tau."""


def clip_nce_loss(
    edited: Tensor,
    source: Tensor,
    target_texts: Tensor,
    source_texts: Tensor,
    temperature: float = TEMPERATURE,
    negatives: Negatives = "own",
    reduction: Reduction = "mean",
    positives: Positives = "both",
) -> Tensor:
    r"""Pull the edit's direction towards the text's, and away from the source text.

    With `u` the direction of a difference, `y` an edited embedding and `x` its source's,

    .. math::
        q = u(y - x), \quad p_1 = u(\tfrac1K \sum_k t_k - s_k), \quad
        p_2 = u(\tfrac1K \sum_k t_k - x), \quad n_k = u(s_k - x)

        L(q, p) = -\log \frac{\exp(q \cdot p / \tau)}
                             {\exp(q \cdot p / \tau) + \sum_k \exp(q \cdot n_k / \tau)}

    averaged over both positives and the augmentations.

    Args:
        edited: unit embeddings `(A * B, dim)`, row `a * B + b` from image `b`.
        source: unit embeddings `(B, dim)` of the images before the edit.
        target_texts: unit embeddings `(K, dim)` of the target text in K templates.
        source_texts: unit embeddings `(K, dim)` of the source text in the same templates.
        temperature: tau, positive.
        negatives: `"own"` takes each image's own negatives, as the paper describes. `"released"`
            gives all rows the negatives of image 0, as the released training code does; it
            exists to reproduce numbers of that code, and makes a loss depend on the batch.
            `"none"` leaves nothing to contrast with: what remains is `(1 - q . p) / tau`.
        reduction: `"mean"` over images, or `"none"` for the `(B,)` values.
        positives: `"both"`, or `"direction"` for `p_1` alone, or `"image"` for `p_2` alone.

    Raises:
        InputError: shapes that do not fit together, a temperature that is not positive, or an
            unknown option.

    The edit goes exactly where the text does, the negative is no direction at all, so that the
    loss is `log(1 + exp(-1))` at temperature 1:

    >>> x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> clip_nce_loss(y, x, target_texts=y, source_texts=x, temperature=1.0)
    tensor(0.3133)
    """
    copies = copies_of(edited, source)
    check_text_pair(target_texts, source_texts, source.shape[1])
    if not (temperature > 0 and math.isfinite(temperature)):
        raise InputError(f"temperature is {temperature}, expected a positive number")
    for name, value, choices in (
        ("negatives", negatives, get_args(Negatives)),
        ("positives", positives, get_args(Positives)),
    ):
        if value not in choices:
            raise InputError(f"{name} is {value!r}, expected one of {', '.join(choices)}")

    query = direction(edited.unflatten(0, (copies, -1)) - source)  # (A, B, dim)
    goals = []  # (dim,) or (B, dim) each
    if positives != "image":
        goals.append(direction((target_texts - source_texts).mean(0)))
    if positives != "direction":
        goals.append(direction(target_texts.mean(0) - source))
    agreement = torch.stack([(query * goal).sum(-1) for goal in goals]) / temperature
    if negatives == "none":
        rows = 1.0 / temperature - agreement
    else:
        away = direction(source_texts - source.unsqueeze(1))  # (B, K, dim)
        if negatives == "released":
            away = away[:1].expand_as(away)
        logits = torch.einsum("abd,bkd->abk", query, away) / temperature
        # -log softmax of a positive among itself and the negatives, (positives, A, B)
        rows = torch.logaddexp(agreement, logits.logsumexp(-1)) - agreement
    return reduce_images(rows.mean((0, 1)), reduction)


class ClipNceLoss(nn.Module):
    """`clip_nce_loss` as a module; `forward(edited, source, target_texts, source_texts)`.

    >>> x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> ClipNceLoss(temperature=1.0)(y, x, y, x)
    tensor(0.3133)
    """

    def __init__(
        self,
        temperature: float = TEMPERATURE,
        negatives: Negatives = "own",
        reduction: Reduction = "mean",
        positives: Positives = "both",
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.negatives: Negatives = negatives
        self.reduction: Reduction = reduction
        self.positives: Positives = positives

    def forward(
        self, edited: Tensor, source: Tensor, target_texts: Tensor, source_texts: Tensor
    ) -> Tensor:
        return clip_nce_loss(
            edited,
            source,
            target_texts,
            source_texts,
            self.temperature,
            self.negatives,
            self.reduction,
            self.positives,
        )
