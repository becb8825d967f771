"""The features of a synthesis network, kept while it renders."""

from collections.abc import Iterable

import torch
from torch import Tensor


class FeatureMaps:
    """Collects what a synthesis network has computed at the end of some resolutions.

    Args:
        resolutions: sides of the features to keep.
    """

    def __init__(self, resolutions: Iterable[int]) -> None:
        self._kept: dict[int, list[Tensor]] = {side: [] for side in resolutions}

    def keep(self, features: Tensor) -> None:
        """Keep features `(batch, channels, side, side)` if those of this side are wanted.

        They carry no gradient. More images of the same rendering are kept after these.
        """
        if (side := features.shape[-1]) in self._kept:
            self._kept[side].append(features.detach())

    def at(self, side: int) -> Tensor:
        """`(batch, channels, side, side)` of all images, in the precision of the rendering.

        Raises `KeyError` for a side that was not asked for, `RuntimeError` for one that was not
        rendered.
        """
        kept = self._kept[side]
        return kept[0] if len(kept) == 1 else torch.cat(kept)

    def width(self, side: int) -> int:
        """Channels of the features of a side; 0 if it was not rendered."""
        return sum(kept.shape[1] for kept in self._kept[side][:1])
