"""Finding the parts of a generator's pictures, without labels.

Spherical k-means on the features of samples (Collins et al., "Editing in Style", CVPR 2020) gives
more clusters than there are parts: outlines, slices of the background, the shaded side of a cheek.
Clusters whose colours go together over pictures are one part, since a part has its own: over
samples, the squared difference of the mean colours of two clusters is small against the sum of
their variances. That gives outlines to whom they take their colour from, too.

How many clusters there are is decided by how many parts two halves of the samples agree on: the sum
over parts of their overlap with that of the other half which is most like them. A part counts the
same whether it is large or small; one that only a half finds counts for nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from cfclip.errors import InputError
from cfclip.generators import FeatureMaps, Generator
from cfclip.regions import Parts, PartsConfig, PartsFitConfig, unit_features
from cfclip.tensors import seeded
from cfclip.training import Purpose

_SIDES = (16, 32, 64)
"""Of the features: below are places rather than parts, above textures."""
_CLUSTERS = (16, 24, 32, 48)
"""Numbers of clusters that are tried."""
SEARCH_STEPS = len(_CLUSTERS) + 1
"""Steps of `find_parts`: one for each of them, and one for all samples."""
_POINTS = 400
"""Pixels of a sample that clusters are found from."""
_ROUNDS = 30
_JOINED = 0.2
"""Of the variance: what clusters of one part differ by at most. Unrelated ones differ by 1. Up to
0.5 was tried: from 0.3, the brows of avatars are taken for the skin that they lie in."""
_SHOWN = 4
"""Pixels that a cluster has in a picture at least, to have a colour there."""
_TOGETHER = 0.05
"""Share of the pictures that show both of two clusters that are compared."""

Advance = Callable[[], None]
"""Called after each step of the work."""


@dataclass(frozen=True)
class FoundParts:
    """Parts without names."""

    parts: Parts
    agreement: float
    """How many of them two halves of the samples agree on."""
    clusters: int
    """The number of clusters that agreed best."""


class SampledPictures:
    """Samples of a generator, rendered again whenever they are looked at: none is kept.

    Args:
        generator: whose pictures they are.
        config: how many, and their seed.
    """

    def __init__(self, generator: Generator, config: PartsFitConfig) -> None:
        self.generator = generator
        draws = seeded(config.seed, Purpose.PART_SAMPLES)
        z = torch.randn(config.images, generator.z_dim, generator=draws)
        self.latents = generator.mapping(z.to(generator.w_avg.device), config.truncation)
        self.sides = tuple(side for side in _SIDES if side <= generator.resolution) or (
            generator.resolution,
        )

    def __len__(self) -> int:
        return len(self.latents)

    @torch.no_grad()
    def render(self, rows: Tensor, side: int) -> tuple[Tensor, FeatureMaps]:
        """Image tensor `(len(rows), 3, side, side)` and the features of `sides`."""
        features = FeatureMaps(self.sides)
        images = self.generator.synthesis(self.latents[rows], stop_at=side, features=features)
        return images, features

    def batches(self) -> Iterator[tuple[Tensor, Tensor, FeatureMaps]]:
        """Rows, and what `render` gives for them at the side of the labels."""
        every = torch.arange(len(self), device=self.latents.device)
        for rows in every.split(self.generator.images_at_once):
            yield rows, *self.render(rows, self.sides[-1])


def find_parts(samples: SampledPictures, seed: int, advance: Advance) -> FoundParts:
    """The parts of samples, numbered from the largest to the smallest, in `SEARCH_STEPS` steps.

    Raises `InputError` for samples that show none: too few, or all alike.
    """
    points, widths = _points(samples, seed)
    halves = points[::2].flatten(0, 1), points[1::2].flatten(0, 1)
    best: tuple[float, int] | None = None
    for count in _CLUSTERS:
        first, second = (_joined(samples, kmeans(half, count, seed), widths) for half in halves)
        agreement = _agreement(samples, first, second)
        if best is None or agreement > best[0]:
            best = agreement, count
        advance()
    assert best is not None  # there is a number
    parts = _joined(samples, kmeans(points.flatten(0, 1), best[1], seed), widths)
    advance()
    if len(parts.names) < 2:
        raise InputError(
            f"{len(samples)} pictures show no parts that change apart from each other; take more, "
            "or a generator of more different pictures"
        )
    return FoundParts(parts, *best)


def kmeans(points: Tensor, count: int, seed: int) -> Tensor:
    """Spherical k-means from starts far apart (k-means++; Arthur & Vassilvitskii, SODA 2007).

    Args:
        points: unit vectors `(N, d)`, N at least `count`.
        count: of the clusters.
        seed: of the starts.

    Returns:
        unit vectors `(count, d)`.
    """
    draws = seeded(seed, Purpose.PART_STARTS)
    first = int(torch.randint(len(points), (1,), generator=draws))
    centroids = points[first : first + 1]
    away = 1.0 - points @ centroids[0]
    for _ in range(count - 1):
        chances = away.clamp_min(0.0).cpu() + torch.finfo(away.dtype).tiny
        row = int(torch.multinomial(chances, 1, generator=draws))
        centroids = torch.cat([centroids, points[row : row + 1]])
        away = torch.minimum(away, 1.0 - points @ points[row])
    for _ in range(_ROUNDS):
        nearest = (points @ centroids.T).argmax(1)
        sums = torch.zeros_like(centroids).index_add_(0, nearest, points)
        empty = torch.bincount(nearest, minlength=count) == 0
        centroids = torch.where(empty[:, None], centroids, functional.normalize(sums, dim=1))
    return centroids


def _points(samples: SampledPictures, seed: int) -> tuple[Tensor, tuple[int, ...]]:
    """Unit features `(samples, points, channels)` of random pixels, and the channels by side."""
    draws = seeded(seed, Purpose.PART_POINTS)
    kept = []
    widths: tuple[int, ...] = ()
    for _, _, features in samples.batches():
        own = [features.at(side) for side in samples.sides]
        widths = tuple(each.shape[1] for each in own)
        stacked = torch.cat([_enlarged(each, samples.sides[-1]) for each in own], 3).flatten(1, 2)
        count = min(_POINTS, stacked.shape[1])
        some = torch.randperm(stacked.shape[1], generator=draws)[:count].to(stacked.device)
        kept.append(functional.normalize(stacked[:, some], dim=2))
    return torch.cat(kept), widths


def _enlarged(maps: Tensor, side: int) -> Tensor:
    """Unit features `(batch, side, side, channels)`."""
    unit = unit_features(maps).permute(0, 3, 1, 2)
    if maps.shape[-1] != side:
        unit = functional.interpolate(unit, size=side, mode="bilinear")
    return unit.permute(0, 2, 3, 1)


def _joined(samples: SampledPictures, centroids: Tensor, widths: Sequence[int]) -> Parts:
    """Parts of clusters whose colours go together, the largest first, called by their numbers."""
    count = len(centroids)
    every = _parts(samples, centroids, widths, range(count))
    pixels, sums = [], []
    for _, images, features in samples.batches():
        shown = functional.one_hot(every.label(features).flatten(1), count).float()
        pixels.append(shown.sum(1))
        sums.append(torch.einsum("bpk,bcp->bkc", shown, images.flatten(2).clamp(-1.0, 1.0)))
    owners = joined_by_colour(torch.cat(pixels).cpu(), torch.cat(sums).cpu())
    return _parts(samples, centroids, widths, owners)


def joined_by_colour(pixels: Tensor, sums: Tensor) -> list[int]:
    """The number of each cluster's part, the largest part 0.

    Args:
        pixels: `(pictures, clusters)`, how many a cluster has.
        sums: `(pictures, clusters, 3)`, of their colours.
    """
    groups = [[cluster] for cluster in range(pixels.shape[1])]

    def apart(one: Sequence[int], other: Sequence[int]) -> float:
        counts = [pixels[:, list(group)].sum(1) for group in (one, other)]
        both = (counts[0] >= _SHOWN) & (counts[1] >= _SHOWN)
        if both.float().mean() < _TOGETHER:
            return float("inf")
        means = [
            sums[both][:, list(group)].sum(1) / count[both, None]
            for group, count in zip((one, other), counts, strict=True)
        ]
        spread = sum(float(mean.var(0, correction=0).sum()) for mean in means)
        return float((means[0] - means[1]).square().sum(1).mean()) / max(spread, 1e-12)

    while len(groups) > 1:
        pairs = ((i, j) for i in range(len(groups)) for j in range(i))
        least, one, other = min((apart(groups[i], groups[j]), i, j) for i, j in pairs)
        if least > _JOINED:
            break
        groups[other] += groups.pop(one)
    groups.sort(key=lambda group: -float(pixels[:, group].sum()))
    part_of = {cluster: part for part, group in enumerate(groups) for cluster in group}
    return [part_of[cluster] for cluster in range(pixels.shape[1])]


def _parts(
    samples: SampledPictures, centroids: Tensor, widths: Sequence[int], owners: Sequence[int]
) -> Parts:
    names = tuple(f"part {part + 1}" for part in range(max(owners) + 1))
    config = PartsConfig(samples.sides, tuple(widths), names, tuple(owners))
    parts = Parts(config).to(centroids.device)
    parts.centroids.copy_(centroids)
    return parts


def _agreement(samples: SampledPictures, one: Parts, other: Parts) -> float:
    """How many parts both find in the pixels of the samples."""
    table = torch.zeros(len(one.names), len(other.names), dtype=torch.float64)
    for _, _, features in samples.batches():
        pairs = one.label(features) * len(other.names) + other.label(features)
        table += torch.bincount(pairs.flatten().cpu(), minlength=table.numel()).view_as(table)
    return found_again(table)


def found_again(table: Tensor) -> float:
    """How many classes two partitions share: the sum of their intersections over unions.

    Each class is compared with the one of the other partition that is most like it; the mean of
    both directions counts.

    Args:
        table: how often a class of one partition meets one of the other.

    >>> found_again(torch.tensor([[3.0, 0.0], [0.0, 2.0]]))
    2.0
    >>> found_again(torch.tensor([[4.0], [4.0]]))
    0.75
    """
    unions = table.sum(1, keepdim=True) + table.sum(0, keepdim=True) - table
    overlaps = table / unions.clamp_min(1.0)
    return float(overlaps.amax(1).sum() + overlaps.amax(0).sum()) / 2.0
