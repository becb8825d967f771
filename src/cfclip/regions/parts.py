"""The parts of a picture, as the generator itself tells them apart, and what texts are about them.

A generator's features of hair look alike in every picture, and unlike those of skin: spherical
k-means on them finds parts without any label (Collins et al., "Editing in Style", CVPR 2020). How
clusters become parts, and parts get names, is told in `cfclip.fitting.part_search`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cfclip.embedders import Embedder
from cfclip.errors import InputError
from cfclip.generators import FeatureMaps, Generator
from cfclip.io import ModelFormat, build, build_with, facts_metadata, read_model, save_model
from cfclip.settings import CheckedSettings
from cfclip.tensors import unit

FORMAT = ModelFormat("cfclip.parts.v1", "parts")
_REPORT_KEY = "fit"
_EPS = 1e-6


@dataclass(frozen=True)
class PartsConfig(CheckedSettings):
    """What parts there are. Raises `InputError` for numbers and names that do not fit together."""

    sides: tuple[int, ...]
    """Of the features that are looked at; the last one is that of the labels."""
    widths: tuple[int, ...]
    """Channels of the features of each side."""
    names: tuple[str, ...]
    """Of the parts."""
    clusters: tuple[int, ...]
    """By cluster, the number of its part."""
    aspects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Aspect of the pack to the names of the parts that change if it does."""
    models: Mapping[str, str] = field(default_factory=dict)
    """File name to SHA-256 of the generator and embedder they were found with, see
    `Pack.mapped_models`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sides or len(self.widths) != len(self.sides) or min(self.widths) < 1:
            raise InputError(f"widths is {self.widths} for sides {self.sides}, expected one each")
        if list(self.sides) != sorted(set(self.sides)) or self.sides[0] < 1:
            raise InputError(f"sides is {self.sides}, expected rising numbers of pixels")
        plain = all(name.strip() == name and name and "," not in name for name in self.names)
        if not self.names or len(set(self.names)) != len(self.names) or not plain:
            raise InputError(
                f"names is {self.names}, expected one or more, each once and without commas"
            )
        if set(self.clusters) != set(range(len(self.names))):
            raise InputError(
                f"clusters is {self.clusters}, expected every number from 0 to "
                f"{len(self.names) - 1}, and no other"
            )
        for aspect, names in self.aspects.items():
            if unknown := set(names) - set(self.names):
                raise InputError(f"aspects.{aspect} names {sorted(unknown)}, which is no part")


class Parts(nn.Module):
    """Labels the pixels of what a generator renders.

    Attributes:
        centroids: `(clusters, channels of all sides)`, each cluster's mean features; those of each
            side are compared after they were made unit vectors.
    """

    centroids: Tensor

    def __init__(self, config: PartsConfig) -> None:
        super().__init__()
        self.config = config
        shape = (len(config.clusters), sum(config.widths))
        self.register_buffer("centroids", torch.zeros(shape))
        owners = torch.tensor(config.clusters)
        self.register_buffer("_owners", owners, persistent=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parts, in the order of their numbers."""
        return self.config.names

    @property
    def side(self) -> int:
        """That of `label`, in pixels."""
        return self.config.sides[-1]

    def wanted(self) -> FeatureMaps:
        """What collects the features that `label` looks at."""
        return FeatureMaps(self.config.sides)

    @torch.no_grad()
    def likeness(self, features: FeatureMaps) -> Tensor:
        """How like each part each pixel is, `(batch, parts, side, side)` in [-1, 1].

        It is the mean over sides of the cosine with the part's cluster that is nearest.
        """
        total = None
        own = self.centroids.split(self.config.widths, 1)
        for side, centroids in zip(self.config.sides, own, strict=True):
            scale = centroids.norm(dim=1) * len(own)
            alike = (unit_features(features.at(side)) @ centroids.T).permute(0, 3, 1, 2)
            alike = alike / scale[:, None, None]
            if side != self.side:
                alike = functional.interpolate(alike, size=self.side, mode="bilinear")
            total = alike if total is None else total + alike
        assert total is not None  # there is a side
        nearest = [total[:, self._owners == part].amax(1) for part in range(len(self.names))]
        return torch.stack(nearest, 1)

    def label(self, features: FeatureMaps) -> Tensor:
        """The number of the part of each pixel, `(batch, side, side)` int64."""
        return self.likeness(features).argmax(1)

    def chosen(self, names: Sequence[str]) -> Tensor:
        """`(parts,)` bool: those of the names. Raises `InputError` for an unknown one."""
        if unknown := [name for name in names if name not in self.names]:
            raise InputError(
                f"there is no part {unknown[0]!r}; this pack has {', '.join(self.names)}"
            )
        return torch.tensor([name in names for name in self.names], device=self.centroids.device)

    def check_fits(self, generator: Generator, embedder: Embedder) -> None:
        """Raise `InputError` unless the generator has such features; any embedder will do."""
        del embedder
        features = self.wanted()
        ws = generator.w_avg.expand(1, generator.num_ws, -1)
        with torch.no_grad():
            generator.synthesis(ws, stop_at=generator.resolution_for(self.side), features=features)
        for side, width in zip(self.config.sides, self.config.widths, strict=True):
            found = features.width(side)
            if found != width:
                raise InputError(
                    f"the parts were found in {width} features of {side} px, this generator has "
                    f"{found}; find its own (cfclip fit-parts)"
                )


def unit_features(maps: Tensor) -> Tensor:
    """Features `(batch, channels, side, side)` as `(batch, side, side, channels)` float32, each
    pixel's of unit length."""
    return unit(maps.float().permute(0, 2, 3, 1), _EPS)


def save_parts(parts: Parts, path: str | Path, report: Mapping[str, Any] | None = None) -> None:
    """Write parts to one safetensors file, atomically, with a report of their fit (JSON values).

    Raises `CheckpointError` when a centroid is not finite.
    """
    facts = facts_metadata(_REPORT_KEY, report) if report else None
    save_model(parts, asdict(parts.config), FORMAT, path, facts)


def load_parts(path: str | Path) -> Parts:
    """Read parts that `save_parts` wrote: float32, on the CPU, without gradients.

    Raises `CheckpointError`, naming the tensors, when the file is missing, damaged, of another
    kind, or holds unknown, missing, misshapen or non-finite tensors.
    """
    config, tensors = read_model(path, FORMAT, partial(build, PartsConfig))
    return build_with(lambda: Parts(config), tensors, str(path)).eval()
