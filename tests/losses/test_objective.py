from dataclasses import replace
from typing import get_args

import pytest
import torch
from losses.embeddings import BATCH, DIM, edit_tensors, embeddings, logit_loss, only_image

from cfclip.errors import InputError
from cfclip.losses import (
    TERMS,
    Objective,
    ObjectiveConfig,
    ObjectiveName,
    clip_nce_loss,
    latent_l2_loss,
)
from cfclip.tensors import unit

OBJECTIVES = get_args(ObjectiveName)
OTHERS = {"changed_pixels": 2.0, "aspects": 3.0, "identity": 4.0, "perceptual": 5.0}


def features(images):
    """Of some network: a unit vector of each image."""
    return unit(images.flatten(1)[:, :DIM])


NETWORKS = {"identity": features, "perceptual": features}


def objective_of(name, **weights):
    return Objective(ObjectiveConfig(objective=name, **weights), networks=NETWORKS)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("others", [{}, OTHERS])
def test_total_is_the_weighted_sum_of_the_named_terms(name, others):
    objective = objective_of(name, **others)
    logit = {"similarity": 1.0, "diversity": 0.5, "realism": 0.5}
    weights = {**(logit if name == "logit" else {name: 1.0}), "latent_l2": 1.0, **others}
    total, terms = objective(edit_tensors(), "none")
    assert total.shape == (BATCH,)
    assert set(terms) == set(weights)
    assert all(value.shape == (BATCH,) for value in terms.values())
    expected = sum(weights[term] * value for term, value in terms.items())
    assert torch.allclose(total, expected)
    mean_total, mean_terms = objective(edit_tensors())
    assert torch.allclose(mean_total, total.mean())
    assert all(torch.allclose(mean_terms[term], terms[term].mean()) for term in terms)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_values_and_gradients_of_an_image_do_not_depend_on_its_batch(name):
    objective = objective_of(name, **OTHERS)
    t = edit_tensors()
    t.edited.requires_grad_()
    total, _ = objective(t, "none")
    (gradient,) = torch.autograd.grad(total.sum(), t.edited)
    for b in range(BATCH):
        alone = only_image(edit_tensors(), b)
        alone.edited.requires_grad_()
        value, _ = objective(alone, "none")
        (own,) = torch.autograd.grad(value.sum(), alone.edited)
        assert torch.allclose(value[0], total[b], rtol=1e-12)
        assert torch.allclose(gradient.unflatten(0, (-1, BATCH))[:, b], own, rtol=1e-10)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_several_targets_are_averaged(name):
    objective = objective_of(name)
    t = edit_tensors()
    other = embeddings(*t.target_texts.shape, seed=9)
    both, _ = objective(replace(t, target_texts=torch.stack([t.target_texts, other])))
    each = [objective(replace(t, target_texts=texts))[0] for texts in (t.target_texts, other)]
    assert torch.allclose(both, sum(each) / 2)
    single, _ = objective(replace(t, target_texts=other[None]))
    assert torch.allclose(single, each[1])


def test_terms_are_the_losses():
    t = edit_tensors()
    _, terms = objective_of("clip_nce")(t)
    nce = clip_nce_loss(t.edited, t.source, t.target_texts, t.source_texts)
    assert torch.allclose(terms["clip_nce"], nce)
    assert torch.allclose(terms["latent_l2"], latent_l2_loss(t.offset))


def test_logit_terms_sum_to_the_logit_loss():
    t = edit_tensors()
    assert t.unrealistic_texts is not None
    total, _ = objective_of("logit", alpha=3.0, beta=2.0, gamma=1.5, latent_l2=0.0)(t)
    texts = (t.target_texts, t.source_texts, t.unrealistic_texts)
    assert torch.allclose(total, logit_loss(t.edited, *texts, 3.0, 2.0, 1.5, t.copies))


def test_a_term_without_weight_is_not_evaluated():
    t = replace(edit_tensors(), unrealistic_texts=None)
    with pytest.raises(InputError, match="needs unrealistic_texts"):
        objective_of("logit")(t)
    _, terms = objective_of("logit", gamma=0.0)(t)
    assert "realism" not in terms


@pytest.mark.parametrize("name", [name for name, row in TERMS.items() if row.weight == name])
def test_bad_weights(name):
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match=f"{name} is {weight}, it must be a number at least 0"):
            ObjectiveConfig(**{name: weight})


def test_bad_names():
    with pytest.raises(InputError, match="objective is 'nce', expected one of clip_nce"):
        ObjectiveConfig(objective="nce")


def test_every_objective_has_terms_that_see_the_prompts():
    for name in OBJECTIVES:
        terms = [TERMS[each] for each in ObjectiveConfig(objective=name).weights()]
        assert any(row.sees_prompts and row.objective == name for row in terms)
    assert {row.objective for row in TERMS.values()} == {None, *OBJECTIVES}


@pytest.mark.parametrize("name", TERMS)
def test_every_row_is_a_loss_of_what_it_names(name):
    row = TERMS[name]
    config = ObjectiveConfig(
        objective=row.objective or "clip_nce", **{row.weight or "clip_weight": 2.0}
    )
    _, terms = Objective(config, networks=NETWORKS)(edit_tensors(), "none")
    assert terms[name].shape == (BATCH,)
    assert bool(terms[name].isfinite().all())


def test_a_term_that_sees_the_prompts_weighs_as_often():
    config = ObjectiveConfig(objective="logit", clip_weight=2.0, alpha=3.0, aspects=5.0)
    weights = config.weights(prompts=4)
    assert weights == {
        "similarity": 24.0,
        "diversity": 1.0,
        "realism": 1.0,
        "latent_l2": 1.0,
        "aspects": 5.0,
    }


def test_wrong_target_shape_is_named():
    t = edit_tensors()
    with pytest.raises(InputError, match="prompts, templates, dim"):
        objective_of("clip_nce")(replace(t, target_texts=t.target_texts[0]))
