"""Edits that are confined are blends of the source and of the edit, and nothing else."""

from dataclasses import replace

import pytest
import torch
from tiny_models import TEMPLATES, sample_latents, tiny_embedder, tiny_generator
from tiny_parts import tiny_parts

from cfclip.editors import (
    SPACES,
    Confinement,
    EditRequest,
    LatentOptimisation,
    LatentOptimisationConfig,
)
from cfclip.errors import InputError
from cfclip.generators import StyleGAN2
from cfclip.regions import ChosenRegion

REGIONS = (ChosenRegion("changed"), ChosenRegion("parts", ("hair",)))


@pytest.fixture(scope="module")
def generator() -> StyleGAN2:
    return tiny_generator()


def request_of(generator: StyleGAN2, *prompts: str) -> EditRequest:
    return EditRequest(
        latents=sample_latents(generator, 2),
        prompts=prompts,
        source_text="an avatar",
        templates=TEMPLATES,
        indices=(0, 0),
    )


def confined(
    generator: StyleGAN2, region: ChosenRegion, mask: torch.Tensor | None = None
) -> tuple[Confinement, torch.Tensor]:
    space = SPACES["w_plus"](generator, sample_latents(generator, 3), (1, 3))
    draws = torch.Generator().manual_seed(5)
    offset = torch.randn(space.zero_offset().shape, generator=draws)
    return Confinement(space, region, tiny_parts(generator), mask), offset


@pytest.mark.parametrize("region", REGIONS)
def test_every_pixel_is_a_blend_by_the_mask(generator: StyleGAN2, region: ChosenRegion) -> None:
    confinement, offset = confined(generator, region)
    source, edited = confinement.source_images(), confinement.space.render(offset)
    mask = confinement.mask_of(offset)
    assert mask.shape == (3, 1, 16, 16)
    assert 0.0 <= float(mask.min()) < 0.01
    assert 0.99 < float(mask.max()) <= 1.0
    blend = mask * edited + (1.0 - mask) * source
    torch.testing.assert_close(confinement.render(offset), blend)


@pytest.mark.parametrize("region", REGIONS)
def test_no_edit_is_the_source(generator: StyleGAN2, region: ChosenRegion) -> None:
    confinement, offset = confined(generator, region)
    torch.testing.assert_close(confinement.render(0.0 * offset), confinement.source_images())


@pytest.mark.parametrize("region", REGIONS)
def test_a_picture_is_confined_alike_alone_and_in_a_batch(
    generator: StyleGAN2, region: ChosenRegion
) -> None:
    confinement, offset = confined(generator, region)
    together = confinement.render(offset)
    for row in range(3):
        alone = confinement.render(offset[row : row + 1], torch.tensor([row]))
        torch.testing.assert_close(alone, together[row : row + 1], atol=1e-5, rtol=1e-4)


def test_a_region_and_a_mask_multiply(generator: StyleGAN2) -> None:
    half = torch.zeros(3, 1, 16, 16)
    half[..., :8, :] = 1.0
    region = ChosenRegion("parts", ("hair", "skin"))
    confinement, offset = confined(generator, region, half)
    without, _ = confined(generator, region)
    assert torch.equal(confinement.mask_of(offset), half * without.mask_of(offset))
    unconfined, _ = confined(generator, ChosenRegion("off"))
    assert torch.equal(unconfined.mask_of(offset), torch.ones_like(half))
    assert torch.equal(unconfined.render(offset), unconfined.space.render(offset))


def test_an_objective_sees_the_mask_and_not_the_region(generator: StyleGAN2) -> None:
    half = torch.zeros(3, 1, 16, 16)
    half[..., :8, :] = 1.0
    confinement, offset = confined(generator, ChosenRegion("changed"), half)
    seen = confinement.masked(offset)
    assert torch.equal(seen[..., :8, :], confinement.space.render(offset)[..., :8, :])
    assert torch.equal(seen[..., 8:, :], confinement.source_images()[..., 8:, :])
    some = confinement.masked(offset[1:], torch.tensor([1, 2]), stop_at=8)
    assert some.shape == (2, 3, 8, 8)


def test_a_region_confines_what_was_found(generator: StyleGAN2) -> None:
    config = LatentOptimisationConfig(steps=2, region="parts", parts="hair")
    editor = LatentOptimisation(generator, tiny_embedder(), config)
    editor = editor.varied(parts=tiny_parts(generator))
    request = request_of(generator, "blue hair")
    edit = editor.edit(request)
    assert edit.confinement.choice == ChosenRegion("parts", ("hair",))
    assert torch.equal(edit.images, edit.at_strength(1.0))
    free = editor.varied(config=replace(config, region="off", parts="")).edit(request)
    assert torch.equal(edit.offset, free.offset)
    mask = edit.confinement.mask_of(edit.offset)
    blend = mask * free.images + (1.0 - mask) * edit.source_images
    torch.testing.assert_close(edit.images, blend)
    kept = edit.without_images()
    assert torch.equal(kept.row_at_strength(1, 1.0), edit.row_at_strength(1, 1.0))


def test_parts_that_there_are_not_are_refused(generator: StyleGAN2) -> None:
    config = LatentOptimisationConfig(region="parts")
    editor = LatentOptimisation(generator, tiny_embedder(), config)
    with pytest.raises(InputError, match=r"this pack has none; find them \(cfclip fit-parts\)"):
        editor.edit(request_of(generator, "blue hair"))
    named = editor.varied(config=replace(config, parts="hair, nose"), parts=tiny_parts(generator))
    with pytest.raises(InputError, match="there is no part 'nose'; this pack has hair, skin"):
        named.edit(request_of(generator, "blue hair"))
