"""Samples and the way between them."""

import numpy as np
import pytest
import torch
from tiny_models import sample_latents, tiny_generator
from torch import Tensor

from cfclip.tensors import unit
from recipes.avatars.measure_paths import (
    PATH_STEP,
    draw_codes,
    draw_samples,
    largest_step,
    probe_path_length,
    walk,
)


def test_samples_are_a_beginning_of_more_samples() -> None:
    generator = tiny_generator()
    few, more = draw_samples(generator, 3, seed=5), draw_samples(generator, 7, seed=5)
    # The batch may change the last bit of a float, hence of a pixel.
    assert float((few - more[:3]).abs().max()) <= 2 / 255 + 1e-6
    assert float((few - draw_samples(generator, 3, seed=6)).abs().max()) > 0.1
    levels = (few + 1.0) * 127.5
    torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0.0)


def test_codes_are_one_w_or_one_for_every_row() -> None:
    generator = tiny_generator()
    plain = draw_codes(generator, 4, np.random.default_rng(0))
    mixed = draw_codes(generator, 4, np.random.default_rng(0), mixed=True)
    assert plain.shape == mixed.shape == (4, generator.num_ws, generator.w_dim)
    assert bool((plain == plain[:, :1]).all())
    assert len(torch.unique(mixed.flatten(0, 1), dim=0)) == 4 * generator.num_ws
    # Each row is the mapping of a z.
    z = np.random.default_rng(0).standard_normal((4, generator.z_dim), dtype=np.float32)
    torch.testing.assert_close(plain, generator.mapping(torch.from_numpy(z)))


def test_path_length_is_the_squared_speed_of_the_features() -> None:
    generator = tiny_generator()
    start, end = sample_latents(generator, 6).chunk(2)
    at = torch.tensor([0.2, 0.5, 0.8])[:, None, None]

    def features(images: Tensor) -> Tensor:
        return images.flatten(1)

    found = probe_path_length(generator, features, start, end, at)
    exact = generator.double()

    def place(t: Tensor) -> Tensor:
        ws = start.double() + t * (end - start).double()
        return unit(features(exact.synthesis(ws).clamp(-1.0, 1.0)))

    middle = at.double() + PATH_STEP / 2
    _, speed = torch.autograd.functional.jvp(place, middle, torch.ones_like(middle))
    torch.testing.assert_close(found.double(), speed.square().sum(1), rtol=2e-3, atol=0.0)


def test_path_lengths_are_independent_and_zero_where_nothing_moves() -> None:
    generator = tiny_generator()
    start, end = sample_latents(generator, 6).chunk(2)
    at = torch.full((3, 1, 1), 0.4)

    def lengths(start: Tensor, end: Tensor, at: Tensor) -> Tensor:
        return probe_path_length(generator, lambda images: images.flatten(1), start, end, at)

    both = lengths(start, end, at)
    torch.testing.assert_close(lengths(start[1:2], end[1:2], at[1:2]), both[1:2], rtol=1e-2, atol=0)
    assert not lengths(start, start, at).any()
    # Features that are all zero have no direction, and no speed.
    blind = probe_path_length(generator, lambda x: 0.0 * x.flatten(1), start, end, at)
    assert not blind.any()


def test_a_walk_goes_from_one_end_to_the_other() -> None:
    generator = tiny_generator()
    start, end = sample_latents(generator, 2)
    images = walk(generator, start, end, 5)
    ends = generator.synthesis(torch.stack([start, end])).clamp(-1.0, 1.0)
    torch.testing.assert_close(images[[0, -1]], ends, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("places", "expected"),
    [([0, 1, 2, 3, 4], 1.0), ([0, 0, 4, 4, 4], 4.0), ([4, 3, 3, 3, 3], 4.0), ([2, 2, 2], 0.0)],
)
def test_largest_step_by_hand(places: list[float], expected: float) -> None:
    images = torch.tensor(places)[:, None, None, None] / 4 * torch.ones(3, 2, 2)
    assert largest_step(images) == pytest.approx(expected)
