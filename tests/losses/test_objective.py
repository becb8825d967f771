from dataclasses import replace

import pytest
import torch
from losses.embeddings import BATCH, edit_tensors, embeddings, only_image

from cfclip.errors import InputError
from cfclip.losses.clip_nce import clip_nce_loss
from cfclip.losses.latent import latent_l2_loss
from cfclip.losses.logit import logit_loss
from cfclip.losses.objective import OBJECTIVES, Objective, build_objective


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("keeping", [{}, {"changed_pixels": 2.0, "aspects": 3.0}])
def test_total_is_the_weighted_sum_of_the_named_terms(name, keeping):
    objective = build_objective(name, keeping)
    weights = {term: weight for term, weight in {**OBJECTIVES[name], **keeping}.items() if weight}
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
    objective = build_objective(name, {"changed_pixels": 2.0, "aspects": 3.0})
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
    objective = build_objective(name)
    t = edit_tensors()
    other = embeddings(*t.target_texts.shape, seed=9)
    both, _ = objective(replace(t, target_texts=torch.stack([t.target_texts, other])))
    each = [objective(replace(t, target_texts=texts))[0] for texts in (t.target_texts, other)]
    assert torch.allclose(both, sum(each) / 2)
    single, _ = objective(replace(t, target_texts=other[None]))
    assert torch.allclose(single, each[1])


def test_terms_are_the_losses():
    t = edit_tensors()
    _, terms = build_objective("clip_nce")(t)
    nce = clip_nce_loss(t.edited, t.source, t.target_texts, t.source_texts)
    assert torch.allclose(terms["clip_nce"], nce)
    assert torch.allclose(terms["latent_l2"], latent_l2_loss(t.offset))


def test_logit_terms_sum_to_the_logit_loss():
    t = edit_tensors()
    assert t.unrealistic_texts is not None
    weights = {"similarity": 3.0, "diversity": 2.0, "realism": 1.5, "latent_l2": 0.0}
    total, _ = build_objective("logit", weights)(t)
    texts = (t.target_texts, t.source_texts, t.unrealistic_texts)
    assert torch.allclose(total, logit_loss(t.edited, *texts, 3.0, 2.0, 1.5, t.copies))


def test_a_term_without_weight_is_not_evaluated():
    t = replace(edit_tensors(), unrealistic_texts=None)
    with pytest.raises(InputError, match="needs unrealistic_texts"):
        build_objective("logit")(t)
    _, terms = build_objective("logit", {"realism": 0.0})(t)
    assert "realism" not in terms


def test_bad_names_and_weights():
    with pytest.raises(InputError, match="unknown objective 'nce', expected one of clip_nce"):
        build_objective("nce")
    with pytest.raises(InputError, match="no term 'realism', its terms are clip_nce, latent_l2"):
        build_objective("clip_nce", {"realism": 1.0})
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="weight of latent_l2"):
            build_objective("clip_nce", {"latent_l2": weight})
    with pytest.raises(InputError, match="needs a term"):
        Objective({})


def test_wrong_target_shape_is_named():
    t = edit_tensors()
    with pytest.raises(InputError, match="prompts, templates, dim"):
        build_objective("clip_nce")(replace(t, target_texts=t.target_texts[0]))
