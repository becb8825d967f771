"""Latent optimisation on a tiny StyleGAN2 and CLIP."""

import math
from dataclasses import replace
from typing import get_args

import pytest
import torch
from tiny_models import TEMPLATES, sample_latents, tiny_embedder, tiny_generator
from torch import Tensor

from cfclip.editors import BatchEdit, EditProgress, EditRequest, Space
from cfclip.editors.latent_optimisation import LatentOptimisation, LatentOptimisationConfig
from cfclip.embedders.clip import ClipEmbedder
from cfclip.errors import InputError
from cfclip.generators import StyleGAN2, StyleGAN2Config
from cfclip.losses import changed_pixels_loss
from cfclip.optim.descent import COMPLETED, CONVERGED, INTERRUPTED, STOPPED, TOTAL

CONFIG = LatentOptimisationConfig(steps=5, lr=0.1, augmentations=2, patience=0)
OBJECTIVES = ("clip_nce", "directional", "global", "logit")


@pytest.fixture(scope="module")
def generator() -> StyleGAN2:
    return tiny_generator()


@pytest.fixture(scope="module")
def embedder() -> ClipEmbedder:
    return tiny_embedder()


@pytest.fixture(scope="module")
def request_of_two(generator: StyleGAN2) -> EditRequest:
    return EditRequest(
        latents=sample_latents(generator, 2),
        prompts=("green hair",),
        source_text="avatar",
        templates=TEMPLATES,
        unrealistic_text="glitch",
        seed=3,
    )


def final_loss(result: BatchEdit) -> list[float]:
    return [one[TOTAL][-1] for one in result.history]


@pytest.mark.parametrize("space", get_args(Space))
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_first_step_is_finite_for_every_objective_and_space(
    generator: StyleGAN2,
    embedder: ClipEmbedder,
    request_of_two: EditRequest,
    objective: str,
    space: str,
) -> None:
    config = replace(CONFIG, objective=objective, space=space, steps=2)  # type: ignore[arg-type]
    result = LatentOptimisation(generator, embedder, config).edit(request_of_two)
    assert result.stop_reasons == (COMPLETED, COMPLETED)
    assert bool(torch.isfinite(result.offset).all())
    assert bool((result.offset.flatten(1).norm(dim=1) > 0).all())
    assert result.images.shape == (2, 3, 16, 16)
    assert not result.images.requires_grad
    for one in result.history:
        assert all(math.isfinite(value) for term in one.values() for value in term)
    assert [len(one[TOTAL]) for one in result.history] == [3, 3]


@pytest.mark.parametrize(
    ("objective", "fall"),
    # The directions of an untrained CLIP can be followed, while its embeddings hardly move.
    [("clip_nce", 0.8), ("directional", 0.3), ("logit", 0.15), ("global", 0.001)],
)
def test_the_objective_falls(
    generator: StyleGAN2,
    embedder: ClipEmbedder,
    request_of_two: EditRequest,
    objective: str,
    fall: float,
) -> None:
    # Without distortion every step has the same objective, so that the ends compare.
    config = replace(
        CONFIG,
        objective=objective,  # type: ignore[arg-type]
        steps=40,
        lr=0.3,
        augmentations=1,
        distortion=0.0,
        latent_l2=0.001,
    )
    result = LatentOptimisation(generator, embedder, config).edit(request_of_two)
    for one in result.history:
        assert one[TOTAL][-1] < one[TOTAL][0] - fall


def test_an_edit_that_shall_change_few_pixels_changes_fewer(
    generator: StyleGAN2, embedder: ClipEmbedder, request_of_two: EditRequest
) -> None:
    found = []
    for weight in (0.0, 50.0):
        config = replace(CONFIG, steps=20, lr=0.2, latent_l2=0.0, changed_pixels=weight)
        result = LatentOptimisation(generator, embedder, config).edit(request_of_two)
        found.append(changed_pixels_loss(result.images, result.source_images, reduction="none"))
    assert bool((found[1] < 0.8 * found[0]).all())


def test_aspects_are_embedded_once_and_kept(
    generator: StyleGAN2, request_of_two: EditRequest
) -> None:
    config = replace(CONFIG, aspects=1.0)
    with pytest.raises(InputError, match="the pack names no aspects; set its weight to 0"):
        LatentOptimisation(generator, tiny_embedder(), config).edit(request_of_two)
    embedder = tiny_embedder()
    aspects = {"hair": ("red hair", "blue hair"), "mouth": ("a smile", "a frown")}
    request = replace(request_of_two, aspects=aspects)
    result = LatentOptimisation(generator, embedder, config).edit(request)
    assert embedder.text_calls == 2 * len(TEMPLATES) + 4
    assert all(len(one["aspects"]) == len(one[TOTAL]) for one in result.history)


def test_images_are_edited_alone_as_in_a_batch(
    generator: StyleGAN2, embedder: ClipEmbedder, request_of_two: EditRequest
) -> None:
    editor = LatentOptimisation(generator, embedder, CONFIG)
    together = editor.edit(request_of_two)
    for index in range(2):
        alone = editor.edit(
            replace(
                request_of_two,
                latents=request_of_two.latents[index : index + 1],
                indices=(index,),
            )
        )
        torch.testing.assert_close(alone.offset[0], together.offset[index], atol=2e-4, rtol=1e-3)
        assert final_loss(alone)[0] == pytest.approx(final_loss(together)[index], rel=1e-3)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(
    generator: StyleGAN2, embedder: ClipEmbedder, request_of_two: EditRequest
) -> None:
    editor = LatentOptimisation(generator, embedder, CONFIG)
    state = torch.random.get_rng_state()
    first = editor.edit(request_of_two)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(3)
    assert torch.equal(editor.edit(request_of_two).images, first.images)
    assert not torch.equal(editor.edit(replace(request_of_two, seed=4)).offset, first.offset)


def test_texts_and_sources_are_embedded_once(
    generator: StyleGAN2, request_of_two: EditRequest
) -> None:
    embedder = tiny_embedder()
    editor = LatentOptimisation(generator, embedder, CONFIG)
    editor.edit(replace(request_of_two, prompts=("green hair", "blue skin")))
    assert embedder.text_calls == 3 * len(TEMPLATES)
    assert embedder.image_calls == 2 + (CONFIG.steps + 1) * CONFIG.augmentations * 2
    editor.edit(request_of_two)
    assert embedder.text_calls == 3 * len(TEMPLATES)


def test_an_image_that_stopped_is_frozen_and_no_longer_computed(
    generator: StyleGAN2, request_of_two: EditRequest
) -> None:
    embedder = tiny_embedder()
    config = replace(CONFIG, steps=60, tolerance=0.2, patience=4)
    result = LatentOptimisation(generator, embedder, config).edit(request_of_two)
    assert set(result.stop_reasons) == {CONVERGED}
    evaluations = [len(one[TOTAL]) for one in result.history]
    assert max(evaluations) < 61
    assert embedder.image_calls == 2 + config.augmentations * sum(evaluations)
    assert list(result.steps) == [count - 1 for count in evaluations]


def test_layers_confine_the_offset(
    generator: StyleGAN2, embedder: ClipEmbedder, request_of_two: EditRequest
) -> None:
    config = replace(CONFIG, layers="1,3-4", steps=2)
    offset = LatentOptimisation(generator, embedder, config).edit(request_of_two).offset
    moved = offset.abs().amax((0, 2)) > 0
    assert moved.tolist() == [False, True, False, True, True, False]

    in_w = LatentOptimisation(generator, embedder, replace(config, space="w")).edit(request_of_two)
    layers = torch.stack(in_w.layer_offsets)
    assert [bool(one.abs().max() > 0) for one in layers] == [False, True, False, True, True, False]
    assert torch.equal(layers[1], layers[4])
    latents = request_of_two.latents + layers.movedim(0, 1)
    assert torch.allclose(generator.synthesis(latents), in_w.images, atol=1e-5)

    in_styles = replace(config, space="style_space")
    result = LatentOptimisation(generator, embedder, in_styles).edit(request_of_two)
    moved = torch.stack([one.abs().max() > 0 for one in result.layer_offsets])
    # conv 0 | rgb 1 | convs 1, 2, rgb 3 | convs 3, 4, rgb 5
    assert moved.tolist() == [False, True, True, False, True, True, True, False]


def test_style_inputs_are_those_of_the_generator(generator: StyleGAN2) -> None:
    """Changing one style input changes exactly the styles that are said to read it."""
    from cfclip.editors.spaces import style_input

    latents = sample_latents(generator, 1)
    before = generator.styles(latents)
    for row in range(generator.num_ws):
        changed = latents.clone()
        changed[:, row] += 1.0
        after = generator.styles(changed)
        for place, (one, other) in enumerate(zip(before, after, strict=True)):
            assert torch.equal(one, other) == (style_input(place) != row)


def test_strength_renders_again_without_optimising(
    generator: StyleGAN2, embedder: ClipEmbedder, request_of_two: EditRequest
) -> None:
    result = LatentOptimisation(generator, embedder, CONFIG).edit(request_of_two)
    calls = embedder.image_calls
    assert torch.equal(result.at_strength(1.0), result.images)
    assert torch.equal(result.at_strength(0.0), result.source_images)
    torch.testing.assert_close(
        result.at_strength(0.5),
        generator.synthesis(result.source_latents + 0.5 * result.offset),
    )
    assert embedder.image_calls == calls

    weaker = LatentOptimisation(generator, embedder, replace(CONFIG, strength=0.5))
    half = weaker.edit(request_of_two)
    assert torch.equal(half.offset, result.offset)
    assert torch.equal(half.images, result.at_strength(0.5))


def test_a_mask_confines_pixels_and_gradient(
    generator: StyleGAN2, embedder: ClipEmbedder, request_of_two: EditRequest
) -> None:
    editor = LatentOptimisation(generator, embedder, CONFIG)
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :8, :] = 1.0
    result = editor.edit(replace(request_of_two, mask=mask))
    assert torch.equal(result.images[..., 8:, :], result.source_images[..., 8:, :])
    assert not torch.equal(result.images[..., :8, :], result.source_images[..., :8, :])
    assert torch.equal(result.at_strength(2.0)[..., 8:, :], result.source_images[..., 8:, :])

    one_each = torch.stack([torch.zeros(1, 16, 16), torch.ones(1, 16, 16)])
    result = editor.edit(replace(request_of_two, mask=one_each))
    assert bool((result.offset[0] == 0).all())
    free = editor.edit(request_of_two)
    torch.testing.assert_close(result.offset[1], free.offset[1], atol=2e-4, rtol=1e-3)


def test_several_prompts_all_pull(
    generator: StyleGAN2, embedder: ClipEmbedder, request_of_two: EditRequest
) -> None:
    """Without a latent penalty, two equal prompts are one (Adam does not see the scale)."""
    editor = LatentOptimisation(generator, embedder, replace(CONFIG, latent_l2=0.0))
    once = editor.edit(request_of_two)
    twice = editor.edit(replace(request_of_two, prompts=("green hair", "green hair")))
    torch.testing.assert_close(twice.offset, once.offset, atol=2e-4, rtol=1e-3)
    assert twice.history[0][TOTAL][0] == pytest.approx(2 * once.history[0][TOTAL][0], rel=1e-5)
    assert twice.history[0]["clip_nce"][0] == pytest.approx(
        once.history[0]["clip_nce"][0], rel=1e-5
    )
    both = editor.edit(replace(request_of_two, prompts=("green hair", "blue skin")))
    assert not torch.allclose(both.offset, once.offset, atol=1e-3)


@pytest.mark.parametrize(
    "change", [{"temperature": 0.05}, {"positives": "direction"}, {"negatives": "none"}]
)
def test_choices_of_clip_nce_reach_the_objective(
    generator: StyleGAN2,
    embedder: ClipEmbedder,
    request_of_two: EditRequest,
    change: dict[str, object],
) -> None:
    changed = LatentOptimisation(generator, embedder, replace(CONFIG, **change))  # type: ignore[arg-type]
    usual = LatentOptimisation(generator, embedder, CONFIG)
    assert final_loss(changed.edit(request_of_two)) != final_loss(usual.edit(request_of_two))


def test_the_logit_weights_are_alpha_beta_gamma(
    generator: StyleGAN2, embedder: ClipEmbedder, request_of_two: EditRequest
) -> None:
    config = replace(
        CONFIG, objective="logit", optimizer="sgd", steps=1, alpha=2.0, beta=0.25, gamma=0.5
    )
    result = LatentOptimisation(generator, embedder, config).edit(request_of_two)
    first = {name: values[0] for name, values in result.history[0].items()}
    assert first[TOTAL] == pytest.approx(
        2.0 * first["similarity"] + 0.25 * first["diversity"] + 0.5 * first["realism"], rel=1e-5
    )


def test_the_callback_sees_terms_and_images(
    generator: StyleGAN2, embedder: ClipEmbedder, request_of_two: EditRequest
) -> None:
    seen: list[EditProgress] = []
    previews: list[Tensor] = []

    def watch(progress: EditProgress) -> None:
        seen.append(progress)
        previews.append(progress.images())

    result = LatentOptimisation(generator, embedder, CONFIG).edit(request_of_two, watch)
    assert [one.step for one in seen] == list(range(CONFIG.steps + 1))
    assert seen[0].terms.keys() == {"clip_nce", "latent_l2", TOTAL}
    assert 0 < seen[0].seconds < seen[-1].seconds < result.seconds
    assert torch.equal(previews[0], result.source_images)
    assert torch.equal(previews[-1], result.images)
    # a preview that is asked for late still is of its step
    assert torch.equal(seen[1].images(), previews[1])


def test_the_callback_can_stop_interrupt_and_fail(
    generator: StyleGAN2, embedder: ClipEmbedder, request_of_two: EditRequest
) -> None:
    editor = LatentOptimisation(generator, embedder, CONFIG)
    result = editor.edit(request_of_two, lambda progress: progress.step < 3)
    assert result.stop_reasons == (STOPPED, STOPPED)
    assert result.steps == (3, 3)

    def interrupt(progress: EditProgress) -> None:
        if progress.step == 3:
            raise KeyboardInterrupt

    interrupted = editor.edit(request_of_two, interrupt)
    assert interrupted.stop_reasons == (INTERRUPTED, INTERRUPTED)
    assert torch.equal(interrupted.images, result.images)

    def fail(progress: EditProgress) -> None:
        raise RuntimeError("no display")

    with pytest.raises(RuntimeError, match="no display"):
        editor.edit(request_of_two, fail)


def test_a_generator_that_breaks_midway_leaves_the_last_good_offset(
    embedder: ClipEmbedder, request_of_two: EditRequest
) -> None:
    broken = tiny_generator()

    def poison(progress: EditProgress) -> None:
        if progress.step == 3:
            broken.to_rgbs[1].bias[0] = math.inf

    result = LatentOptimisation(broken, embedder, CONFIG).edit(request_of_two, poison)
    for reason in result.stop_reasons:
        assert reason.startswith("the objective became nan at step 4; kept the last good result")
    assert result.steps == (3, 3)
    assert bool(torch.isfinite(result.offset).all())
    assert bool((result.offset != 0).any())
    broken.to_rgbs[1].bias[0] = 0.0
    assert bool(torch.isfinite(result.at_strength(1.0)).all())


def test_a_broken_generator_stops_at_once(
    embedder: ClipEmbedder, request_of_two: EditRequest
) -> None:
    broken = tiny_generator()
    broken.convs[0].weight[0] = math.inf
    result = LatentOptimisation(broken, embedder, CONFIG).edit(request_of_two)
    assert all("at step 0" in reason for reason in result.stop_reasons)
    assert [one[TOTAL] for one in result.history] == [[], []]
    assert bool((result.offset == 0).all())


def test_a_rate_that_is_far_too_high_ends_at_a_finite_offset(
    generator: StyleGAN2, embedder: ClipEmbedder, request_of_two: EditRequest
) -> None:
    config = replace(CONFIG, steps=30, lr=1e6, ramp_up=0.0)
    result = LatentOptimisation(generator, embedder, config).edit(request_of_two)
    assert all("diverged" in reason for reason in result.stop_reasons)
    assert bool(torch.isfinite(result.images).all())


def test_mixed_precision_runs_and_stays_close(
    generator: StyleGAN2, embedder: ClipEmbedder, request_of_two: EditRequest
) -> None:
    config = replace(CONFIG, objective="global", latent_l2=0.0)
    exact = LatentOptimisation(generator, embedder, config)
    mixed = LatentOptimisation(generator, embedder, replace(config, precision="bfloat16"))
    one, other = exact.edit(request_of_two), mixed.edit(request_of_two)
    assert other.images.dtype == other.offset.dtype == torch.float32
    assert other.stop_reasons == (COMPLETED, COMPLETED)
    assert final_loss(other) == pytest.approx(final_loss(one), rel=0.02)
    assert final_loss(other) != final_loss(one)


@pytest.mark.parametrize("space", get_args(Space))
def test_what_clip_sees_is_rendered_no_larger(
    embedder: ClipEmbedder, request_of_two: EditRequest, space: Space
) -> None:
    """A picture of 64 px, of which the CLIP reads 32: the layers above give no gradient."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = StyleGAN2Config(64, (8,) * 5, z_dim=16, w_dim=16, mapping_layers=2)
        larger = StyleGAN2(sizes).eval().requires_grad_(False)
    mask = torch.ones(1, 1, 64, 64)
    mask[:, :, 32:] = 0.0
    request = replace(request_of_two, latents=sample_latents(larger, 2), mask=mask)
    config = replace(CONFIG, latent_l2=0.0, changed_pixels=1.0, space=space, rendering="seen")
    result = LatentOptimisation(larger, embedder, config).edit(request)
    assert result.images.shape == result.source_images.shape == (2, 3, 64, 64)
    assert torch.equal(result.images[:, :, 32:], result.source_images[:, :, 32:])
    assert not torch.equal(result.images[:, :, :32], result.source_images[:, :, :32])
    if space == "w_plus":
        moved = result.offset.abs().amax((0, 2))
        assert bool((moved[:8] > 0).all())
        assert not moved[8:].any()
    whole = LatentOptimisation(larger, embedder, replace(config, rendering="whole")).edit(request)
    assert not torch.equal(whole.offset, result.offset)


def test_what_does_not_fit_is_named(
    generator: StyleGAN2, embedder: ClipEmbedder, request_of_two: EditRequest
) -> None:
    editor = LatentOptimisation(generator, embedder, CONFIG)
    with pytest.raises(InputError, match="prompt is empty"):
        editor.edit(replace(request_of_two, prompts=(" ",)))
    with pytest.raises(InputError, match="mask is 8x8, expected 16x16"):
        editor.edit(replace(request_of_two, mask=torch.ones(1, 1, 8, 8)))
    with pytest.raises(InputError, match="latents have shape"):
        editor.edit(replace(request_of_two, latents=torch.zeros(1, 4, 16)))
    layers = LatentOptimisation(generator, embedder, replace(CONFIG, layers="0-9"))
    with pytest.raises(InputError, match="this generator has layers 0 to 5"):
        layers.edit(request_of_two)
    logit = LatentOptimisation(generator, embedder, replace(CONFIG, objective="logit"))
    with pytest.raises(InputError, match="needs unrealistic_text"):
        logit.edit(replace(request_of_two, unrealistic_text=None))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompts": "green hair"}, "expected a tuple of one or more texts"),
        ({"prompts": ()}, "expected a tuple of one or more texts"),
        ({"templates": ()}, "templates is empty"),
        ({"latents": torch.zeros(0, 6, 16)}, "latents have shape"),
        ({"latents": torch.full((1, 6, 16), torch.nan)}, "not finite"),
        ({"seed": -1}, "seed is -1"),
        ({"indices": (0, 1, 2)}, "3 indices for 2 images"),
        ({"mask": torch.ones(3, 1, 16, 16)}, "mask has shape"),
        ({"mask": torch.full((1, 1, 16, 16), 2.0)}, "mask has values from 2 to 2"),
        ({"mask": torch.full((1, 1, 16, 16), torch.nan)}, "mask has values from nan"),
    ],
)
def test_requests_that_do_not_fit_together_are_refused(
    request_of_two: EditRequest, change: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        replace(request_of_two, **change)  # type: ignore[arg-type]
