"""The losses of CLIP: what the edited images show, compared with texts.

CLIP-NCE, the contrastive objective of CF-CLIP (Yu et al., ACM MM 2022, arXiv 2207.02812); the
directional loss of StyleGAN-NADA (Gal et al., 2021, arXiv 2108.00946); the plain CLIP score of
StyleCLIP (Patashnik et al., ICCV 2021, arXiv 2103.17249); and the logit objective: similarity,
diversity and realism as log-odds of CLIP scores.

An edited batch of B images is augmented A times before it is embedded, which gives
`(A * B, dim)` embeddings whose row `a * B + b` belongs to image `b`. Every loss first has a value
per row, averages it over the A augmentations of each image, and then either keeps the B values
(`reduction="none"`) or averages them too (`"mean"`).

With `"mean"`, the gradient of an image is its own divided by B. To optimise a batch of latents as
if each image were alone, take `"none"` and differentiate the sum.
"""

import math
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from cfclip.errors import InputError
from cfclip.losses.terms import Negatives, Positives
from cfclip.settings import check_choice
from cfclip.tensors import unit

Reduction: TypeAlias = Literal["mean", "none"]
REDUCTIONS: tuple[Reduction, ...] = ("mean", "none")

DIRECTION_EPS = 5e-4
"""eps of `direction`: small enough that the reference values and gradient of CLIP-NCE are met to
1e-6 relative (at 1e-3 the gradient is off by 3e-6), large enough to bound the gradient at a zero
edit. The gradient of a direction is at most `1 / DIRECTION_EPS` times the incoming one, so that of
CLIP-NCE is at most `2 / (temperature * DIRECTION_EPS)` per row."""

TEMPERATURE = 0.1
"""The paper's tau."""

COSINE_MARGIN = 1e-4
"""Cosines are clamped to at most 1 minus this in size, where their log-odds would be infinite. The
log-odds stay within +-9.9 and their gradient below 1 / COSINE_MARGIN."""


def direction(difference: Tensor) -> Tensor:
    """`v / sqrt(|v|^2 + eps^2)` over the last dimension: unit length, but 0 at `v = 0`.

    At the first step of an edit the edited image equals the source; a plain normalisation would be
    0/0 there and have an exploding gradient beside it.
    """
    return unit(difference, DIRECTION_EPS)


def check_rows(name: str, rows: Tensor, dim: int | None = None) -> None:
    """Raise `InputError` unless `rows` is a non-empty `(rows, dim)`."""
    if rows.ndim != 2 or rows.shape[0] == 0 or (dim is not None and rows.shape[1] != dim):
        raise InputError(
            f"{name} has shape {tuple(rows.shape)}, expected (rows, {dim or 'dim'}), "
            "with at least one row"
        )


def copies_of(edited: Tensor, source: Tensor) -> int:
    """A, the augmented rows per image: `edited` is `(A * B, dim)`, `source` is `(B, dim)`."""
    check_rows("source", source)
    check_rows("edited", edited, source.shape[1])
    if edited.shape[0] % source.shape[0]:
        raise InputError(
            f"edited has shape {tuple(edited.shape)} and source {tuple(source.shape)}; the edited "
            "rows must be a multiple of the source rows (augmentations times images)"
        )
    return edited.shape[0] // source.shape[0]


def check_text_pair(target_texts: Tensor, source_texts: Tensor, dim: int) -> None:
    """Raise `InputError` unless both are `(K, dim)`: the same templates, filled with two texts."""
    check_rows("target_texts", target_texts, dim)
    check_rows("source_texts", source_texts, dim)
    if target_texts.shape != source_texts.shape:
        raise InputError(
            f"target_texts has shape {tuple(target_texts.shape)} and source_texts "
            f"{tuple(source_texts.shape)}; fill the same templates with both texts"
        )


def split_copies(edited: Tensor, copies: int) -> Tensor:
    """`(A * B, dim)` to `(A, B, dim)`, where `copies` is A."""
    check_rows("edited", edited)
    if copies < 1 or edited.shape[0] % copies:
        raise InputError(
            f"edited has shape {tuple(edited.shape)}, whose {edited.shape[0]} rows are not a "
            f"multiple of copies={copies}"
        )
    return edited.unflatten(0, (copies, -1))


def reduce_images(values: Tensor, reduction: Reduction) -> Tensor:
    """`(B,)` values to their mean (a scalar), or unchanged for `"none"`."""
    if reduction == "none":
        return values
    if reduction == "mean":
        return values.mean()
    raise InputError(f"reduction is {reduction!r}, expected one of {', '.join(REDUCTIONS)}")


def clip_nce_loss(
    edited: Tensor,
    source: Tensor,
    target_texts: Tensor,
    source_texts: Tensor,
    *,
    temperature: float = TEMPERATURE,
    positives: Positives = "both",
    negatives: Negatives = "own",
    reduction: Reduction = "mean",
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
        positives: `"both"`, or `"direction"` for `p_1` alone, or `"image"` for `p_2` alone.
        negatives: `"own"` takes each image's own negatives, as the paper describes. `"released"`
            gives all rows the negatives of image 0, as the released training code does; it
            exists to reproduce numbers of that code, and makes a loss depend on the batch.
            `"none"` leaves nothing to contrast with: what remains is `(1 - q . p) / tau`.
        reduction: `"mean"` over images, or `"none"` for the `(B,)` values.

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
    check_choice("negatives", negatives, get_args(Negatives))
    check_choice("positives", positives, get_args(Positives))

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


def text_log_odds(
    edited: Tensor, texts: Tensor, copies: int = 1, reduction: Reduction = "mean"
) -> Tensor:
    """`logit S` of the score `S = (1 + cos) / 2` of the images against a text.

    `logit S = log((1 + cos) / (1 - cos)) = 2 atanh(cos)`, with `cos` between an image embedding and
    the renormalised mean of the text's K template embeddings; averaged over the augmentations.

    Args:
        edited: unit embeddings `(A * B, dim)`, row `a * B + b` from image `b`.
        texts: unit embeddings `(K, dim)` of one text in K templates.
        copies: A, the augmented rows per image.
        reduction: `"mean"` over images, or `"none"` for the `(B,)` values.

    Raises:
        InputError: shapes that do not fit together, or an unknown reduction.

    At a cosine of 0.6 the score is 0.8 and the odds are 4, whose logarithm is 1.3863:

    >>> text_log_odds(torch.tensor([[0.6, 0.8]]), torch.tensor([[1.0, 0.0]]))
    tensor(1.3863)
    """
    limit = 1.0 - COSINE_MARGIN
    cosines = text_cosines(edited, texts, copies).clamp(-limit, limit)
    return reduce_images(2.0 * torch.atanh(cosines).mean(0), reduction)


def dissimilarity_loss(
    edited: Tensor, target_texts: Tensor, copies: int = 1, reduction: Reduction = "mean"
) -> Tensor:
    """`text_log_odds` with its sign turned: what the similarity to a text costs."""
    return -text_log_odds(edited, target_texts, copies, reduction)
