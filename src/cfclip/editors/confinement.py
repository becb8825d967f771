"""Rendering of edits that are confined: a blend of the source and of the edit, and nothing else."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from cfclip.editors.spaces import LatentSpace
from cfclip.regions import EVERYWHERE, ChosenRegion, Parts, Region, RegionOfEach, Sight


class Confinement:
    """Renders offsets of a space within a region and a mask.

    Where the region is 1 a picture is what the generator makes of the edit, where it is 0 what it
    makes of the source; likewise where a mask is given, the product of both.

    A mask applies while an edit is optimised too. A region does not: an objective that only sees
    the region is content with any offset that is right there, and the region moves with it (of 66
    validation edits 65 % were exact, 86 % where the same region confined the result alone).

    Args:
        space: with the latents of the sources.
        choice: which region; it is found anew for each picture that is rendered.
        parts: those that the choice may name.
        mask: `(batch, 1, R, R)` in [0, 1], the same for every picture; none if None.

    Raises:
        InputError: a choice of parts that there are not.
    """

    def __init__(
        self,
        space: LatentSpace,
        choice: ChosenRegion = EVERYWHERE,
        parts: Parts | None = None,
        mask: Tensor | None = None,
    ) -> None:
        self.space = space
        self.choice = choice
        self.mask = mask
        self._region: Region | None = choice.open(parts)
        self._sources: dict[int | None, Sight] = {}

    @classmethod
    def of_each(
        cls, space: LatentSpace, choices: Sequence[ChosenRegion], parts: Parts | None = None
    ) -> "Confinement":
        """With a region of its own for each picture, all of which are rendered at once.

        Raises `InputError` for a choice of parts that there are not.
        """
        opened = {choice: choice.open(parts) for choice in dict.fromkeys(choices)}
        made = cls(space)
        if any(region is not None for region in opened.values()):
            made._region = RegionOfEach([opened[choice] for choice in choices])
        return made

    def without_images(self) -> "Confinement":
        """The same without the source images, if rendering does not need them."""
        if self._region is not None or self.mask is not None:
            return self
        return Confinement(self.space)

    @torch.no_grad()
    def source_images(self, stop_at: int | None = None) -> Tensor:
        """Image tensor of the sources, rendered once; `stop_at` is as in `Generator.synthesis`."""
        return self._source(stop_at).images

    def render(self, offset: Tensor, rows: Tensor | None = None) -> Tensor:
        """Image tensor of the pictures `rows` (all if None) moved by `offset` `(len(rows), ...)`,
        within the region and the mask."""
        if self._region is None:
            return self.masked(offset, rows)
        edited = self._seen(offset, rows, None)
        return self._blended(edited.images, rows, None, self._mask(edited, rows))

    def masked(
        self, offset: Tensor, rows: Tensor | None = None, stop_at: int | None = None
    ) -> Tensor:
        """What `render` gives without the region: what an objective sees.

        Gradients flow where the mask lets the picture change.
        """
        images = self.space.render(offset, rows, stop_at)
        if self.mask is None:
            return images
        mask = _some(self.mask, rows)
        if stop_at is not None:
            mask = adaptive_avg_pool2d(mask, stop_at)
        return self._blended(images, rows, stop_at, mask)

    @torch.no_grad()
    def mask_of(self, offset: Tensor, rows: Tensor | None = None) -> Tensor:
        """Where `render` takes the edit, `(len(rows), 1, R, R)` in [0, 1]."""
        if self._region is not None:
            return self._mask(self._seen(offset, rows, None), rows)
        if self.mask is not None:
            return _some(self.mask, rows)
        side = self.space.generator.resolution
        return offset.new_ones(len(offset), 1, side, side)

    def _mask(self, edited: Sight, rows: Tensor | None) -> Tensor:
        assert self._region is not None
        source = self._source(None)
        region = self._region.mask(source if rows is None else source.of(rows.tolist()), edited)
        return region if self.mask is None else region * _some(self.mask, rows)

    def _blended(
        self, images: Tensor, rows: Tensor | None, stop_at: int | None, mask: Tensor
    ) -> Tensor:
        return images * mask + _some(self.source_images(stop_at), rows) * (1.0 - mask)

    def _source(self, stop_at: int | None) -> Sight:
        if stop_at not in self._sources:
            with torch.no_grad():
                self._sources[stop_at] = self._seen(self.space.zero_offset(), None, stop_at)
        return self._sources[stop_at]

    def _seen(self, offset: Tensor, rows: Tensor | None, stop_at: int | None) -> Sight:
        if self._region is None or stop_at is not None:
            return Sight(self.space.render(offset, rows, stop_at), None)
        features = self._region.features()
        return self._region.sight(self.space.render(offset, rows, None, features), features)


def _some(values: Tensor, rows: Tensor | None) -> Tensor:
    return values if rows is None else values[rows]
