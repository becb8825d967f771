"""What a classifier of avatars may be asked: classes, with unreadable ones masked out."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from recipes.avatars.attributes import ATTRIBUTES, COLOURS, AttributeTable, classes
from recipes.avatars.colours import class_distances, lab_from_rgb

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
"""Delta-E over which the share of a colour word falls by a factor e."""


def soft_targets(
    table: AttributeTable, visibility: Mapping[str, NDArray[np.bool_]]
) -> dict[str, NDArray[np.float32]]:
    """By attribute: the share of each class, (N, classes), all zero where it cannot be read.

    A shape is one class. A colour is shared out by its distances to the words' anchors, so that
    there is no colour from which nothing is learnt, and what is learnt says of any two colours
    which one is nearer to a word: an edit follows that slope.
    """
    targets = {}
    for name in ATTRIBUTES:
        if name in COLOURS:
            rgb, place = np.unique(table.rgb[name], axis=0, return_inverse=True)
            near = class_distances(lab_from_rgb(rgb), COLOURS[name])
            shares = np.exp((near.min(1, keepdims=True) - near) / SOFTNESS)
            shares = (shares / shares.sum(1, keepdims=True))[place.reshape(-1)]
        else:
            shares = np.eye(len(classes(name)))[table.codes[name]]
        targets[name] = np.where(visibility[name][:, None], shares, 0.0).astype(np.float32)
    return targets
