"""The objectives of the pack's CLIP and of the probes."""

import math

import numpy as np
import pytest
import torch

from cfclip_benchmark.avatars import sample_table, visibility
from recipes.avatars.labels import class_loss, soft_targets
from recipes.avatars.train_clip import retrieval_loss


def truth(*rows: tuple[int, ...]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.int8)


def test_retrieval_is_a_softmax_over_the_false_images_and_one_true() -> None:
    logits = torch.tensor([[2.0], [1.0], [0.0]])
    found = retrieval_loss(logits, truth((1,), (0,), (0,)))
    assert float(found) == pytest.approx(-2 + math.log(math.exp(2) + math.exp(1) + 1))


def test_true_images_do_not_compete_with_each_other() -> None:
    logits = torch.tensor([[5.0], [-5.0], [0.0]])
    both = retrieval_loss(logits, truth((1,), (1,), (0,)))
    each = [retrieval_loss(logits[[i, 2]], truth((1,), (0,))) for i in (0, 1)]
    assert float(both) == pytest.approx(sum(map(float, each)) / 2)


def test_images_of_unknown_truth_do_not_count() -> None:
    logits = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    unknown = torch.cat([logits, torch.full((1, 2), 9.0)])
    known = truth((1, 0), (0, 1), (0, 0), (1, 0))
    assert torch.equal(
        retrieval_loss(unknown, torch.cat([known, truth((-1, -1))])), retrieval_loss(logits, known)
    )


def test_a_caption_that_nothing_contradicts_costs_nothing() -> None:
    assert float(retrieval_loss(torch.zeros(2, 1), truth((1,), (1,)))) == 0.0


def test_the_classes_of_one_attribute_compete_among_themselves() -> None:
    logits = torch.tensor([[0.0, 0.0, 100.0, 0.0, 0.0]])
    shares = torch.tensor([[0.0, 1.0, 1.0, 0.0, 0.0]])
    assert float(class_loss(logits, shares, [2, 3], [1.0, 1.0])) == pytest.approx(
        math.log(2) / 2, abs=1e-6
    )


def test_attributes_that_no_image_shows_are_left_out() -> None:
    shares = torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0]])
    assert float(class_loss(torch.zeros(2, 5), shares, [2, 3], [1.0, 1.0])) == pytest.approx(
        math.log(2)
    )


def test_images_that_do_not_show_an_attribute_do_not_count() -> None:
    logits = torch.tensor([[1.0, 0.0], [5.0, -5.0]])
    shares = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    alone = class_loss(logits[:1], shares[:1], [2], [1.0])
    assert float(class_loss(logits, shares, [2], [1.0])) == pytest.approx(float(alone))


def test_soft_targets_follow_the_distance_to_the_words() -> None:
    table = sample_table(300, "open", 0)
    seen = visibility(table)
    targets = soft_targets(table, seen)
    for name, shares in targets.items():
        labels = table.labels(name)
        known = seen[name] & (labels >= 0)
        assert (shares.argmax(1)[known] == labels[known]).all(), name
        assert np.allclose(shares.sum(1), seen[name]), name
    hair = targets["hair_colour"]
    assert 0 < hair[seen["hair_colour"]].min() < hair.max() < 1
