"""Projection on a tiny StyleGAN2 and CLIP."""

import math
from dataclasses import replace

import pytest
import torch
from tiny_models import sample_latents, tiny_embedder, tiny_generator
from torch import Tensor

from cfclip.embedders.clip import ClipEmbedder
from cfclip.encoders.projection import (
    ProjectionConfig,
    feature_distance,
    measure_inversion,
    project,
)
from cfclip.errors import InputError
from cfclip.generators import StyleGAN2, StyleGAN2Config
from cfclip.optim import COMPLETED, INTERRUPTED, STOPPED, DescentStep

CONFIG = ProjectionConfig(steps=60, lr=0.05, patience=0)


@pytest.fixture(scope="module")
def generator() -> StyleGAN2:
    return tiny_generator()


@pytest.fixture(scope="module")
def embedder() -> ClipEmbedder:
    return tiny_embedder()


@pytest.fixture(scope="module")
def pair(generator: StyleGAN2) -> tuple[Tensor, Tensor]:
    """Two images and codes near theirs."""
    latents = sample_latents(generator, 2)
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        images = generator.synthesis(latents)
    return images, latents + 0.5 * noise


def test_projection_reproduces_the_image_of_a_perturbed_code(
    generator: StyleGAN2, embedder: ClipEmbedder, pair: tuple[Tensor, Tensor]
) -> None:
    images, start = pair
    before = measure_inversion(generator, embedder, images, start, 24.0)
    after = project(generator, embedder, images, start, CONFIG)
    assert bool((after.psnr > before.psnr + 8.0).all()), (before.psnr, after.psnr)
    assert bool((after.perceptual < 0.5 * before.perceptual).all())
    assert after.stop_reasons == (COMPLETED, COMPLETED)
    assert torch.equal(after.reconstruction, generator.synthesis(after.latents))
    assert not after.latents.requires_grad
    assert not after.reconstruction.requires_grad


def test_images_do_not_influence_each_other(
    generator: StyleGAN2, embedder: ClipEmbedder, pair: tuple[Tensor, Tensor]
) -> None:
    images, start = pair
    short = replace(CONFIG, steps=8)
    together = project(generator, embedder, images, start, short)
    for index in range(2):
        part = slice(index, index + 1)
        alone = project(generator, embedder, images[part], start[part], short)
        torch.testing.assert_close(alone.latents, together.latents[part], atol=2e-4, rtol=1e-3)


def test_the_same_call_gives_the_same_latents(
    generator: StyleGAN2, embedder: ClipEmbedder, pair: tuple[Tensor, Tensor]
) -> None:
    short = replace(CONFIG, steps=3)
    first = project(generator, embedder, *pair, short)
    assert torch.equal(first.latents, project(generator, embedder, *pair, short).latents)


def test_the_code_with_the_lowest_loss_is_kept(
    generator: StyleGAN2, embedder: ClipEmbedder, pair: tuple[Tensor, Tensor]
) -> None:
    totals: list[float] = []
    # A rate that overshoots: the last code is far from the best.
    wild = replace(CONFIG, steps=10, lr=5.0, ramp_up=0.0, ramp_down=0.0, start_weight=0.0)
    found = project(
        generator,
        embedder,
        pair[0][:1],
        pair[1][:1],
        wild,
        lambda step: totals.append(step.terms["total"]),
    )
    assert found.steps[0] == totals.index(min(totals)) < 10


def test_a_start_that_is_exact_stays(generator: StyleGAN2, embedder: ClipEmbedder) -> None:
    latents = sample_latents(generator, 1)
    images = generator.synthesis(latents)
    found = project(generator, embedder, images, latents, replace(CONFIG, steps=3))
    assert torch.equal(found.latents, latents)
    assert found.warnings == (None,)


def test_zero_steps_take_the_start_as_it_is(
    generator: StyleGAN2, embedder: ClipEmbedder, pair: tuple[Tensor, Tensor]
) -> None:
    found = project(generator, embedder, *pair, replace(CONFIG, steps=0))
    assert torch.equal(found.latents, pair[1])
    assert found.steps == (0, 0)


def test_what_is_not_of_the_generator_is_warned_about(
    generator: StyleGAN2, embedder: ClipEmbedder, pair: tuple[Tensor, Tensor]
) -> None:
    checkers = torch.ones(1, 3, 16, 16)
    checkers[..., ::2, ::2] = -1.0
    images = torch.cat([checkers, pair[0][:1]])
    start = torch.cat([pair[1][1:], sample_latents(generator, 2)[:1]])
    found = project(generator, embedder, images, start, replace(CONFIG, steps=2))
    assert found.warnings[0] is not None
    assert "could not be reproduced (PSNR " in found.warnings[0]
    assert "at least 24 expected" in found.warnings[0]
    assert found.warnings[1] is None


def test_converged_images_stop_early(
    generator: StyleGAN2, embedder: ClipEmbedder, pair: tuple[Tensor, Tensor]
) -> None:
    lazy = replace(CONFIG, steps=200, tolerance=0.5, patience=3)
    found = project(generator, embedder, *pair, lazy)
    assert max(found.steps) < 50
    assert set(found.stop_reasons) == {"converged"}


def test_the_callback_ends_the_projection(
    generator: StyleGAN2, embedder: ClipEmbedder, pair: tuple[Tensor, Tensor]
) -> None:
    found = project(generator, embedder, *pair, CONFIG, lambda step: step.step < 2)
    assert found.stop_reasons == (STOPPED, STOPPED)

    def interrupt(step: DescentStep) -> None:
        raise KeyboardInterrupt

    found = project(generator, embedder, *pair, CONFIG, interrupt)
    assert found.stop_reasons == (INTERRUPTED, INTERRUPTED)
    assert torch.equal(found.latents, pair[1])


def test_a_generator_that_breaks_stops_cleanly(
    embedder: ClipEmbedder, pair: tuple[Tensor, Tensor]
) -> None:
    broken = tiny_generator()

    def poison(step: DescentStep) -> None:
        if step.step == 2:
            broken.to_rgbs[0].bias[0] = math.inf

    found = project(broken, embedder, *pair, CONFIG, poison)
    assert all("at step 3" in reason for reason in found.stop_reasons)
    assert bool(torch.isfinite(found.latents).all())
    assert all(found.warnings)


def test_the_encoder_embeds_each_image_once_and_a_weight_of_zero_costs_nothing(
    generator: StyleGAN2, embedder: ClipEmbedder, pair: tuple[Tensor, Tensor]
) -> None:
    before = embedder.image_calls
    project(generator, embedder, *pair, replace(CONFIG, steps=4))
    # the images, the start and each of 4 updates, and both once more for the measure
    assert embedder.image_calls - before == 2 * (1 + 5 + 2)
    before = embedder.image_calls
    project(generator, embedder, *pair, replace(CONFIG, steps=4, perceptual_weight=0.0))
    assert embedder.image_calls - before == 2 * 2


def test_feature_distance_of_opposite_features_is_four() -> None:
    maps = [torch.tensor([[[[1.0]], [[0.0]]]]), torch.tensor([[[[0.0]], [[1.0]]]])]
    assert feature_distance(maps, maps).tolist() == [0.0]
    assert feature_distance(maps, [-one for one in maps]).tolist() == [4.0]


def test_bad_input_is_named(
    generator: StyleGAN2, embedder: ClipEmbedder, pair: tuple[Tensor, Tensor]
) -> None:
    images, start = pair
    with pytest.raises(InputError, match="images are 8x8, expected 16x16"):
        project(generator, embedder, images[..., :8, :8], start)
    with pytest.raises(InputError, match="latents have shape"):
        project(generator, embedder, images, start[:, :2])
    with pytest.raises(InputError, match="2 images for 1 latents"):
        project(generator, embedder, images, start[:1])
    with pytest.raises(InputError, match="images hold values that are not finite"):
        project(generator, embedder, images * torch.nan, start)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": -1}, "steps is -1"),
        ({"lr": 0.0}, "lr is 0.0"),
        ({"perceptual_weight": -1.0}, "perceptual_weight is -1.0"),
        ({"l1_weight": 0.0, "mse_weight": 0.0}, "l1_weight [+] mse_weight is 0.0"),
        ({"tolerance": 2.0}, "tolerance is 2.0"),
    ],
)
def test_settings_outside_their_limits_are_named(change: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ProjectionConfig(**change)  # type: ignore[arg-type]


# Coarse to fine


@pytest.fixture(scope="module")
def larger() -> StyleGAN2:
    """Twice the size of coarse steps."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = StyleGAN2Config(128, (8,) * 6, z_dim=16, w_dim=16, mapping_layers=2)
        return StyleGAN2(sizes).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def larger_pair(larger: StyleGAN2) -> tuple[Tensor, Tensor]:
    latents = sample_latents(larger, 2)
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        return larger.synthesis(latents), latents + 0.5 * noise


def test_coarse_steps_come_as_near(
    larger: StyleGAN2, embedder: ClipEmbedder, larger_pair: tuple[Tensor, Tensor]
) -> None:
    images, start = larger_pair
    before = measure_inversion(larger, embedder, images, start, 24.0)
    exact = project(larger, embedder, images, start, CONFIG)
    assert embedder.image_size == 32
    embedder.image_calls = 0
    coarse = project(larger, embedder, images, start, replace(CONFIG, coarse=0.75))
    assert bool((exact.psnr > before.psnr + 8.0).all())
    assert bool((coarse.psnr > exact.psnr - 3.0).all()), (coarse.psnr, exact.psnr)
    # Sources, steps on whole pictures (15 and a last look), and what is measured.
    assert embedder.image_calls == 2 * (1 + 16 + 2)


def test_coarse_steps_are_told_and_end_like_others(
    larger: StyleGAN2, embedder: ClipEmbedder, larger_pair: tuple[Tensor, Tensor]
) -> None:
    seen: list[DescentStep] = []
    config = ProjectionConfig(steps=8, patience=0, coarse=0.5)
    whole = project(larger, embedder, *larger_pair, config, seen.append)  # type: ignore[func-returns-value]
    assert [step.step for step in seen] == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8]
    assert {step.steps for step in seen} == {8}
    assert whole.stop_reasons == (COMPLETED, COMPLETED)
    stopped = project(larger, embedder, *larger_pair, config, lambda step: step.step < 2)
    assert (stopped.steps, stopped.stop_reasons) == ((2, 2), (STOPPED, STOPPED))


def test_bfloat16_comes_as_near(
    larger: StyleGAN2, embedder: ClipEmbedder, larger_pair: tuple[Tensor, Tensor]
) -> None:
    exact = project(larger, embedder, *larger_pair, replace(CONFIG, steps=20))
    mixed = project(larger, embedder, *larger_pair, replace(CONFIG, steps=20, precision="bfloat16"))
    assert mixed.latents.dtype == mixed.reconstruction.dtype == torch.float32
    assert bool((mixed.psnr > exact.psnr - 1.0).all()), (mixed.psnr, exact.psnr)
    assert not torch.equal(mixed.latents, exact.latents)
