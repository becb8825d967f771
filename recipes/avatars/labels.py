"""What a classifier of avatars is asked: classes, unreadable ones masked out, and the loss."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cfclip_benchmark.avatars import (
    ATTRIBUTES,
    COLOURS,
    AttributeTable,
    class_distances,
    classes,
    lab_from_rgb,
)

Targets = dict[str, tuple[NDArray[np.int64], int]]


def readable_targets(table: AttributeTable, visibility: Mapping[str, NDArray[np.bool_]]) -> Targets:
    """By attribute: class codes (N,), -1 where hidden or ambiguous, and the number of classes."""
    return {
        name: (
            np.where(visibility[name], table.labels(name), -1).astype(np.int64),
            len(classes(name)),
        )
        for name in ATTRIBUTES
    }


SOFTNESS = 8.0
"""That of the CLIP, whose edits follow the slope from one colour to the next."""


SMALL_PARTS = {"brow_colour": 4.0, "lip_colour": 4.0, "beard": 3.0}
"""Weights of what a hundredth of the pixels shows; at equal weights, the CLIP was right about 85 %
of brows and 92 % of lips where it was about 99 % of everything else. A goatee is as small."""


def soft_targets(
    table: AttributeTable,
    visibility: Mapping[str, NDArray[np.bool_]],
    softness: float = SOFTNESS,
) -> dict[str, NDArray[np.float32]]:
    """By attribute: the share of each class, (N, classes), all zero where it cannot be read.

    A shape is one class. A colour is shared out by its distances to the words' anchors, so that
    there is no colour from which nothing is learnt, and what is learnt says of any two colours
    which one is nearer to a word: an edit follows that slope. `softness` is the Delta-E over which
    a share falls by a factor e.
    """
    targets = {}
    for name in ATTRIBUTES:
        if name in COLOURS:
            rgb, place = np.unique(table.rgb[name], axis=0, return_inverse=True)
            near = class_distances(lab_from_rgb(rgb), COLOURS[name])
            shares = np.exp((near.min(1, keepdims=True) - near) / softness)
            shares = (shares / shares.sum(1, keepdims=True))[place.reshape(-1)]
        else:
            shares = np.eye(len(classes(name)))[table.codes[name]]
        targets[name] = np.where(visibility[name][:, None], shares, 0.0).astype(np.float32)
    return targets


def class_loss(
    logits: Tensor, shares: Tensor, sizes: Sequence[int], weights: Sequence[float]
) -> Tensor:
    """Cross-entropy over the classes of each attribute, weighted mean over the attributes.

    Args:
        logits: (images, sum of sizes), the classes of one attribute side by side.
        shares: same shape, the target distribution of each attribute; all zero leaves it out.
        sizes: classes of each attribute.
        weights: weight of each attribute.

    >>> import torch
    >>> class_loss(torch.zeros(1, 4), torch.tensor([[0.5, 0.5, 0.0, 0.0]]), [2, 2], [1.0, 1.0])
    tensor(0.6931)
    """
    loss, total = logits.new_zeros(()), 0.0
    columns = zip(logits.split([*sizes], 1), shares.split([*sizes], 1), weights, strict=True)
    for own, wanted, weight in columns:
        if readable := float(wanted.sum()):
            loss = loss - weight * (wanted * own.log_softmax(1)).sum() / readable
            total += weight
    return loss / total
