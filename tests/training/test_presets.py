"""The published mappers: their settings, and training StyleCLIP's, which reads no text."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from tiny_models import tiny_embedder
from tiny_training import (
    TASK,
    assert_same_mappers,
    stop_after,
    text_features,
    tiny_run,
    tiny_trainer,
)

from cfclip.editors import BEST, LAST, EditTexts, LatentMapper, load_text_mapper
from cfclip.errors import InputError
from cfclip.training import TRAINING_PRESETS, TrainingConfig
from cfclip.training.mapper_objective import TOTAL

ONE = EditTexts(prompts=("green hair",), source_text=TASK.source_text, templates=TASK.templates)
SHAPE = {"mapper": "latent", "task": ONE}


def test_the_numbers_are_the_published_ones() -> None:
    styleclip = TRAINING_PRESETS["styleclip-mapper"]
    assert (styleclip.mapper, styleclip.objective) == ("latent", "global")
    assert (styleclip.clip_weight, styleclip.identity, styleclip.latent_l2) == (1.0, 0.1, 0.8)
    assert (styleclip.batch, styleclip.steps, styleclip.lr) == (2, 50_000, 0.5)
    assert (styleclip.augmentations, styleclip.distortion, styleclip.bare_prompt) == (1, 0.0, True)
    assert TRAINING_PRESETS["cfclip"] == TrainingConfig()
    other = asdict(TRAINING_PRESETS["directional-mapper"])
    differing = {name for name, value in asdict(styleclip).items() if other[name] != value}
    assert differing == {"objective", "bare_prompt"}


def test_a_mapper_without_texts_is_the_latent_mapper(tmp_path: Path) -> None:
    trainer = tiny_run(tmp_path, **SHAPE)
    mapper = load_text_mapper(tmp_path / LAST)
    assert not mapper.config.reads_text
    assert {name.split(".")[0] for name in mapper.state_dict()} == {"mapper"}
    plain = LatentMapper(mapper.config)
    plain.load_state_dict(mapper.mapper.state_dict())
    ws = trainer.latents.validation.expand(-1, mapper.config.num_ws, -1)
    features = text_features(trainer)
    torch.testing.assert_close(mapper.edit(ws, features[0], 0.5), plain.edit(ws, 0.5))
    assert torch.equal(mapper.offset(ws, features), mapper.offset(ws, 5.0 * features))
    # What it learned is not what it began with.
    fresh = tiny_trainer(**SHAPE).mapper
    assert not torch.allclose(fresh.offset(ws, features), mapper.offset(ws, features))


def test_the_loss_of_styleclip_and_of_the_directional_mapper() -> None:
    for name, clip in (("styleclip-mapper", "global"), ("directional-mapper", "directional")):
        settings = {**asdict(TRAINING_PRESETS[name]), "identity": 0.0, "steps": 2}  # type: ignore[index]
        trainer = tiny_trainer(ONE, **settings)
        latents, prompts, _ = trainer.batch(0)
        edited = trainer.mapper.edit(latents, text_features(trainer))
        values, images, _ = trainer.objective(latents, edited, prompts, 0, 0, range(len(latents)))
        assert set(values) == {clip, "latent_l2", TOTAL}
        torch.testing.assert_close(values[TOTAL], values[clip] + 0.8 * values["latent_l2"])
        if clip == "global":
            embedder = tiny_embedder()
            (target,) = embedder.embed_texts(["green hair"])
            torch.testing.assert_close(values[clip], 1.0 - embedder.embed_images(images) @ target)


def test_it_is_resumed_like_any_other(tmp_path: Path) -> None:
    tiny_run(tmp_path / "whole", **SHAPE)
    tiny_run(tmp_path / "cut", stop_after(3), **SHAPE)
    tiny_run(tmp_path / "cut", **SHAPE)
    assert_same_mappers(tmp_path / "cut", tmp_path / "whole")


def test_it_learns_one_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 texts are given, but a latent mapper learns one"):
        tiny_trainer(mapper="latent")
    tiny_run(tmp_path, **SHAPE)
    start = load_text_mapper(tmp_path / BEST)
    with pytest.raises(InputError, match="reads_text False, expected True"):
        tiny_trainer(start=start)
    assert not tiny_trainer(start=start, **SHAPE).mapper.config.reads_text


def test_faces_need_an_identity_network() -> None:
    settings = {**asdict(TRAINING_PRESETS["styleclip-mapper"]), "steps": 2}
    with pytest.raises(InputError, match=r"identity is 0\.1, but there is no network for it"):
        tiny_trainer(ONE, **settings)
