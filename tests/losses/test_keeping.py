"""The two losses that keep an edit to what it is about."""

import math
from dataclasses import replace

import pytest
import torch
from losses.embeddings import BATCH, COPIES, DIM, TEMPLATES, edit_tensors, embeddings

from cfclip.errors import InputError
from cfclip.losses import Objective, ObjectiveConfig
from cfclip.losses.aspects import (
    Aspect,
    aspect_targets,
    aspects_loss,
    readings,
    spoken_aspects,
    spoken_aspects_of_each,
)
from cfclip.losses.changes import VISIBLE, changed_pixels_loss
from cfclip.tensors import unit

ASPECTS = [embeddings(3, DIM, seed=9), embeddings(2, DIM, seed=10)]
EDITED, SOURCE = embeddings(COPIES * BATCH, DIM, seed=1), embeddings(BATCH, DIM, seed=2)


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


def targets(source: torch.Tensor = SOURCE) -> list[torch.Tensor]:
    return [readings(source, aspect) for aspect in ASPECTS]


def test_aspects_are_of_each_image_alone_and_averaged_over_augmentations():
    per_image = aspects_loss(EDITED, targets(), ASPECTS, "none")
    assert per_image.shape == (BATCH,)
    for b in range(BATCH):
        rows = EDITED.unflatten(0, (COPIES, BATCH))[:, b]
        alone = aspects_loss(rows, targets(SOURCE[b : b + 1]), ASPECTS)
        assert torch.allclose(per_image[b], alone)
    assert torch.allclose(aspects_loss(EDITED, targets(), ASPECTS), per_image.mean())
    edited = EDITED.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda e: aspects_loss(e, targets(), ASPECTS), (edited,), atol=1e-4
    )


def test_a_zero_edit_keeps_every_aspect():
    edited = SOURCE.repeat(COPIES, 1).requires_grad_()
    loss = aspects_loss(edited, targets(), ASPECTS)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-9)
    assert edited.grad.isfinite().all()


def test_copies_that_do_not_fit_are_named():
    with pytest.raises(InputError, match="not a multiple"):
        aspects_loss(EDITED[:-1], targets(), ASPECTS)


AXES = torch.eye(5, dtype=torch.float64)
HAIR, SKIN, PERSON = AXES[:2], AXES[2:4], AXES[4:].expand(TEMPLATES, -1)
OTHER_HAIR, OTHER_SKIN = AXES[1:2].expand(TEMPLATES, -1), AXES[3:4].expand(TEMPLATES, -1)


def test_what_a_text_speaks_of_is_read_of_the_text_and_the_rest_of_the_image():
    source = unit(AXES[0] + AXES[2])[None]
    only = spoken_aspects(OTHER_HAIR, PERSON, [HAIR, SKIN])
    assert only[1].said is None
    hair, skin = aspect_targets(source, only)
    assert torch.allclose(hair, readings(OTHER_HAIR[:1], HAIR))
    assert torch.equal(skin, readings(source, SKIN))
    both = spoken_aspects(torch.stack([OTHER_HAIR, OTHER_SKIN]), PERSON, [HAIR, SKIN])
    hair_too, skin = aspect_targets(source, both)
    assert torch.allclose(hair_too, hair)
    assert torch.allclose(skin, readings(OTHER_SKIN[:1], SKIN))
    each = spoken_aspects_of_each(
        torch.stack([OTHER_HAIR, OTHER_SKIN, PERSON]), PERSON, [HAIR, SKIN]
    )
    assert [[aspect.said is not None for aspect in of] for of in each] == [
        *([True, False], [False, True], [False, False])
    ]
    for one, alone in zip(each[0], only, strict=True):
        assert (one.said is None) == (alone.said is None)
        if one.said is not None and alone.said is not None:
            torch.testing.assert_close(one.said, alone.said)
    last = spoken_aspects(torch.stack([OTHER_HAIR, HAIR[:1].expand_as(PERSON)]), PERSON, [HAIR])
    assert torch.allclose(last[0].said, readings(HAIR[:1], HAIR)[0])


def test_a_text_speaks_of_two_aspects_and_not_of_what_it_would_move():
    both = unit(OTHER_HAIR + OTHER_SKIN)
    assert all(each.said is not None for each in spoken_aspects(both, PERSON, [HAIR, SKIN]))
    # The text of the original image leans to a skin, and the one that leaves it away "changes" it.
    leaning = unit(PERSON + 0.4 * OTHER_SKIN)
    hair, skin = spoken_aspects(OTHER_HAIR, leaning, [HAIR, SKIN])
    assert hair.said is not None
    assert skin.said is None


def test_a_text_that_says_nothing_leaves_the_image():
    source = unit(AXES[0] + AXES[2])[None]
    hair, skin = aspect_targets(source, spoken_aspects(PERSON, PERSON, [HAIR, SKIN]))
    assert torch.equal(hair, readings(source, HAIR))
    assert torch.equal(skin, readings(source, SKIN))


def test_targets_do_not_depend_on_the_batch():
    aspects = [
        Aspect(ASPECTS[0]),
        Aspect(ASPECTS[1], torch.tensor([0.9, 0.1]).double().log()),
    ]
    together = aspect_targets(SOURCE, aspects)
    for b in range(BATCH):
        alone = aspect_targets(SOURCE[b : b + 1], aspects)
        assert all(torch.allclose(t[b : b + 1], o) for t, o in zip(together, alone, strict=True))


def test_a_reading_by_hand():
    axes = torch.eye(2, dtype=torch.float64)
    shares = readings(axes[:1], axes, sharpness=math.log(3.0)).exp()
    assert torch.allclose(shares, torch.tensor([[0.75, 0.25]]).double())


@pytest.mark.parametrize("term", ["changed_pixels", "aspects"])
def test_a_term_says_what_it_lacks(term):
    lacking = replace(edit_tensors(), images=None, aspects=(), aspect_targets=())
    with pytest.raises(InputError, match=f"the {term} term needs .* or set its weight to 0"):
        Objective(ObjectiveConfig(**{term: 1.0}))(lacking)
