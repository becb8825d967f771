"""Where a generator's latents lie: mean and spread of W, measured on samples of its mapping."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cfclip.errors import CheckpointError, InputError
from cfclip.generators.generator import Generator
from cfclip.io import ModelFormat, build_with, fit, meta_device, read_model, save_model

FORMAT = ModelFormat("cfclip.latent_statistics.v1", "latent statistics")
SAMPLES = 10_000
"""As many as StyleGAN's own projector measures W with (Karras et al. 2020, appendix D)."""

_BATCH = 1000
_ROUNDING = 1e-6
"""Deviations this small beside the values themselves are rounding of float32."""


class LatentStatistics(nn.Module):
    """Mean and standard deviation of W without truncation.

    Attributes:
        mean, std: `(w_dim,)` float32; the deviation is that of the population of samples.
        count: number of samples.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, w_dim: int, count: int) -> None:
        super().__init__()
        if w_dim < 1 or count < 2:
            raise InputError(f"w_dim is {w_dim} and count {count}; at least 1 and 2 are needed")
        self.count = count
        self.register_buffer("mean", torch.zeros(w_dim))
        self.register_buffer("std", torch.zeros(w_dim))

    @property
    def spread(self) -> float:
        """Typical distance of a sample from the mean: the root of the summed variances."""
        return float(self.std.norm())

    def distance(self, w: Tensor) -> float:
        """Distance of one code `(w_dim,)` from the mean, in units of `spread`."""
        return float((w.cpu() - self.mean).norm()) / max(self.spread, torch.finfo().tiny)


@torch.no_grad()
def measure_latents(generator: Generator, count: int = SAMPLES, seed: int = 0) -> LatentStatistics:
    """Statistics of `count` latents; z is drawn on the CPU from a generator with this seed.

    Raises `InputError` for a count below 2, `CheckpointError` when latents are not finite or all
    the same, which a mapping that is trained never gives.
    """
    statistics = LatentStatistics(generator.w_dim, count)
    draws = torch.Generator().manual_seed(seed)
    total = torch.zeros(generator.w_dim, dtype=torch.float64)
    squares = torch.zeros_like(total)
    shift = generator.w_avg.double().cpu()
    for start in range(0, count, _BATCH):
        z = torch.randn(min(_BATCH, count - start), generator.z_dim, generator=draws)
        # About the generator's own mean: squares of large numbers would lose small deviations.
        w = generator.mapping(z.to(generator.w_avg.device))[:, 0].double().cpu() - shift
        total += w.sum(0)
        squares += w.square().sum(0)
    mean = total / count
    statistics.mean.copy_(mean + shift)
    statistics.std.copy_((squares / count - mean.square()).clamp(min=0).sqrt())
    length = float(statistics.mean.norm())
    # Written so that it also holds for values that are not finite.
    if not statistics.spread > _ROUNDING * (1.0 + length):
        raise CheckpointError(
            f"the generator's mapping gives latents of mean length {length:.3g} "
            f"and spread {statistics.spread:.3g}; it was not trained, or its file is of another "
            "kind"
        )
    return statistics


def save_latent_statistics(statistics: LatentStatistics, path: str | Path) -> None:
    """Write statistics to one safetensors file, atomically."""
    config = {"w_dim": len(statistics.mean), "count": statistics.count}
    save_model(statistics, config, FORMAT, path)


def load_latent_statistics(path: str | Path) -> LatentStatistics:
    """Read what `save_latent_statistics` wrote. Raises `CheckpointError` for any other file."""

    def parse(values: dict[str, Any]) -> dict[str, int]:
        sizes = fit(values, Mapping[str, int], "it")
        with meta_device():
            LatentStatistics(**sizes)  # which knows the limits
        return dict(sizes)

    config, tensors = read_model(path, FORMAT, parse)
    return build_with(lambda: LatentStatistics(**config), tensors, str(path))
