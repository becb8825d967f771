"""The logit objective: similarity, diversity and realism as log-odds of CLIP scores."""

import torch
from torch import Tensor, nn

from cfclip.losses.embedding_rows import Reduction, reduce_images
from cfclip.losses.global_clip import text_cosines

COSINE_MARGIN = 1e-4
"""Cosines are clamped to at most 1 minus this in size, where their log-odds would be infinite. The
log-odds stay within +-9.9 and their gradient below 1 / COSINE_MARGIN."""


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


def logit_loss(
    edited: Tensor,
    target_texts: Tensor,
    source_texts: Tensor,
    unrealistic_texts: Tensor,
    alpha: float,
    beta: float,
    gamma: float,
    copies: int = 1,
    reduction: Reduction = "mean",
) -> Tensor:
    """`-alpha * logit S_t + beta * logit S_t0 + gamma * logit S_tn`, to be minimised.

    Args:
        edited: unit embeddings `(A * B, dim)`, row `a * B + b` from image `b`.
        target_texts: `(K, dim)`, the text `t` that the edit shall show: similarity, weight alpha.
        source_texts: `(K, dim)`, the text `t0` of the original image: diversity, weight beta.
        unrealistic_texts: `(K, dim)`, a text `tn` that describes unrealistic images: realism,
            weight gamma.
        alpha, beta, gamma: the weights.
        copies: A, the augmented rows per image.
        reduction: `"mean"` over images, or `"none"` for the `(B,)` values.

    Raises:
        InputError: shapes that do not fit together, or an unknown reduction.

    Cosines 0.6 to the target (log-odds log 4) and 0.8 to the source text (log-odds log 9), 0 to the
    unrealistic text: `-log 4 + log 9 = log 2.25`:

    >>> axes = torch.eye(3)
    >>> logit_loss(
    ...     torch.tensor([[0.6, 0.8, 0.0]]), axes[:1], axes[1:2], axes[2:], alpha=1, beta=1, gamma=1
    ... )
    tensor(0.8109)
    """
    similarity = text_log_odds(edited, target_texts, copies, reduction)
    diversity = text_log_odds(edited, source_texts, copies, reduction)
    realism = text_log_odds(edited, unrealistic_texts, copies, reduction)
    return -alpha * similarity + beta * diversity + gamma * realism


class LogitLoss(nn.Module):
    """`logit_loss` with its weights held.

    `forward(edited, target_texts, source_texts, unrealistic_texts)`.
    """

    def __init__(
        self,
        alpha: float,
        beta: float,
        gamma: float,
        copies: int = 1,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.copies = copies
        self.reduction: Reduction = reduction

    def forward(
        self,
        edited: Tensor,
        target_texts: Tensor,
        source_texts: Tensor,
        unrealistic_texts: Tensor,
    ) -> Tensor:
        return logit_loss(
            edited,
            target_texts,
            source_texts,
            unrealistic_texts,
            self.alpha,
            self.beta,
            self.gamma,
            self.copies,
            self.reduction,
        )
