"""What is measured of a perfect answer, of no edit, and of one that another CLIP judges."""

import pytest
import torch
from tiny_models import tiny_embedder

from cfclip.tensors import psnr
from cfclip_benchmark.avatars import AvatarEdit, Case, draw_avatars, judges, pictures
from cfclip_benchmark.avatars.measures import (
    STRENGTHS,
    CaseAnswer,
    Instruments,
    Subject,
    text_likeness,
)

SIDE = 128
GREEN = AvatarEdit("hair", "green hair", {"hair_colour": "green"})
BEARD = AvatarEdit("control", "a beard", {"beard": "beard"})


@pytest.fixture(scope="module")
def instruments() -> Instruments:
    probes = list(judges.load_probes().values())
    return Instruments(probes, tiny_embedder(0), tiny_embedder(1))


@pytest.fixture(scope="module")
def subject() -> Subject:
    """An avatar whose inversion is perfect."""
    image = pictures(draw_avatars("test", 1), SIDE)
    return Subject(image, torch.zeros(1, 2, 3), image, float(psnr(image, image)))


def case_of(edit: AvatarEdit) -> Case:
    return Case(edit, 0, draw_avatars("test", 1)[0])


def test_the_true_answer_is_perfect(instruments: Instruments, subject: Subject) -> None:
    truth = case_of(GREEN).truths(SIDE)[:1]
    strengths = []

    def at(strength: float) -> torch.Tensor:
        strengths.append(strength)
        return truth if strength >= 1.0 else subject.original

    row = instruments.measure(
        "mine", case_of(GREEN), subject, CaseAnswer(truth, "x", at, 2.0, 3.0, 4)
    )
    assert (row.method, row.prompt, row.family, row.avatar) == ("mine", "green hair", "hair", 0)
    assert (row.success, row.exact, row.preservation, row.lost) == (True, True, 1.0, ())
    assert row.truth_distance == row.inversion_distance == 0.0
    assert row.truth_psnr == row.inversion_psnr > 100.0
    assert (row.seconds, row.peak_memory, row.steps, row.stop_reason) == (2.0, 3.0, 4, "x")
    assert strengths == [each.strength for each in row.strengths] == list(STRENGTHS)
    assert [each.exact for each in row.strengths] == [s >= 1.0 for s in STRENGTHS]
    assert row.judge_similarity is not None
    assert -1.0 <= row.judge_similarity <= 1.0
    assert row.judge_similarity != row.clip_similarity


def test_no_edit_fails(instruments: Instruments, subject: Subject) -> None:
    answer = CaseAnswer(subject.original, "x")
    row = instruments.measure("mine", case_of(GREEN), subject, answer)
    assert (row.success, row.exact, row.preservation) == (False, False, 1.0)
    assert 0.05 < row.truth_distance < 2.0**0.5
    assert row.truth_psnr < 30.0
    assert (row.seconds, row.strengths) == (None, ())


def test_every_true_answer_is_near_itself(instruments: Instruments, subject: Subject) -> None:
    case = case_of(BEARD)
    truths = case.truths(SIDE)
    for truth in truths.split(1):
        answer = CaseAnswer(truth, "x")
        assert instruments.measure("mine", case, subject, answer).truth_distance == 0.0


def test_features_are_on_one_scale(instruments: Instruments) -> None:
    images = pictures(draw_avatars("test", 3), SIDE)
    features = instruments.features(images)
    torch.testing.assert_close(features.square().mean(1), torch.ones(3))
    torch.testing.assert_close(instruments.features(images[1:2]), features[1:2])


def test_likeness_is_the_cosine_of_each_picture_and_the_text() -> None:
    embedder = tiny_embedder()
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = text_likeness(embedder, "green hair", images)
    raw, text = embedder.image_features(images), embedder.text_features(["green hair"])
    expected = torch.nn.functional.cosine_similarity(raw, text)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    one = text_likeness(embedder, "green hair", images[1:2])
    torch.testing.assert_close(found[1:2], one, atol=1e-5, rtol=0)
