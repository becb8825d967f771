"""Parts of a tiny generator's pictures: random clusters, so that every picture has several."""

from collections.abc import Mapping

import torch

from cfclip.generators import Generator
from cfclip.regions import Parts, PartsConfig

NAMES = ("hair", "skin", "background")


def tiny_parts(
    generator: Generator,
    aspects: Mapping[str, tuple[str, ...]] | None = None,
    models: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Parts:
    """Parts by two sides of features; every second cluster is hair's, in turns with the others."""
    sides = (8, generator.resolution)
    features = Parts(PartsConfig(sides, (1, 1), ("all",), (0,))).wanted()
    with torch.no_grad():
        ws = generator.w_avg.expand(1, generator.num_ws, -1)
        generator.synthesis(ws, features=features)
    widths = tuple(features.width(side) for side in sides)
    clusters = (0, 1, 2, 0, 1, 2)
    parts = Parts(PartsConfig(sides, widths, NAMES, clusters, aspects or {}, models or {}))
    draws = torch.Generator().manual_seed(seed)
    parts.centroids.copy_(torch.randn(parts.centroids.shape, generator=draws))
    return parts.eval()
