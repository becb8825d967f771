"""From z to attributes: the natural distribution as a function of z.

Each attribute has coordinates of z of its own, cut at the quantiles that give each value its
natural frequency. A colour takes one coordinate for its class and three for its place inside it.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cfclip_benchmark.avatars import COLOURS, LONG_REAR_HAIR, SHAPES, AttributeTable

_RGB_HALF = 127.5
TINTS = 3
COLOUR_SPREAD = 0.8
COLOUR_REACH = 2.0
_COLOUR_JITTER = 1e-3
"""Added to the covariance of colours so that it has a factor; a level of 255 is far more."""
_FAR = 8.0
"""A cut that no z reaches, for values that do not occur."""
COORDINATES = len(SHAPES) + (1 + TINTS) * len(COLOURS)
"""Coordinates of z that say something: one per shape; class and three of tint per colour."""

DRESS = SHAPES["clothes"].index("dress")
LONG = [SHAPES["rear_hair"].index(value) for value in LONG_REAR_HAIR]
REAR_HAIR_OF_DRESS = "rear_hair of a dress"


class Cuts(NamedTuple):
    """Where one coordinate of z goes over from one value of an attribute to the next."""

    column: int
    """The coordinate."""
    values: NDArray[np.float64]
    """(values - 1,) ascending, in standard deviations."""


class LatentPrior:
    """The natural distribution as a function of z.

    What excludes each other is cut in the order clothes, rear hair, beard: long rear hair is rarer
    without a dress, and a dress or long rear hair leave no beard. A colour's place inside its class
    is a Gaussian with that class's mean and covariance, cut short.

    Args:
        table: natural avatars that the frequencies are counted on.
    """

    def __init__(self, table: AttributeTable) -> None:
        dress = table.codes["clothes"] == DRESS
        allowed = ~dress & ~np.isin(table.codes["rear_hair"], LONG)
        rows = {name: np.ones(len(table), dtype=bool) for name in SHAPES}
        rows |= {"rear_hair": ~dress, "beard": allowed}
        self.cuts: dict[str, Cuts] = {
            name: Cuts(column, _quantiles(table.codes[name][rows[name]], len(values)))
            for column, (name, values) in enumerate(SHAPES.items())
        }
        """By attribute; `rear_hair` without a dress, `REAR_HAIR_OF_DRESS` with one; a colour's are
        between those classes that occur."""
        rear = self.cuts["rear_hair"]
        self.cuts[REAR_HAIR_OF_DRESS] = Cuts(
            rear.column, _quantiles(table.codes["rear_hair"][dress], len(rear.values) + 1)
        )
        self._colour_maps: dict[str, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {}
        for index, name in enumerate(COLOURS):
            classes = table.classes[name]
            present, codes = np.unique(classes[classes >= 0], return_inverse=True)
            column = len(SHAPES) + (1 + TINTS) * index
            self.cuts[name] = Cuts(column, _quantiles(codes, len(present)))
            self._colour_maps[name] = [
                _gaussian(table.rgb[name][classes == c].astype(np.float64)) for c in present
            ]

    def attributes(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """`(batch, z_dim)` normal z, z_dim >= COORDINATES, to the inputs of `AttributeLatents`.

        z is taken as the mapping network sees it, divided by its own root mean square.
        """
        normalised = z / z.square().mean(1, keepdim=True).sqrt()
        normal = normalised[:, :COORDINATES].double().numpy()
        picked = {name: (normal[:, [c.column]] >= c.values).sum(1) for name, c in self.cuts.items()}
        dress = picked["clothes"] == DRESS
        picked["rear_hair"] = np.where(dress, picked[REAR_HAIR_OF_DRESS], picked["rear_hair"])
        excluded = dress | np.isin(picked["rear_hair"], LONG)
        picked["beard"] = np.where(excluded, 0, picked["beard"])
        codes = torch.from_numpy(np.stack([picked[name] for name in SHAPES], 1))
        colours = np.empty((len(z), len(COLOURS), 3))
        for index, name in enumerate(COLOURS):
            tint = (COLOUR_SPREAD * normal[:, self.tint_columns(name)]).clip(
                -COLOUR_REACH, COLOUR_REACH
            )
            for value, (mean, factor) in enumerate(self._colour_maps[name]):
                rows = picked[name] == value
                colours[rows, index] = mean + tint[rows] @ factor.T
        rgb = torch.from_numpy(colours.clip(0, 2 * _RGB_HALF) / _RGB_HALF - 1.0).float()
        return codes, rgb

    def tint_columns(self, colour: str) -> list[int]:
        """The coordinates of z that place a colour inside its class."""
        column = self.cuts[colour].column
        return [column + 1 + i for i in range(TINTS)]


def _quantiles(codes: NDArray[np.integer], values: int) -> NDArray[np.float64]:
    """(values - 1,) normal quantiles between the values, which give each its share of `codes`."""
    counts = np.bincount(codes.astype(np.int64), minlength=values).astype(np.float64)
    shares = np.cumsum(counts / max(1.0, counts.sum()))[:-1]
    quantiles: NDArray[np.float64] = torch.special.ndtri(torch.from_numpy(shares)).numpy()
    return quantiles.clip(-_FAR, _FAR)


def _gaussian(rgb: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (3,) of colours (N, 3) and a factor (3, 3) of their covariance."""
    mean: NDArray[np.float64] = rgb.mean(0)
    # Divided by N, so that a single colour has a covariance too: none.
    covariance = np.cov(rgb.T, bias=len(rgb) == 1) + _COLOUR_JITTER * np.eye(3)
    return mean, np.linalg.cholesky(covariance).astype(np.float64)
