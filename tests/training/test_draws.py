"""Random numbers that follow from the seed and the step alone."""

import torch

from cfclip.tensors import mixed_seed, seeded
from cfclip.training.draws import Draws, Purpose


def test_draws_follow_from_seed_and_step_alone() -> None:
    draws = Draws(3)
    first = torch.rand(4, generator=draws.at(5))
    torch.rand(100, generator=draws.at(2))
    assert torch.equal(torch.rand(4, generator=draws.at(5)), first)
    assert not torch.equal(torch.rand(4, generator=draws.at(6)), first)
    assert not torch.equal(torch.rand(4, generator=Draws(4).at(5)), first)


def test_the_state_is_that_of_the_generator() -> None:
    draws = Draws(3)
    torch.rand(4, generator=draws.at(5))
    again = Draws(9)
    again.load_state_dict(draws.state_dict())
    assert again.seed == 3
    assert torch.equal(
        torch.rand(3, generator=again.generator), torch.rand(3, generator=draws.generator)
    )


def test_purposes_and_seeds_share_no_numbers() -> None:
    seeds = {mixed_seed(seed, purpose) for seed in range(10) for purpose in Purpose}
    assert len(seeds) == 10 * len(Purpose)
    before = torch.get_rng_state()
    seeded(1, 2)
    assert torch.equal(torch.get_rng_state(), before)
