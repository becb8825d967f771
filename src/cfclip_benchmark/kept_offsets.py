"""An edit in a few kilobytes: what renders it again, so that it need not be made again."""

import base64
import binascii
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cfclip.editors import SPACES, BatchEdit, Confinement
from cfclip.generators import Generator
from cfclip.io import FormatError
from cfclip.regions import EVERYWHERE, ChosenRegion, Parts

_STORED = np.dtype("<f2")


@dataclass(frozen=True)
class KeptOffset:
    """The offset of one edit, to three digits."""

    space: str
    """One of `cfclip.editors.SPACES`."""
    layers: tuple[int, ...]
    """Style inputs that it may change."""
    strength: float
    """Factor at which the edit was given."""
    values: str
    """The offset at strength 1, as float16, little-endian, in base64."""
    region: ChosenRegion = EVERYWHERE
    """Where it may change the picture."""

    @classmethod
    def of(cls, edit: BatchEdit, row: int) -> "KeptOffset | None":
        """The offset of one picture of a batch.

        None where it does not say all: with a mask, or with values beyond float16.
        """
        (name,) = (name for name, space in SPACES.items() if type(edit.space) is space)
        values = _text(edit.offset[row])
        if edit.confinement.mask is not None or values is None:
            return None
        region = edit.confinement.choice
        return cls(name, edit.space.layers, edit.strength, values, region)

    @classmethod
    def between(cls, source: Tensor, other: Tensor) -> "KeptOffset | None":
        """From latents `(1, num_ws, w_dim)` to others, in W+; None beyond float16."""
        values = _text(other - source)
        return None if values is None else cls("w_plus", tuple(range(source.shape[1])), 1.0, values)

    @torch.no_grad()
    def render(
        self,
        generator: Generator,
        latents: Tensor,
        factor: float = 1.0,
        parts: Parts | None = None,
    ) -> Tensor:
        """The image tensor `(1, 3, R, R)` of the edit, at a factor on its own strength.

        Args:
            generator: that it was made with.
            latents: `(1, num_ws, w_dim)` of the source.
            factor: 1 is the edit as it was given, 0 the source.
            parts: those that `region` may name.

        Raises:
            FormatError: a space that there is not, or values that are none of its offsets.
            InputError: latents or layers that do not fit the generator, or unknown parts.
        """
        if self.space not in SPACES:
            raise FormatError(f"offset is in space {self.space!r}, known are {', '.join(SPACES)}")
        space = SPACES[self.space](generator, latents, self.layers)
        expected = space.zero_offset()
        try:
            values = np.frombuffer(base64.b64decode(self.values, validate=True), _STORED)
        except (binascii.Error, ValueError) as error:
            raise FormatError(f"offset is no base64 of float16: {error}") from error
        if values.size != expected.numel() or not np.isfinite(values).all():
            raise FormatError(
                f"offset has {values.size} values, expected {expected.numel()} that are finite"
            )
        offset = torch.from_numpy(values.astype(np.float32)).to(expected).view_as(expected)
        confinement = Confinement(space, self.region, parts)
        return confinement.render(factor * self.strength * offset)


def _text(offset: Tensor) -> str | None:
    """As it is stored; None if it cannot be."""
    with np.errstate(over="ignore"):
        values = offset.detach().cpu().numpy().astype(_STORED)
    return base64.b64encode(values.tobytes()).decode() if np.isfinite(values).all() else None
