"""Regions: where an edit of a batch of pictures may act, seen from before and after it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from cfclip.generators import FeatureMaps
from cfclip.regions.changed import changed_mask
from cfclip.regions.parts import Parts

_BORDER = 0.35
"""Of likeness: how much less like a chosen part than like another a pixel may be to belong to it
too, as the outline between them does. Of 174 edits of 16 validation avatars, 72 % were exact; with
0.2, 0.3, 0.35, 0.4 and 0.5 confined to parts 75, 83, 86, 85 and 82 %."""
_SOFTNESS = 0.03
"""Of likeness: over which the region fades out."""


@dataclass(frozen=True)
class Sight:
    """What a region looks at of a batch of pictures."""

    images: Tensor
    """`(batch, 3, side, side)`."""
    likeness: Tensor | None
    """To each part, as `Parts.likeness` gives it, if the region looks at it."""

    def of(self, rows: Sequence[int]) -> "Sight":
        """Of some of them."""
        places = list(rows)
        likeness = None if self.likeness is None else self.likeness[places]
        return Sight(self.images[places], likeness)


class Region(ABC):
    """Where an edit may act."""

    parts: Parts | None = None
    """Whose likeness it looks at."""

    @abstractmethod
    def mask(self, source: Sight, edited: Sight) -> Tensor:
        """Where pictures may be changed, `(batch, 1, side, side)` in [0, 1], without gradient.

        Args:
            source: the pictures before the edit.
            edited: the same after it.
        """

    def features(self) -> FeatureMaps | None:
        """What collects the features that likeness is read from."""
        return None if self.parts is None else self.parts.wanted()

    def sight(self, images: Tensor, features: FeatureMaps | None) -> Sight:
        """What it looks at of images, given their `features()` after rendering."""
        likeness = None
        if self.parts is not None and features is not None:
            likeness = self.parts.likeness(features)
        return Sight(images, likeness)


class ChangedRegion(Region):
    """Where an edit changes much, see `changed_mask`."""

    def mask(self, source: Sight, edited: Sight) -> Tensor:
        return changed_mask(source.images, edited.images)


class PartsRegion(Region):
    """Parts of the picture, as they are before the edit and as they are after it.

    Args:
        parts: that tell what is what.
        chosen: `(parts,)` bool, which of them may change.
    """

    def __init__(self, parts: Parts, chosen: Tensor) -> None:
        self.parts = parts
        self.chosen = chosen

    def mask(self, source: Sight, edited: Sight) -> Tensor:
        assert source.likeness is not None
        assert edited.likeness is not None
        side = edited.images.shape[-1]
        return torch.maximum(
            parts_mask(source.likeness, self.chosen, side),
            parts_mask(edited.likeness, self.chosen, side),
        )


class RegionOfEach(Region):
    """A region of its own for each picture of a batch, or the whole picture.

    Args:
        regions: in the order of the pictures; the same one may be there often. None is the whole
            picture.
    """

    def __init__(self, regions: Sequence[Region | None]) -> None:
        self.regions = tuple(regions)
        known = (each.parts for each in self.regions if each is not None)
        self.parts = next((parts for parts in known if parts is not None), None)

    def mask(self, source: Sight, edited: Sight) -> Tensor:
        side = edited.images.shape[-1]
        found = edited.images.new_ones(len(self.regions), 1, side, side)
        for region in dict.fromkeys(each for each in self.regions if each is not None):
            rows = [row for row, each in enumerate(self.regions) if each is region]
            found[rows] = region.mask(source.of(rows), edited.of(rows))
        return found


@torch.no_grad()
def parts_mask(likeness: Tensor, chosen: Tensor, side: int) -> Tensor:
    """Where chosen parts are, with the outlines that they share with their neighbours.

    It is 1 where a chosen part is most like, falls to a half where another is `_BORDER` more like,
    and on to 0.

    Args:
        likeness: `(batch, parts, s, s)`, see `Parts.likeness`.
        chosen: `(parts,)` bool.
        side: of the mask.

    Returns:
        `(batch, 1, side, side)` in [0, 1].
    """
    if bool(chosen.all()):
        return likeness.new_ones(len(likeness), 1, side, side)
    if not bool(chosen.any()):
        return likeness.new_zeros(len(likeness), 1, side, side)
    lead = likeness[:, chosen].amax(1) - likeness[:, ~chosen].amax(1)
    region = torch.sigmoid((lead + _BORDER) / _SOFTNESS)[:, None]
    return functional.interpolate(region, size=side, mode="bilinear")
