"""The parts of one picture, as an edit is confined to them."""

from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from cfclip.errors import InputError
from cfclip.generators import Generator
from cfclip.regions import Parts
from cfclip.tensors import grey_from_unit


@dataclass(frozen=True)
class SourceParts:
    """What of a picture is of which part."""

    names: tuple[str, ...]
    """Of all parts that the pack knows; the picture may lack some."""
    labels: Tensor
    """`(R, R)` int64 on the CPU: the number of the part of each pixel."""

    def at(self, x: float, y: float) -> str:
        """The part at a point, from (0, 0) at the upper left to (1, 1).

        Raises `InputError` for a point outside the picture.
        """
        check_point(x, y)
        side = len(self.labels)
        column, row = (min(int(value * side), side - 1) for value in (x, y))
        return self.names[int(self.labels[row, column])]

    def share(self, name: str) -> float:
        """Share of the picture that is of a part, 0 to 1."""
        return float((self.labels == self.names.index(name)).float().mean())

    def mask(self, name: str) -> Image.Image:
        """White where the picture is of a part, black elsewhere: 8-bit grey."""
        return grey_from_unit((self.labels == self.names.index(name)).float())


def check_point(x: float, y: float) -> None:
    """Raise `InputError` for a point outside a picture, whose corners are (0, 0) and (1, 1)."""
    if not (0.0 <= x <= 1.0 and 0.0 <= y <= 1.0):
        raise InputError(f"the point is ({x:g}, {y:g}), expected numbers from 0 to 1")


@torch.no_grad()
def find_source_parts(parts: Parts, generator: Generator, latents: Tensor) -> SourceParts:
    """The parts of what a generator makes of latents `(num_ws, w_dim)` on its device."""
    features = parts.wanted()
    generator.synthesis(
        latents[None], stop_at=generator.resolution_for(parts.side), features=features
    )
    likeness = parts.likeness(features)
    whole = functional.interpolate(likeness, size=generator.resolution, mode="bilinear")
    return SourceParts(parts.names, whole[0].argmax(0).cpu())
