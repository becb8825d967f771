"""What every loss on embeddings has to satisfy, in the spirit of kornia's test template."""

from collections.abc import Callable

import pytest
import torch
from losses.embeddings import BATCH, COPIES, DIM, edit_tensors, embeddings, logit_loss
from torch import Tensor

from cfclip.errors import InputError
from cfclip.losses import EditTensors, Objective, ObjectiveConfig, latent_l2_loss
from cfclip.losses.clip_losses import (
    COSINE_MARGIN,
    clip_nce_loss,
    directional_loss,
    global_clip_loss,
    text_log_odds,
)

Loss = Callable[..., Tensor]


def _clip_nce(edited, source, target, other, reduction="mean"):
    return clip_nce_loss(edited, source, target, other, reduction=reduction)


def _clip_nce_without_negatives(edited, source, target, other, reduction="mean"):
    return clip_nce_loss(
        edited, source, target, other, negatives="none", reduction=reduction, positives="image"
    )


def _global(edited, source, target, other, reduction="mean"):
    return global_clip_loss(edited, target, len(edited) // len(source), reduction)


def _logit(edited, source, target, other, reduction="mean"):
    copies = len(edited) // len(source)
    return logit_loss(edited, target, other, other.flip(-1), 1.0, 0.5, 0.25, copies, reduction)


LOSSES = {
    "clip_nce": _clip_nce,
    "clip_nce without negatives": _clip_nce_without_negatives,
    "directional": directional_loss,
    "global": _global,
    "logit": _logit,
}


@pytest.fixture(params=LOSSES)
def loss(request) -> Loss:
    return LOSSES[request.param]


def inputs() -> tuple[Tensor, ...]:
    t = edit_tensors()
    return t.edited, t.source, t.target_texts, t.source_texts


def test_cardinality_and_reductions(loss):
    per_image = loss(*inputs(), reduction="none")
    assert per_image.shape == (BATCH,)
    mean = loss(*inputs())
    assert mean.shape == ()
    assert torch.allclose(mean, per_image.mean())


def test_batch_independence(loss):
    edited, source, *texts = inputs()
    together = loss(edited, source, *texts, reduction="none")
    for b in range(BATCH):
        rows = edited.unflatten(0, (COPIES, BATCH))[:, b]
        alone = loss(rows, source[b : b + 1], *texts, reduction="none")
        assert torch.allclose(together[b : b + 1], alone, rtol=1e-12)


def test_augmentations_are_averaged(loss):
    edited, source, *texts = inputs()
    per_copy = [
        loss(edited[a * BATCH : (a + 1) * BATCH], source, *texts, reduction="none")
        for a in range(COPIES)
    ]
    assert torch.allclose(loss(edited, source, *texts, reduction="none"), sum(per_copy) / COPIES)


def test_gradcheck(loss):
    edited, source, *texts = inputs()
    edited.requires_grad_()
    assert torch.autograd.gradcheck(lambda e: loss(e, source, *texts), (edited,))


def test_float32_keeps_its_type(loss):
    assert loss(*(x.float() for x in inputs())).dtype == torch.float32


def test_finite_at_a_zero_edit(loss):
    _, source, *texts = inputs()
    edited = source.repeat(COPIES, 1).requires_grad_()
    value = loss(edited, source, *texts)
    value.backward()
    assert value.isfinite()
    assert edited.grad is not None
    assert edited.grad.isfinite().all()


def test_equal_texts_are_finite(loss):
    edited, source, target, _ = inputs()
    assert loss(edited, source, target, target).isfinite()


@pytest.mark.parametrize("position", range(4))
def test_wrong_shapes_are_named(loss, position):
    bad = list(inputs())
    bad[position] = bad[position][0]
    if position == 1 and loss in (_global, _logit):
        pytest.skip("this loss does not read the source images")
    if position == 3 and loss is _global:
        pytest.skip("this loss does not read the source texts")
    with pytest.raises(InputError, match=r"shape \(8,\)"):
        loss(*bad)


def test_texts_of_another_width_are_named(loss):
    edited, source, _, other = inputs()
    with pytest.raises(InputError, match=rf"shape \(5, {DIM + 1}\), expected \(rows, {DIM}\)"):
        loss(edited, source, embeddings(5, DIM + 1), other)


@pytest.mark.parametrize("pair_loss", [_clip_nce, directional_loss])
def test_text_pair_of_different_templates(pair_loss):
    edited, source, target, other = inputs()
    with pytest.raises(InputError, match="fill the same templates"):
        pair_loss(edited, source, target, other[1:])


def test_unknown_reduction(loss):
    with pytest.raises(InputError, match="expected one of mean, none"):
        loss(*inputs(), reduction="sum")


@pytest.mark.parametrize("copies", [0, -1, 4])
def test_copies_that_do_not_fit(copies):
    edited, _, target, _ = inputs()
    with pytest.raises(InputError, match=f"copies={copies}"):
        global_clip_loss(edited, target, copies)


def test_global_renormalises_the_mean_text():
    edited = torch.tensor([[1.0, 0.0]])
    texts = torch.tensor([[0.6, 0.8], [0.6, -0.8]])
    assert global_clip_loss(edited, texts).item() == pytest.approx(0.0, abs=1e-6)


def test_log_odds_are_those_of_the_score():
    cosine = torch.tensor([0.28], dtype=torch.float64)
    edited = torch.stack([cosine, (1 - cosine**2).sqrt()], 1)
    text = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    assert torch.allclose(text_log_odds(edited, text), torch.logit((1 + cosine) / 2))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_log_odds_are_clamped_where_they_would_be_infinite(sign):
    text = torch.tensor([[1.0, 0.0]])
    edited = (sign * text).requires_grad_()
    odds = text_log_odds(edited, text)
    odds.backward()
    limit = 2 * torch.atanh(torch.tensor(1 - COSINE_MARGIN))
    assert odds.item() == pytest.approx(sign * limit.item())
    assert edited.grad is not None
    assert edited.grad.abs().max() <= 1 / COSINE_MARGIN


def test_minimising_the_logit_loss_does_what_its_words_say():
    texts = torch.eye(3, dtype=torch.float64)
    edited = torch.full((1, 3), 0.5, dtype=torch.float64, requires_grad=True)
    settings = ObjectiveConfig(objective="logit", beta=1.0, gamma=1.0, latent_l2=0.0)
    tensors = EditTensors(edited, texts[:1], *texts[:2].split(1), edited, texts[2:])
    total, _ = Objective(settings)(tensors)
    total.backward()
    assert edited.grad is not None
    down = -edited.grad[0]
    assert down[0] > 0
    assert down[1] < 0
    assert down[2] < 0


def test_latent_l2_is_the_mean_over_entries_and_independent_per_image():
    offset = torch.randn(BATCH, 3, 4, dtype=torch.float64, requires_grad=True)
    per_image = latent_l2_loss(offset, "none")
    assert torch.allclose(per_image[1], offset[1].square().mean())
    assert torch.allclose(latent_l2_loss(offset), per_image.mean())
    assert torch.autograd.gradcheck(latent_l2_loss, (offset,))


@pytest.mark.parametrize("shape", [(), (3,), (0, 4)])
def test_latent_l2_wrong_shapes(shape):
    with pytest.raises(InputError, match="offset has shape"):
        latent_l2_loss(torch.zeros(shape))
