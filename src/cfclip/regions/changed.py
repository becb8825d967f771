"""The region of an edit by what it changed: what it barely touched was not meant."""

import torch
from torch import Tensor
from torch.nn import functional

_BLUR = 3
"""Pixels: the side of the box that differences are averaged over."""
_QUANTILE = 0.97
"""Of the differences of a picture: those that an edit is about, whatever it is about."""
_FROM, _TO = 0.15, 0.4
"""Shares of that quantile: what changed less is not the edit's, what changed more is."""
_EPS = 1e-6


def changed_mask(source: Tensor, edited: Tensor) -> Tensor:
    """Where an edit changed a picture much, as measured by its own largest changes.

    With d the root mean square difference of a pixel, averaged over its neighbours, and q the 97th
    percentile of d over the picture, it is smoothstep(d) from 0.15 q to 0.4 q.

    Args:
        source, edited: image tensors `(batch, 3, R, R)`.

    Returns:
        `(batch, 1, R, R)` in [0, 1], without gradient; 0 where nothing changed at all.

    >>> black, white = torch.full((1, 3, 8, 8), -1.0), torch.ones(1, 3, 8, 8)
    >>> float(changed_mask(black, white).min()), float(changed_mask(black, black).max())
    (1.0, 0.0)
    """
    with torch.no_grad():
        difference = (edited - source).square().mean(1, keepdim=True).sqrt()
        pad = _BLUR // 2
        framed = functional.pad(difference, (pad, pad, pad, pad), mode="replicate")
        difference = functional.avg_pool2d(framed, _BLUR, 1)
        usual = difference.flatten(1).float().quantile(_QUANTILE, 1).clamp_min(_EPS)
        share = difference / usual[:, None, None, None]
        return smoothstep(share, _FROM, _TO)


def smoothstep(values: Tensor, low: float, high: float) -> Tensor:
    """`3 t^2 - 2 t^3` with t rising from 0 at `low` to 1 at `high`.

    >>> smoothstep(torch.tensor([0.0, 1.5, 9.0]), 1.0, 2.0)
    tensor([0.0000, 0.5000, 1.0000])
    """
    risen = ((values - low) / (high - low)).clamp(0.0, 1.0)
    return risen.square() * (3.0 - 2.0 * risen)
