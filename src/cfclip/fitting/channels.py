"""Measuring every StyleSpace channel of a pack's generator, for global directions.

The work is cut into steps of a few channels of one sampled picture. It keeps checkpoints, and goes
on from them to the same numbers, bit for bit.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cfclip.editing import Session
from cfclip.editors import (
    FORMAT,
    ChannelFitConfig,
    ChannelStatistics,
    ChannelStatisticsConfig,
    channel_directions,
)
from cfclip.generators import Generator
from cfclip.images import check_outputs
from cfclip.io import alone_in
from cfclip.tensors import seeded
from cfclip.training import (
    CHECKPOINT,
    CHECKPOINT_SECONDS,
    LOG,
    Purpose,
    Run,
    RunCallback,
    logged_seconds,
)

SPREAD_SAMPLES = 10_000
"""Samples for the standard deviations, which are then known to 0.7 %; mapping them costs little."""
_SAMPLING_BATCH = 1000


@dataclass(frozen=True)
class FittedChannels:
    """What a measurement has come to."""

    step: int
    """Steps done."""
    steps: int
    """Steps in all."""
    statistics: ChannelStatistics | None
    """None if the callback ended it early."""
    report: Mapping[str, Any]
    """The settings, and `seconds` of all the steps."""


class _Sums:
    """The sum of directions over pictures, `(channels, dim)` float64; part of a checkpoint."""

    def __init__(self, channels: int, dim: int) -> None:
        self.directions = torch.zeros(channels, dim, dtype=torch.float64)

    def state_dict(self) -> dict[str, Tensor]:
        return {"directions": self.directions}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.directions.copy_(state["directions"])


def fit_channels(
    session: Session,
    folder: str | Path,
    config: ChannelFitConfig | None = None,
    callback: RunCallback | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> FittedChannels:
    """Measure all channels, or go on with what `folder` holds.

    Two pictures are rendered and embedded for every channel of every sample.

    Args:
        session: whose generator and embedder are measured.
        folder: where checkpoints are kept, made if needed; see `remove_checkpoints`.
        config: the settings, the defaults if not given.
        callback: called after each step; returning False ends with a checkpoint.
        checkpoint_seconds: the most work that a power cut can lose.

    Raises:
        InputError: nothing can be written to the folder, or another process works in it.
        CheckpointError: a checkpoint that is damaged, or of other settings or models, naming them.
        TrainingError: a checkpoint cannot be written; the last good one is kept.
    """
    config, folder = config or ChannelFitConfig(), Path(folder)
    check_outputs([folder / CHECKPOINT], overwrite=True)
    with alone_in(folder):
        return _fit(session, folder, config, callback, checkpoint_seconds)


def _fit(
    session: Session,
    folder: Path,
    config: ChannelFitConfig,
    callback: RunCallback | None,
    checkpoint_seconds: float,
) -> FittedChannels:
    generator, embedder = session.generator, session.embedder
    spread = style_spread(generator, config)
    channels = len(spread)
    sums = _Sums(channels, embedder.dim)
    parts_of_image = math.ceil(channels / config.pairs)
    steps = config.images * parts_of_image
    models = session.pack.mapped_models
    identity = {"format": FORMAT.tag, "models": models, **asdict(config)}
    run = Run(folder, {"sums": sums}, steps, identity, callback, checkpoint_seconds)
    for styles, part in _parts(run, generator, config, parts_of_image):
        some = range(part * config.pairs, min(channels, (part + 1) * config.pairs))
        directions = channel_directions(generator, embedder, styles, spread, some)
        sums.directions[some.start : some.stop] += directions.cpu().double()
    report = {**asdict(config), "seconds": logged_seconds(folder)}
    if not run.finished:
        return FittedChannels(run.step, steps, None, report)
    statistics = ChannelStatistics(ChannelStatisticsConfig(channels, embedder.dim, models))
    statistics.spread.copy_(spread)
    statistics.directions.copy_(sums.directions / config.images)
    return FittedChannels(run.step, steps, statistics, report)


def _parts(
    run: Run, generator: Generator, config: ChannelFitConfig, parts_of_image: int
) -> Iterator[tuple[Tensor, int]]:
    """For each step, the styles `(channels,)` of its picture and which part of them to move."""
    known: tuple[int, Tensor] | None = None
    for step in run:
        image, part = divmod(step, parts_of_image)
        if known is None or known[0] != image:
            known = image, image_styles(generator, config, image)
        yield known[1], part


@torch.no_grad()
def image_styles(generator: Generator, config: ChannelFitConfig, image: int) -> Tensor:
    """The styles `(channels,)` of a sample, which its number and the seed decide."""
    z = torch.randn(
        1, generator.z_dim, generator=seeded(config.seed, Purpose.CHANNEL_IMAGES, image)
    )
    ws = generator.mapping(z.to(generator.w_avg.device), config.truncation)
    return torch.cat(generator.styles(ws), 1)[0]


@torch.no_grad()
def style_spread(generator: Generator, config: ChannelFitConfig) -> Tensor:
    """The standard deviation of every channel over samples, `(channels,)`."""
    draws = seeded(config.seed, Purpose.CHANNEL_SPREAD)
    mean = generator.w_avg.expand(1, generator.num_ws, -1)
    # Sums of differences from about the mean lose no digits to it. float64 is not on every device.
    origin = torch.cat(generator.styles(mean), 1).cpu().double()
    sums = torch.zeros(2, origin.shape[1], dtype=torch.float64)
    for _ in range(SPREAD_SAMPLES // _SAMPLING_BATCH):
        z = torch.randn(_SAMPLING_BATCH, generator.z_dim, generator=draws)
        ws = generator.mapping(z.to(generator.w_avg.device), config.truncation)
        away = torch.cat(generator.styles(ws), 1).cpu().double() - origin
        sums += torch.stack([away.sum(0), away.square().sum(0)])
    total, squares = sums
    variance = (squares - total.square() / SPREAD_SAMPLES) / (SPREAD_SAMPLES - 1)
    return variance.clamp_min(0.0).sqrt().to(generator.w_avg)


def remove_checkpoints(folder: str | Path) -> None:
    """Remove what `fit_channels` kept in a folder, and the folder unless it holds more."""
    folder = Path(folder)
    for name in (CHECKPOINT, LOG):
        (folder / name).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
