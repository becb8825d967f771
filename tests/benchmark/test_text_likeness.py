"""How like a text pictures are, and how far an edit went."""

import pytest
import torch
from tiny_models import tiny_embedder

from cfclip_benchmark.text_likeness import gained_share, text_likeness


def test_likeness_is_the_cosine_of_each_picture_and_the_text() -> None:
    embedder = tiny_embedder()
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = text_likeness(embedder, "green hair", images)
    raw, text = embedder.image_features(images), embedder.text_features(["green hair"])
    expected = torch.nn.functional.cosine_similarity(raw, text)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    one = text_likeness(embedder, "green hair", images[1:2])
    torch.testing.assert_close(found[1:2], one, atol=1e-5, rtol=0)


def test_the_share_is_of_mean_gains_and_may_exceed_one() -> None:
    source, truth = torch.tensor([0.1, 0.3]), torch.tensor([0.3, 0.3])
    assert gained_share(source, source, truth) == 0
    assert gained_share(source, truth, truth) == 1
    assert gained_share(source, truth + 0.1, truth) == pytest.approx(2)
