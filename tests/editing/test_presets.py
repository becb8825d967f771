"""Published methods as settings: their numbers, and that the objective is the published one."""

from dataclasses import replace

import pytest
import torch
from tiny_models import TEMPLATES, sample_latents, tiny_embedder, tiny_generator

from cfclip.editing.methods import (
    LOGIT_TEXT_MAP,
    directional_optimisation,
    styleclip_optimisation,
)
from cfclip.editors import EditRequest, LatentOptimisation, LatentOptimisationConfig
from cfclip.embedders import fill_templates
from cfclip.embedders.clip import ClipEmbedder
from cfclip.generators import StyleGAN2, StyleGAN2Config
from cfclip.losses import directional_loss
from cfclip.optim.descent import TOTAL, learning_rate


@pytest.fixture(scope="module")
def generator() -> StyleGAN2:
    return tiny_generator()


@pytest.fixture
def embedder() -> ClipEmbedder:
    return tiny_embedder()


@pytest.fixture(scope="module")
def request_of_two(generator: StyleGAN2) -> EditRequest:
    return EditRequest(
        latents=sample_latents(generator, 2),
        prompts=("green hair",),
        source_text="avatar",
        templates=TEMPLATES,
    )


def styleclip(generator: StyleGAN2) -> LatentOptimisationConfig:
    return LatentOptimisationConfig(**styleclip_optimisation(generator))


def test_the_numbers_are_the_published_ones(generator: StyleGAN2) -> None:
    config = styleclip(generator)
    assert (config.objective, config.space, config.bare_prompt) == ("global", "w_plus", True)
    assert (config.steps, config.lr, config.optimizer) == (300, 0.1, "adam")
    assert (config.augmentations, config.distortion, config.patience) == (1, 0.0, 0)
    assert (config.changed_pixels, config.aspects, config.start) == (0.0, 0.0, "source")
    rates = [learning_rate(config.descent(), step) for step in (0, 14, 225, 262, 299)]
    # Rises over 15 steps, is at its peak until 225, and falls along half a cosine.
    assert rates[0] == pytest.approx(0.1 / 15)
    assert rates[1] == rates[2] == pytest.approx(0.1)
    assert rates[3] == pytest.approx(0.05, rel=0.05)
    assert rates[4] == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("w_dim", [16, 8])
@pytest.mark.parametrize("space", ["w_plus", "w"])
def test_the_mean_of_the_engine_is_the_sum_of_the_publication(w_dim: int, space: str) -> None:
    """Of an edit, the weighted penalty is 0.008 times the sum of the squares in W+."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = StyleGAN2Config(
            resolution=16, z_dim=8, w_dim=w_dim, mapping_layers=1, channels=(8, 8, 8)
        )
        generator = StyleGAN2(config).eval().requires_grad_(False)
    settings = replace(styleclip(generator), steps=2, space=space)  # type: ignore[type-var]
    latents = sample_latents(generator, 1)
    request = EditRequest(
        latents=latents, prompts=("green hair",), source_text="avatar", templates=TEMPLATES
    )
    result = LatentOptimisation(generator, tiny_embedder(), settings).edit(request)
    in_w_plus = result.offset.expand(-1, generator.num_ws, -1)
    (history,) = result.history
    penalty = settings.latent_l2 * history["latent_l2"][-1]
    assert penalty == pytest.approx(0.008 * float(in_w_plus.square().sum()), rel=1e-4)
    assert penalty > 0


def test_the_objective_is_one_minus_the_cosine_of_the_bare_prompt(
    generator: StyleGAN2, embedder: ClipEmbedder, request_of_two: EditRequest
) -> None:
    settings = replace(styleclip(generator), steps=1)
    result = LatentOptimisation(generator, embedder, settings).edit(request_of_two)
    assert embedder.text_calls == 2  # prompt and source text, without the templates
    images = generator.synthesis(result.source_latents + result.offset)
    cosines = embedder.embed_images(images) @ embedder.embed_texts(["green hair"])[0]
    for row, history in enumerate(result.history):
        assert history["global"][-1] == pytest.approx(1.0 - float(cosines[row]), abs=1e-5)
        expected = history["global"][-1] + settings.latent_l2 * history["latent_l2"][-1]
        assert history[TOTAL][-1] == pytest.approx(expected, abs=1e-6)


def test_the_directional_preset_differs_in_its_objective_alone(
    generator: StyleGAN2, embedder: ClipEmbedder, request_of_two: EditRequest
) -> None:
    ours, other = directional_optimisation(generator), styleclip_optimisation(generator)
    assert {name for name in other if ours[name] != other[name]} == {"objective", "bare_prompt"}
    settings = LatentOptimisationConfig(**{**ours, "steps": 1})
    result = LatentOptimisation(generator, embedder, settings).edit(request_of_two)
    texts = [
        embedder.embed_texts(fill_templates(TEMPLATES, text)) for text in ("green hair", "avatar")
    ]
    source = embedder.embed_images(result.source_images)
    edited = embedder.embed_images(result.images)
    expected = directional_loss(edited, source, *texts, reduction="none")
    for row, history in enumerate(result.history):
        assert history["directional"][-1] == pytest.approx(float(expected[row]), abs=1e-3)


def test_the_logit_preset_descends_at_a_constant_rate_from_the_text() -> None:
    config = LatentOptimisationConfig(**LOGIT_TEXT_MAP)
    assert {learning_rate(config.descent(), step) for step in range(config.steps)} == {1.0}
    assert (config.objective, config.start) == ("logit", "text-map")
