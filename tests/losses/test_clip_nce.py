import pytest
import torch
from golden_cases import golden, relative_error
from losses.embeddings import COPIES, edit_tensors

from cfclip.errors import InputError
from cfclip.losses.clip_losses import DIRECTION_EPS, clip_nce_loss, directional_loss

NCE_TOLERANCE = 1e-6


def reference() -> tuple[dict[str, torch.Tensor], tuple[torch.Tensor, ...]]:
    _, arrays, _ = golden("clip_nce_loss")
    case = {name: torch.as_tensor(array) for name, array in arrays.items()}
    names = ("edited_image", "source_image", "target_text", "source_text")
    return case, tuple(case[name] for name in names)


def test_reference_values_with_own_and_with_released_negatives():
    case, inputs = reference()
    own = clip_nce_loss(*inputs)
    released = clip_nce_loss(*inputs, negatives="released")
    assert relative_error(own, case["clip_nce_per_sample_negatives"]) < NCE_TOLERANCE
    assert relative_error(released, case["clip_nce_released"]) < NCE_TOLERANCE
    assert relative_error(directional_loss(*inputs), case["directional_loss"]) < NCE_TOLERANCE


def test_reference_values_per_image():
    case, inputs = reference()
    images = len(case["source_image"])
    expected = case["clip_nce_per_row"].mean(1).unflatten(0, (-1, images)).mean(0)
    assert relative_error(clip_nce_loss(*inputs, reduction="none"), expected) < NCE_TOLERANCE


def test_reference_gradient():
    _, inputs = reference()
    _, arrays, _ = golden("clip_nce_gradient")
    edited = inputs[0].clone().requires_grad_()
    clip_nce_loss(edited, *inputs[1:]).backward()
    assert edited.grad is not None
    assert relative_error(edited.grad, arrays["gradient"]) < NCE_TOLERANCE


@pytest.mark.parametrize("length", [0.0, 1e-12, 1e-8, 1e-5, 1e-3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_at_and_near_a_zero_edit_loss_is_finite_and_gradient_bounded(length, dtype):
    t = edit_tensors()
    step = torch.zeros_like(t.source)
    step[:, 0] = length
    edited = (t.source + step).to(dtype).requires_grad_()
    texts = t.target_texts.to(dtype), t.source_texts.to(dtype)
    temperature = 0.1
    inputs = (edited, t.source.to(dtype), *texts)
    loss = clip_nce_loss(*inputs, temperature=temperature, reduction="none").sum()
    loss.backward()
    assert loss.isfinite()
    assert edited.grad is not None
    assert edited.grad.norm(dim=-1).max() <= 2 / (temperature * DIRECTION_EPS)


def test_own_negatives_make_an_image_independent_of_its_batch():
    t = edit_tensors()
    inputs = (t.edited[2:4], t.source, t.target_texts, t.source_texts)
    second = (t.edited[3:4], t.source[1:], t.target_texts, t.source_texts)
    together, alone = (clip_nce_loss(*x, reduction="none") for x in (inputs, second))
    assert torch.allclose(together[1], alone[0], rtol=1e-12)
    released = clip_nce_loss(*inputs, negatives="released", reduction="none")
    assert not torch.allclose(released[1], alone[0], rtol=1e-3)


@pytest.mark.parametrize("negatives", ["own", "released", "none"])
def test_both_positives_weigh_alike(negatives):
    t = edit_tensors()
    inputs = (t.edited, t.source, t.target_texts, t.source_texts)
    both, *each = (
        clip_nce_loss(*inputs, positives=positives, negatives=negatives, reduction="none")
        for positives in ("both", "direction", "image")
    )
    assert torch.allclose(both, (each[0] + each[1]) / 2, rtol=1e-12)
    assert not torch.allclose(each[0], each[1], rtol=1e-3)


def test_without_negatives_the_directions_decide():
    """Along the text's direction nothing is left to gain; the directional loss, in units of tau."""
    t = edit_tensors()
    inputs = (t.edited, t.source, t.target_texts, t.source_texts)
    options = {"temperature": 0.1, "negatives": "none", "reduction": "none"}
    loss = clip_nce_loss(*inputs, positives="direction", **options)
    assert torch.allclose(loss, directional_loss(*inputs, reduction="none") / 0.1, rtol=1e-9)
    alone = clip_nce_loss(t.edited[3:4], t.source[1:], *inputs[2:], **options)
    pair = clip_nce_loss(t.edited[2:4], t.source, *inputs[2:], **options)
    assert torch.allclose(pair[1], alone[0], rtol=1e-12)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_temperature(temperature):
    t = edit_tensors()
    with pytest.raises(InputError, match="temperature is"):
        clip_nce_loss(t.edited, t.source, t.target_texts, t.source_texts, temperature=temperature)


def test_bad_negatives():
    t = edit_tensors()
    with pytest.raises(InputError, match="expected one of own, released, none"):
        clip_nce_loss(t.edited, t.source, t.target_texts, t.source_texts, negatives="batch")
    with pytest.raises(InputError, match="expected one of both, direction, image"):
        clip_nce_loss(t.edited, t.source, t.target_texts, t.source_texts, positives="text")


def test_source_that_does_not_divide_the_edited_rows_is_named():
    t = edit_tensors()
    with pytest.raises(InputError, match=rf"\({COPIES * 2 - 1}, 8\) and source \(2, 8\)"):
        clip_nce_loss(t.edited[1:], t.source, t.target_texts, t.source_texts)
