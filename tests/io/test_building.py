"""Models that are made for tensors: what their making may ask for, and what it leaves alone."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cfclip.errors import CheckpointError
from cfclip.io import build_with, building, shapes_of


class Scaled(nn.Module):
    """A layer of each way to draw weights, and a buffer that is not stored."""

    mask: Tensor

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, width) / 3)
        self.linear = nn.Linear(width, 2)
        self.embedding = nn.Embedding(5, width)
        self.register_buffer("mask", torch.full((3, 3), 7.0).triu_(1), persistent=False)


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    return {name: value.clone() for name, value in Scaled().state_dict().items()}


def test_all_that_is_stored_is_loaded_and_the_rest_is_made(tensors: dict[str, Tensor]) -> None:
    before = torch.get_rng_state()
    model = build_with(Scaled, tensors, "it")
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(model.mask, torch.full((3, 3), 7.0).triu(1))
    assert all(torch.equal(value, tensors[name]) for name, value in model.state_dict().items())


def asking_for(width: int) -> Callable[[], nn.Module]:
    return lambda: Scaled(width)


@pytest.mark.parametrize("width", [50_000, 1 << 40, 1 << 62])
def test_sizes_beyond_the_tensors_are_refused_before_memory_is_asked_for(
    width: int, tensors: dict[str, Tensor]
) -> None:
    with pytest.raises(CheckpointError, match=r"^it (does not fit|asks for sizes that no model)"):
        build_with(asking_for(width), tensors, "it")


def test_a_model_that_makes_more_than_it_stores(
    tensors: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "_SPARE", 0)
    monkeypatch.setattr(building, "_SHARE", 0)
    model = build_with(Scaled, tensors, "it")
    assert all(torch.equal(value, tensors[name]) for name, value in model.state_dict().items())


def test_tensors_may_be_fitted_to_the_names_of_the_model(tensors: dict[str, Tensor]) -> None:
    longer = {f"module.{name}": value for name, value in tensors.items()}
    model = build_with(
        Scaled,
        longer,
        "it",
        lambda shapes, given: {name: given[f"module.{name}"] for name in shapes},
    )
    assert torch.equal(model.weight, tensors["weight"])


def test_shapes_are_those_of_the_model(tensors: dict[str, Tensor]) -> None:
    assert shapes_of(Scaled, "it") == {name: tuple(v.shape) for name, v in tensors.items()}
