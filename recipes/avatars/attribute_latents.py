"""From attributes to W, and from z to attributes: what the warm start of the generator learns from.

W is a sum of one embedding per attribute. Colours enter linearly, so that a direction in W moves a
colour evenly and goes on into colours that the natural distribution never shows.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recipes.avatars.attributes import COLOURS, SHAPES, AttributeTable

_RGB_HALF = 127.5
_COLOUR_SPREAD = 0.8
_COLOUR_REACH = 2.0
_COLOUR_JITTER = 1e-3
"""Added to the covariance of colours so that it has a factor; a level of 255 is far more."""
COORDINATES = len(SHAPES) + 4 * len(COLOURS)
"""Coordinates of z that say something: one per shape; class and three of tint per colour."""


class AttributeLatents(nn.Module):
    """The embedding `w = bias + sum of shape embeddings + sum of linear colour maps`.

    `forward(codes, rgb)` takes int64 `(batch, shapes)` and float `(batch, colours, 3)` in [-1, 1]
    and gives `(batch, w_dim)`.
    """

    def __init__(self, w_dim: int) -> None:
        super().__init__()
        embeddings = [nn.Embedding(len(values), w_dim) for values in SHAPES.values()]
        self.shapes = nn.ModuleList(embeddings)
        self.colours = nn.Linear(3 * len(COLOURS), w_dim)
        with torch.no_grad():
            # Each attribute gives about the same share of a w of unit variance.
            share = (len(SHAPES) + len(COLOURS)) ** -0.5
            for embedding in embeddings:
                embedding.weight.mul_(share)
            nn.init.normal_(self.colours.weight, std=share)
            nn.init.zeros_(self.colours.bias)

    def forward(self, codes: Tensor, rgb: Tensor) -> Tensor:
        w = self.colours(rgb.flatten(1))
        for column, embedding in enumerate(self.shapes):
            w = w + embedding(codes[:, column])
        return w


def attribute_inputs(table: AttributeTable) -> tuple[Tensor, Tensor]:
    """A table as the two inputs of `AttributeLatents`."""
    codes = np.stack([table.codes[name] for name in SHAPES], 1).astype(np.int64)
    rgb = np.stack([table.rgb[name] for name in COLOURS], 1).astype(np.float32)
    return torch.from_numpy(codes), torch.from_numpy(rgb / _RGB_HALF - 1.0)


class LatentPrior:
    """The natural distribution as a function of z.

    Each attribute has its own coordinates of z, cut at the quantiles that give each value its
    natural frequency; attributes that exclude each other are cut by conditional frequencies, in
    the order clothes, rear hair, beard. A colour takes one coordinate for its class and three for
    its place inside the class, a Gaussian with that class's mean and covariance, cut short.

    Args:
        table: natural avatars that the frequencies are counted on.
    """

    _ORDER = ("clothes", "rear_hair", "beard")

    def __init__(self, table: AttributeTable) -> None:
        self._free = [name for name in SHAPES if name not in self._ORDER]
        self._cuts = {
            name: self._cut(np.bincount(table.codes[name], minlength=len(SHAPES[name])))
            for name in self._free
        }
        sizes = tuple(len(SHAPES[name]) for name in self._ORDER)
        counts = np.zeros(sizes)
        np.add.at(counts, tuple(table.codes[name].astype(int) for name in self._ORDER), 1)
        self._joint = [
            self._cut(counts.sum((1, 2))), self._cut(counts.sum(2)), self._cut(counts)
        ]  # fmt: skip
        self._colour_cuts: dict[str, NDArray[np.float64]] = {}
        self._colour_maps: dict[str, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {}
        for name in COLOURS:
            classes = table.classes[name]
            present = np.unique(classes[classes >= 0])
            members = [table.rgb[name][classes == c].astype(np.float64) for c in present]
            self._colour_cuts[name] = self._cut(np.array([len(m) for m in members]))
            self._colour_maps[name] = [self._gaussian(m) for m in members]

    @staticmethod
    def _gaussian(rgb: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean (3,) of colours (N, 3) and a factor (3, 3) of their covariance."""
        mean: NDArray[np.float64] = rgb.mean(0)
        # Divided by N, so that a single colour has a covariance too: none.
        covariance = np.cov(rgb.T, bias=len(rgb) == 1) + _COLOUR_JITTER * np.eye(3)
        return mean, np.linalg.cholesky(covariance).astype(np.float64)

    @staticmethod
    def _cut(counts: NDArray[np.generic]) -> NDArray[np.float64]:
        """Upper bounds in (0, 1] of each value's interval, along the last axis."""
        totals = np.asarray(counts, dtype=np.float64)
        share = totals / totals.sum(-1, keepdims=True).clip(1)
        cuts: NDArray[np.float64] = np.cumsum(share, -1)
        return cuts

    @staticmethod
    def _pick(quantile: NDArray[np.float64], cuts: NDArray[np.float64]) -> NDArray[np.int64]:
        chosen: NDArray[np.int64] = (quantile[:, None] >= cuts[..., :-1]).sum(1)
        return chosen

    def attributes(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """`(batch, z_dim)` normal z, z_dim >= COORDINATES, to the inputs of `AttributeLatents`.

        z is taken as the mapping network sees it, divided by its own root mean square.
        """
        normalised = (z / z.square().mean(1, keepdim=True).sqrt())[:, :COORDINATES].double()
        normal = normalised.numpy()
        quantiles = torch.special.ndtr(normalised).numpy()
        values: dict[str, NDArray[np.int64]] = {}
        for column, name in enumerate(self._free):
            values[name] = self._pick(quantiles[:, column], self._cuts[name])
        column = len(self._free)
        clothes = self._pick(quantiles[:, column], self._joint[0])
        rear = self._pick(quantiles[:, column + 1], self._joint[1][clothes])
        beard = self._pick(quantiles[:, column + 2], self._joint[2][clothes, rear])
        values |= dict(zip(self._ORDER, (clothes, rear, beard), strict=True))
        codes = torch.from_numpy(np.stack([values[name] for name in SHAPES], 1))
        column = len(SHAPES)
        colours = np.empty((len(z), len(COLOURS), 3))
        for index, name in enumerate(COLOURS):
            chosen = self._pick(quantiles[:, column], self._colour_cuts[name])
            tint = (_COLOUR_SPREAD * normal[:, column + 1 : column + 4]).clip(
                -_COLOUR_REACH, _COLOUR_REACH
            )
            for value, (mean, factor) in enumerate(self._colour_maps[name]):
                rows = chosen == value
                colours[rows, index] = mean + tint[rows] @ factor.T
            column += 4
        rgb = torch.from_numpy(colours.clip(0, 2 * _RGB_HALF) / _RGB_HALF - 1.0).float()
        return codes, rgb
