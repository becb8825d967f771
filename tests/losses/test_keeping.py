"""The two losses that keep an edit from changing more than it is about."""

import math
from dataclasses import replace

import pytest
import torch
from losses.embeddings import BATCH, COPIES, DIM, TEMPLATES, edit_tensors, embeddings

from cfclip.errors import InputError
from cfclip.losses.aspects import AspectsLoss, aspects_loss, readings, spoken_aspects
from cfclip.losses.changed_pixels import VISIBLE, ChangedPixelsLoss, changed_pixels_loss
from cfclip.losses.objective import build_objective
from cfclip.tensors import unit

ASPECTS = [embeddings(3, DIM, seed=9), embeddings(2, DIM, seed=10)]
EDITED, SOURCE = embeddings(COPIES * BATCH, DIM, seed=1), embeddings(BATCH, DIM, seed=2)
NONE = torch.zeros(BATCH, 2, dtype=torch.bool)


def images(seed: int) -> torch.Tensor:
    return embeddings(BATCH, 3, 4, 4, seed=seed)


def test_a_pixel_counts_as_one_at_most():
    source = torch.zeros(1, 3, 1, 4)
    far = torch.tensor([2.0, 0.0, 0.0, 0.0]).expand(1, 3, 1, 4)
    tint = torch.full((1, 3, 1, 4), VISIBLE)
    assert float(changed_pixels_loss(far, source)) == pytest.approx(0.25, abs=1e-3)
    assert float(changed_pixels_loss(tint, source)) == pytest.approx(0.5)


def test_changed_pixels_is_of_each_image_alone_and_has_a_gradient():
    edited, source = images(1), images(2)
    per_image = changed_pixels_loss(edited, source, reduction="none")
    for b in range(BATCH):
        alone = changed_pixels_loss(edited[b : b + 1], source[b : b + 1])
        assert torch.allclose(per_image[b], alone)
    assert torch.allclose(changed_pixels_loss(edited, source), per_image.mean())
    assert torch.equal(ChangedPixelsLoss()(edited, source), per_image.mean())
    edited.requires_grad_()
    assert torch.autograd.gradcheck(lambda e: changed_pixels_loss(e, source), (edited,))


def test_a_zero_edit_changes_no_pixel_and_has_no_slope():
    source = images(1)
    edited = source.clone().requires_grad_()
    loss = changed_pixels_loss(edited, source)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert not edited.grad.any()


def test_images_of_other_shapes_are_named():
    with pytest.raises(InputError, match=r"edited has shape \(2, 3, 4, 4\)"):
        changed_pixels_loss(images(1), images(2)[:1])


def test_readings_are_shares():
    assert torch.allclose(readings(SOURCE, ASPECTS[0]).exp().sum(1), torch.ones(BATCH).double())


def test_aspects_are_kept_by_image_and_averaged_over_augmentations():
    per_image = aspects_loss(EDITED, SOURCE, ASPECTS, NONE, "none")
    assert per_image.shape == (BATCH,)
    for b in range(BATCH):
        rows = EDITED.unflatten(0, (COPIES, BATCH))[:, b]
        alone = aspects_loss(rows, SOURCE[b : b + 1], ASPECTS, NONE[b : b + 1])
        assert torch.allclose(per_image[b], alone)
    assert torch.equal(AspectsLoss()(EDITED, SOURCE, ASPECTS, NONE), per_image.mean())
    edited = EDITED.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda e: aspects_loss(e, SOURCE, ASPECTS, NONE), (edited,), atol=1e-4
    )


def test_a_zero_edit_keeps_every_aspect():
    edited = SOURCE.repeat(COPIES, 1).requires_grad_()
    loss = aspects_loss(edited, SOURCE, ASPECTS, NONE)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-9)
    assert edited.grad.isfinite().all()


def test_what_is_spoken_of_is_free():
    first = torch.tensor([[True, False]] * BATCH)
    both = aspects_loss(EDITED, SOURCE, ASPECTS, NONE, "none")
    rest = aspects_loss(EDITED, SOURCE, ASPECTS, first, "none")
    alone = aspects_loss(EDITED, SOURCE, ASPECTS[1:], first[:, 1:], "none")
    assert torch.allclose(2 * rest, alone)
    assert bool((rest < both).all())


def test_a_text_is_about_the_aspect_that_its_direction_changes():
    axes = torch.eye(5, dtype=torch.float64)
    hair, skin = axes[:2], axes[2:4]
    source = unit(axes[0] + axes[2])[None]
    # From a person to a person of the other hair; the skin is not spoken of.
    person = axes[4:].expand(TEMPLATES, -1)
    other_hair = axes[1:2].expand(TEMPLATES, -1)
    found = spoken_aspects(source, other_hair, person, [hair, skin])
    assert found.tolist() == [[True, False]]
    nothing = spoken_aspects(source, person, person, [hair, skin])
    assert not nothing.any()


def test_a_reading_by_hand():
    axes = torch.eye(2, dtype=torch.float64)
    shares = readings(axes[:1], axes, sharpness=math.log(3.0)).exp()
    assert torch.allclose(shares, torch.tensor([[0.75, 0.25]]).double())


@pytest.mark.parametrize("term", ["changed_pixels", "aspects"])
def test_a_term_says_what_it_lacks(term):
    lacking = replace(edit_tensors(), images=None, aspects=())
    with pytest.raises(InputError, match=f"the {term} term needs .* or set its weight to 0"):
        build_objective("clip_nce", {term: 1.0})(lacking)
