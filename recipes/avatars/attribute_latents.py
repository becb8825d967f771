"""From attributes to W: what the warm start of the generator learns from.

W is a sum of one embedding per attribute. Colours enter linearly, so that a direction in W moves a
colour evenly and goes on into colours that the natural distribution never shows.
"""

import numpy as np
import torch
from torch import Tensor, nn

from cfclip_benchmark.avatars import COLOURS, SHAPES, AttributeTable

_RGB_HALF = 127.5


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
