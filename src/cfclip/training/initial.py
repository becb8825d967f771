"""The mapper that a training begins with: its shape and its first weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from cfclip.editors import TextMapper, TextMapperConfig
from cfclip.embedders import Embedder
from cfclip.errors import InputError
from cfclip.generators import Generator
from cfclip.tensors import seeded
from cfclip.training.draws import Purpose
from cfclip.training.training_config import TrainingConfig

_ALIKE = ("num_ws", "w_dim", "text_dim", "active_groups", "reads_text", "legacy_pixel_norm")
"""What of a mapper's shape a start must share."""


def mapper_shape(
    generator: Generator,
    embedder: Embedder,
    config: TrainingConfig,
    start: TextMapper | None = None,
) -> TextMapperConfig:
    """The shape of a mapper for two models.

    Raises `InputError` if the generator has no layers in the configured groups, or if `start` has
    other sizes or groups.
    """
    shape = TextMapperConfig(
        num_ws=generator.num_ws,
        w_dim=generator.w_dim,
        text_dim=embedder.dim,
        groups=config.groups,
        text_layout="active" if config.mapper == "text" else "none",
        legacy_pixel_norm=config.legacy_pixel_norm,
    )
    if start is None:
        return shape
    for name in _ALIKE:
        own, expected = getattr(start.config, name), getattr(shape, name)
        if own != expected:
            raise InputError(
                f"the mapper to start from has {name.removeprefix('active_')} {own}, expected "
                f"{expected}; start from one of the same models, groups and norm"
            )
    return start.config


def new_mapper(shape: TextMapperConfig, seed: int) -> TextMapper:
    """A mapper with weights that the seed decides; global random state stays as it is."""
    with first_weights(seed):
        return TextMapper(shape)


@contextmanager
def first_weights(seed: int) -> Iterator[None]:
    """Weights that are drawn in the block follow from the seed; global random state stays."""
    with torch.random.fork_rng(devices=[]):
        torch.random.set_rng_state(seeded(seed, Purpose.WEIGHTS).get_state())
        yield
