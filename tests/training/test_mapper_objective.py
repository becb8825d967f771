"""The loss of a training: per image, per prompt, with networks."""

import pytest
import torch
from tiny_models import TEMPLATES, sample_latents, tiny_embedder, tiny_generator
from tiny_training import TASK, tiny_config
from torch import Tensor

from cfclip.editors import EditTexts
from cfclip.errors import InputError
from cfclip.losses import RandomPerspective, clip_nce_loss
from cfclip.training.mapper_objective import TOTAL, MapperObjective


def objective(
    networks: object = None, task: EditTexts = TASK, **changes: object
) -> MapperObjective:
    config = tiny_config(**changes)
    return MapperObjective(tiny_generator(), tiny_embedder(), task, config, networks)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def latents() -> Tensor:
    return sample_latents(tiny_generator(), 4)


@pytest.fixture(scope="module")
def edited(latents: Tensor) -> Tensor:
    return latents + 0.3 * torch.randn(latents.shape, generator=torch.Generator().manual_seed(5))


PROMPTS = torch.tensor([1, 0, 1, 1])
ROUNDING = {"rtol": 1e-3, "atol": 1e-4}
"""Directions are of small differences, in which the rounding of a batch shows."""


@pytest.mark.parametrize("name", ["clip_nce", "directional", "global", "logit"])
def test_images_do_not_influence_each_other(name: str, latents: Tensor, edited: Tensor) -> None:
    loss = objective(objective=name, changed_pixels=0.5, aspects=0.5)
    together, images, sources = loss(latents, edited, PROMPTS, 7, 2, range(4))
    assert images.shape == sources.shape == (4, 3, 16, 16)
    assert {"latent_l2", "changed_pixels", "aspects", TOTAL} < set(together)
    for row in range(4):
        one = slice(row, row + 1)
        alone, *_ = loss(latents[one], edited[one], PROMPTS[one], 7, 2, [row])
        for term, values in together.items():
            torch.testing.assert_close(alone[term], values[one], **ROUNDING)


def test_the_total_is_that_of_the_paper(latents: Tensor, edited: Tensor) -> None:
    values, *_ = objective()(latents, edited, PROMPTS, 7, 2, range(4))
    expected = 0.3 * values["clip_nce"] + 0.8 * values["latent_l2"]
    torch.testing.assert_close(values[TOTAL], expected)
    torch.testing.assert_close(values["latent_l2"], (edited - latents).square().mean((1, 2)))
    generator, embedder = tiny_generator(), tiny_embedder()
    views = embedder.embed_views(RandomPerspective(2), generator.synthesis(edited[:1]), 7, 2, [0])
    texts = [embedder.embed_prompt(TEMPLATES, text) for text in ("blue skin", "a face")]
    source = embedder.embed_images(generator.synthesis(latents[:1]))
    torch.testing.assert_close(
        values["clip_nce"][:1], clip_nce_loss(views, source, *texts, reduction="none"), **ROUNDING
    )


@pytest.mark.parametrize(
    "changes", [{"positives": "direction"}, {"negatives": "none"}, {"negatives": "released"}]
)
def test_choices_of_clip_nce_reach_the_loss(
    changes: dict[str, str], latents: Tensor, edited: Tensor
) -> None:
    prompts = torch.zeros(4, dtype=torch.int64)
    usual, *_ = objective()(latents, edited, prompts, 7, 2, range(4))
    values, *_ = objective(**changes)(latents, edited, prompts, 7, 2, range(4))
    generator, embedder = tiny_generator(), tiny_embedder()
    images = generator.synthesis(edited)
    views = embedder.embed_views(RandomPerspective(2), images, 7, 2, range(4))
    texts = [embedder.embed_prompt(TEMPLATES, text) for text in (TASK.prompts[0], "a face")]
    source = embedder.embed_images(generator.synthesis(latents))
    expected = clip_nce_loss(views, source, *texts, reduction="none", **changes)
    torch.testing.assert_close(values["clip_nce"], expected, **ROUNDING)
    assert not torch.allclose(values["clip_nce"], usual["clip_nce"], rtol=0.01)


def test_the_weight_of_clip_keeps_the_proportions_of_an_objective(
    latents: Tensor, edited: Tensor
) -> None:
    loss = objective(objective="logit", clip_weight=0.5, latent_l2=0.0)
    values, *_ = loss(latents, edited, PROMPTS, 7, 2, range(4))
    expected = values["similarity"] + 0.5 * values["diversity"] + 0.5 * values["realism"]
    torch.testing.assert_close(values[TOTAL], 0.5 * expected)


def test_a_zero_edit_has_a_finite_loss_and_gradient(latents: Tensor) -> None:
    same = latents.clone().requires_grad_()
    values, *_ = objective(distortion=0.0)(latents, same, PROMPTS, 7, 2, range(4))
    values[TOTAL].sum().backward()
    assert same.grad is not None
    assert bool(torch.isfinite(values[TOTAL]).all())
    assert bool(torch.isfinite(same.grad).all())


def test_each_image_is_rendered_and_embedded_once(latents: Tensor, edited: Tensor) -> None:
    embedder = tiny_embedder()
    loss = MapperObjective(tiny_generator(), embedder, TASK, tiny_config(augmentations=2))
    texts = embedder.text_calls
    assert texts == 3 * len(TEMPLATES)
    for step in range(3):
        loss(latents, edited, PROMPTS, 7, step, range(4))
    assert embedder.text_calls == texts
    assert embedder.image_calls == 3 * (4 + 2 * 4)  # each source once, two views of each edit


def test_networks_see_the_images(latents: Tensor, edited: Tensor) -> None:
    loss = objective({"perceptual": lambda images: images.flatten(1)}, perceptual=0.02)
    moved = edited.clone().requires_grad_()
    values, images, sources = loss(latents, moved, PROMPTS, 7, 2, range(4))
    torch.testing.assert_close(
        values["perceptual"].detach(), (images - sources).abs().mean((1, 2, 3))
    )
    expected = 0.3 * values["clip_nce"] + 0.8 * values["latent_l2"] + 0.02 * values["perceptual"]
    torch.testing.assert_close(values[TOTAL], expected)
    values["perceptual"].sum().backward()
    assert moved.grad is not None
    assert bool(moved.grad.any())


@pytest.mark.parametrize("name", ["identity", "perceptual"])
def test_a_term_without_its_network_is_refused(name: str) -> None:
    with pytest.raises(
        InputError, match=f"{name} is 0.2, but there is no network for it.*--{name}-network"
    ):
        objective(**{name: 0.2})


@pytest.mark.parametrize("prompts", [(), ("green hair", "green hair")])
def test_prompts_come_once_each(prompts: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=r"expected (each once|a tuple of one or more texts)"):
        objective(task=EditTexts(prompts=prompts, source_text="a face", templates=TEMPLATES))


def test_missing_texts_and_aspects_are_told() -> None:
    bare = EditTexts(prompts=("green hair",), source_text="a face", templates=TEMPLATES)
    with pytest.raises(InputError, match=r"aspects is 1\.0, but the pack names no aspects"):
        objective(task=bare, aspects=1.0)
    with pytest.raises(InputError, match="needs unrealistic_text"):
        objective(task=bare, objective="logit")
    objective(task=bare, objective="logit", gamma=0.0)
