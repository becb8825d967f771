"""The open mapper in training, on tiny random models."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_models import tiny_embedder, tiny_generator
from tiny_training import TASK, assert_same, stop_after, tiny_config

from cfclip.editors import LAST, LinearTextMap, LinearTextMapConfig, OpenMapper, load_open_mapper
from cfclip.training import (
    MapperTrainer,
    OpenLearner,
    OpenText,
    RunCallback,
    open_texts,
    sampled_latents,
    train,
)
from cfclip.training.mapper_objective import TOTAL

SETTINGS = {"optimizer": "adamw", "lr": 1e-3, "max_gradient": 1.0, "average": 0.5}
TEXTS = open_texts(TASK.aspects, TASK.source_text, TASK.templates, pairs=2)


def open_trainer(
    text_map: LinearTextMap | None = None, texts: tuple[OpenText, ...] = TEXTS
) -> MapperTrainer:
    config, generator, embedder = tiny_config(**SETTINGS), tiny_generator(), tiny_embedder()
    task = replace(TASK, prompts=tuple(text.prompt for text in texts))
    latents = sampled_latents(generator, config)
    models = (generator, embedder, task)
    learner = OpenLearner(*models, config, texts, latents.training, text_map)
    return MapperTrainer(*models, latents, config, learner)


def trained(out: Path, callback: RunCallback | None = None) -> MapperTrainer:
    trainer = open_trainer()
    train(trainer, out, {"of": "a test"}, {}, callback, checkpoint_seconds=1e9)
    return trainer


def test_texts_are_drawn_by_the_step_in_all_wordings_and_singles_as_often_as_pairs() -> None:
    learner = open_trainer().learner
    drawn = [learner.draw(0, 4000, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert all(torch.equal(one, other) for one, other in zip(drawn[0], drawn[1], strict=True))
    assert not torch.equal(drawn[0][0], drawn[2][0])
    prompts, texts = drawn[0]
    pairs = torch.tensor([len(text.claims) == 2 for text in TEXTS])
    assert pairs[prompts].float().mean() == pytest.approx(0.5, abs=0.05)
    wordings = [(p, w) for p, text in enumerate(TEXTS) for w in range(len(text.wordings))]
    assert [wordings[place][0] for place in texts.tolist()] == prompts.tolist()
    assert len(texts.unique()) == len(wordings)
    first = learner.texts_of(torch.arange(len(TEXTS)))
    assert [wordings[place] for place in first.tolist()] == [(p, 0) for p in range(len(TEXTS))]


def test_a_step_learns_and_each_image_is_looked_at_once() -> None:
    trainer = open_trainer()
    before = trainer.compute_gradients(0)[TOTAL]
    looks = trainer.objective._embedder.image_calls  # type: ignore[attr-defined]
    for _ in range(30):
        trainer.compute_gradients(0)
        trainer.update(3)
    assert trainer.compute_gradients(0)[TOTAL] < before
    made = trainer.objective._embedder.image_calls - looks  # type: ignore[attr-defined]
    assert made == 31 * (3 + 2 * 3)  # sources, and two views of each edit


def test_it_begins_with_the_text_map_of_the_pack() -> None:
    generator, embedder = tiny_generator(), tiny_embedder()
    text_map = LinearTextMap(
        LinearTextMapConfig(text_dim=embedder.dim, w_dim=generator.w_dim)
    ).requires_grad_(False)
    text_map.weight.normal_(std=0.1)
    trainer = open_trainer(text_map)
    latents, prompts, texts = trainer.batch(0)
    source = trainer.objective.look(latents)
    edited = trainer.learner.edit(trainer.mapper, latents, texts, source)
    wordings = [wording for text in TEXTS for wording in text.wordings]
    for row, place in enumerate(texts.tolist()):
        moved = text_map.added(embedder.embed_texts([wordings[place]]), generator.w_avg)
        torch.testing.assert_close(edited[row], latents[row] + moved)
    assert len(prompts) == len(latents)


def test_a_run_that_was_stopped_comes_to_the_same_mapper(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole")
    trained(tmp_path / "parts", stop_after(2))
    assert_same(trained(tmp_path / "parts"), whole)
    mapper = load_open_mapper(tmp_path / "parts" / LAST)
    assert isinstance(whole.averaged, OpenMapper)
    for name, value in mapper.state_dict().items():
        assert torch.equal(value, whole.averaged.state_dict()[name])


def test_more_texts_than_latents_are_validated_from_first_to_last() -> None:
    shown = open_trainer().validate().prompts
    assert len(TEXTS) == 6
    assert shown == tuple(TEXTS[place].prompt for place in (0, 1, 3, 4))
