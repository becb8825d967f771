"""How much of its way to a text an edit has gone in the eyes of a CLIP.

The true answer is the measure: an edit that the optimised CLIP finds further on its way than the
true answer, and that a CLIP which no method has seen does not, has fooled the former.
"""

from torch import Tensor

from cfclip.embedders.embedder import Embedder


def text_likeness(embedder: Embedder, text: str, images: Tensor) -> Tensor:
    """Cosine similarity `(batch,)` of image tensors `(batch, 3, side, side)` and a text."""
    (direction,) = embedder.embed_texts([text])
    return embedder.embed_images(images.to(direction)) @ direction


def gained_share(source: Tensor, edited: Tensor, truth: Tensor) -> float:
    """Mean gain of edited pictures over their sources, as a share of what the true answers gain.

    Args:
        source, edited, truth: `text_likeness` of the inversions, of their edits, and of the true
            answers, each `(N,)`.

    >>> import torch
    >>> before, after, best = torch.tensor([[0.25, 0.25], [0.5, 0.5], [0.75, 0.75]])
    >>> gained_share(before, after, best)
    0.5
    """
    return float((edited - source).mean() / (truth - source).mean())
