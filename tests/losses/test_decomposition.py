"""Texts as sums of known texts."""

import pytest
import torch
from losses.embeddings import DIM, embeddings

from cfclip.errors import InputError
from cfclip.losses.aspects import SPARSITY, decompose
from cfclip.tensors import unit

KNOWN = embeddings(12, DIM, seed=1)


def test_a_known_text_is_made_of_itself():
    weights = decompose(KNOWN, KNOWN)
    assert torch.allclose(weights, torch.eye(len(KNOWN)).double() * (1 - SPARSITY), atol=0.02)


def test_the_weights_meet_the_conditions_of_an_optimum():
    sparsity = 0.05
    texts = unit(KNOWN[:4] + 0.7 * KNOWN[4:8] + 0.3 * embeddings(4, DIM, seed=2))
    weights = decompose(texts, KNOWN, sparsity)
    assert (weights >= 0).all()
    slope = (texts - weights @ KNOWN) @ KNOWN.T - sparsity
    assert (slope < 1e-6).all()
    assert slope[weights > 0].abs().max() < 1e-6


def test_each_text_is_decomposed_alone():
    texts = embeddings(5, DIM, seed=3)
    together = decompose(texts, KNOWN)
    for i in range(len(texts)):
        assert torch.allclose(together[i : i + 1], decompose(texts[i : i + 1], KNOWN))


def test_other_widths_are_named():
    with pytest.raises(InputError, match=r"known has shape \(12, 8\), expected \(rows, 7\)"):
        decompose(KNOWN[:, :7], KNOWN)
