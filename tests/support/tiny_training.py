"""A text mapper in training on tiny random models."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tiny_models import TEMPLATES, tiny_embedder, tiny_generator
from torch import Tensor

from cfclip.editors import BEST, LAST, EditTexts, TextMapper, text_mapper_metadata
from cfclip.training import (
    ALONE,
    MapperTrainer,
    Processes,
    RunCallback,
    TextLearner,
    TrainingConfig,
    sampled_latents,
    train,
)

TASK = EditTexts(
    prompts=("green hair", "blue skin"),
    source_text="a face",
    templates=TEMPLATES,
    unrealistic_text="a broken face",
    aspects={"hair": ("red hair", "blue hair"), "skin": ("red skin", "blue skin")},
)


def tiny_config(**changes: Any) -> TrainingConfig:
    """A few quick steps."""
    few = {"steps": 6, "batch": 3, "samples": 20, "validation": 4, "validate_every": 3}
    return TrainingConfig(**{**few, "augmentations": 2, **changes})


def tiny_trainer(
    task: EditTexts = TASK,
    start: TextMapper | None = None,
    networks: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
    processes: Processes = ALONE,
    **changes: Any,
) -> MapperTrainer:
    """A trainer on sampled latents of a 16 px generator."""
    config, generator = tiny_config(**changes), tiny_generator()
    latents = sampled_latents(generator, config)
    embedder = tiny_embedder()
    learner = TextLearner(generator, embedder, task, config, start)
    return MapperTrainer(generator, embedder, task, latents, config, learner, networks, processes)


def text_features(trainer: MapperTrainer) -> Tensor:
    """What its text mapper reads of each prompt."""
    assert isinstance(trainer.learner, TextLearner)
    return trainer.learner.text_features


def tiny_run(
    out: Path,
    callback: RunCallback | None = None,
    checkpoint_seconds: float = 1e9,
    processes: Processes = ALONE,
    **changes: Any,
) -> MapperTrainer:
    """Train a tiny trainer in a folder, or go on with what is there."""
    trainer = tiny_trainer(processes=processes, **changes)
    train(trainer, out, {"settings": changes}, {"prompts": []}, callback, checkpoint_seconds)
    return trainer


def stop_after(step: int) -> RunCallback:
    """A callback that ends a run after so many steps."""
    return lambda progress: progress.step < step


def tensors_of(trainer: MapperTrainer) -> list[Tensor]:
    """Weights, their averages and the state of the optimizer."""
    state = trainer.optimizer.state_dict()["state"]
    return [
        *trainer.mapper.state_dict().values(),
        *trainer.average.values.values(),
        *(value for each in state.values() for value in each.values() if torch.is_tensor(value)),
    ]


def assert_same(found: MapperTrainer, expected: MapperTrainer) -> None:
    """Whether two trainers hold the same, bit for bit."""
    pairs = zip(tensors_of(found), tensors_of(expected), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def assert_same_mappers(found: Path, expected: Path) -> None:
    """Whether two folders hold the same mappers, bit for bit, with the same metadata."""
    for name in (BEST, LAST):
        one, other = load_file(found / name), load_file(expected / name)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)
        assert text_mapper_metadata(found / name) == text_mapper_metadata(expected / name)


class PowerCut(Exception):
    """Ends a process as nothing but a test would."""


def cut_after(step: int) -> Callable[[Any], None]:
    """A callback that raises `PowerCut` after so many steps."""

    def cut(progress: Any) -> None:
        if progress.step == step:
            raise PowerCut

    return cut
