"""What a classifier of avatars may be asked: class codes with unreadable ones masked out."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from recipes.avatars.attributes import ATTRIBUTES, AttributeTable, classes

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
