"""What each StyleSpace channel does: how much it varies, and where moving it leads in CLIP.

Source: Patashnik et al., "StyleCLIP" (ICCV 2021), section 6. With s the styles of a picture,
sigma_c the standard deviation of channel c over pictures and 1_c the axis of c:

    d_c = mean over pictures of  u( E(G(s + 5 sigma_c 1_c)) - E(G(s - 5 sigma_c 1_c)) )
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cfclip.editors.spaces import style_widths
from cfclip.embedders import Embedder
from cfclip.errors import InputError
from cfclip.generators import Generator
from cfclip.io import (
    ModelFormat,
    build,
    build_with,
    facts_metadata,
    read_facts,
    read_model,
    save_model,
)
from cfclip.settings import CheckedSettings, number
from cfclip.tensors import unit

FORMAT = ModelFormat("cfclip.channel_statistics.v1", "channel statistics")
_REPORT_KEY = "fit"

DEVIATIONS = 5.0
"""Standard deviations that a channel is moved by to either side: those of the paper."""

ROUNDING = 1e-5
"""eps of u: about what rounding moves an embedding by. That of the losses bounds gradients, and
would shorten the directions of the many channels that move an embedding by as little as 1e-4."""


@dataclass(frozen=True)
class ChannelStatisticsConfig(CheckedSettings):
    """What channel statistics are of. Raises `InputError` for sizes that are none."""

    channels: int = number(low=1)
    """StyleSpace channels of the generator."""
    dim: int = number(low=1)
    """Width of the embeddings."""
    models: Mapping[str, str] = field(default_factory=dict)
    """File name to SHA-256 of the generator and embedder that were measured, see
    `Pack.mapped_models`."""


class ChannelStatistics(nn.Module):
    """The standard deviation and the mean CLIP direction of each channel, in execution order.

    Attributes:
        spread: `(channels,)`, sigma.
        directions: `(channels, dim)`, d: not of unit length; the shorter, the less the pictures
            agree on what the channel does. A channel without effect has zero.
    """

    spread: Tensor
    directions: Tensor

    def __init__(self, config: ChannelStatisticsConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("spread", torch.zeros(config.channels))
        self.register_buffer("directions", torch.zeros(config.channels, config.dim))

    def check_fits(self, generator: Generator, embedder: Embedder) -> None:
        """Raise `InputError` unless they are of these models, by size."""
        found = (self.config.channels, self.config.dim)
        expected = (sum(style_widths(generator)), embedder.dim)
        if found != expected:
            raise InputError(
                f"the channel statistics are of {found[0]} channels in {found[1]} numbers, these "
                f"models have {expected[0]} in {expected[1]}; measure them (cfclip "
                "fit-global-directions)"
            )


@torch.no_grad()
def channel_directions(
    generator: Generator, embedder: Embedder, styles: Tensor, spread: Tensor, channels: range
) -> Tensor:
    """`u(E(G(s + 5 sigma_c 1_c)) - E(G(s - 5 sigma_c 1_c)))` of one picture, `(n, dim)`.

    Renders and embeds two pictures for each channel, all at once.

    Args:
        generator, embedder: on one device.
        styles: `(all channels,)` of the picture.
        spread: `(all channels,)`, sigma.
        channels: the n channels to move, some of all.
    """
    rows = torch.arange(len(channels), device=styles.device)
    moves = styles.new_zeros(len(channels), len(styles))
    moves[rows, rows + channels.start] = DEVIATIONS * spread[channels.start : channels.stop]
    moved = torch.cat([styles + moves, styles - moves])
    images = generator.synthesis_from_styles(moved.split(style_widths(generator), 1))
    up, down = embedder.embed_images(images).chunk(2)
    return unit(up - down, ROUNDING)


def save_channel_statistics(
    statistics: ChannelStatistics, path: str | Path, report: Mapping[str, Any]
) -> None:
    """Write statistics to one safetensors file, atomically, with a report (JSON values).

    Raises `CheckpointError` when a number is not finite.
    """
    facts = facts_metadata(_REPORT_KEY, report)
    save_model(statistics, asdict(statistics.config), FORMAT, path, facts)


def load_channel_statistics(path: str | Path) -> ChannelStatistics:
    """Read what `save_channel_statistics` wrote: float32, on the CPU, without gradients.

    Raises `CheckpointError`, naming the tensors, when the file is missing, damaged, of another
    kind, or holds unknown, missing, misshapen or non-finite tensors.
    """
    config, tensors = read_model(path, FORMAT, partial(build, ChannelStatisticsConfig))
    statistics = build_with(lambda: ChannelStatistics(config), tensors, str(path))
    return statistics.eval()


def channel_report(path: str | Path) -> dict[str, Any]:
    """The report that `save_channel_statistics` was given.

    Raises `CheckpointError` when the file is missing, damaged or of another kind.
    """
    return read_facts(path, FORMAT, _REPORT_KEY)
