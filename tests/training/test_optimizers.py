"""Ranger and AdamW, and the learning rate by step."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from cfclip.settings import DescentSettings
from cfclip.training import TrainingConfig
from cfclip.training.optimizers import Schedule, make_optimizer


def descend(optimizer: str, steps: int, lr: float = 0.05) -> list[float]:
    """Losses of a quadratic."""
    weights = nn.Parameter(torch.tensor([[1.0, -2.0], [3.0, 4.0]]))
    made = make_optimizer([weights], TrainingConfig(optimizer=optimizer, lr=lr))
    losses = []
    for _ in range(steps):
        loss = (weights - torch.tensor([[0.0, 1.0], [-1.0, 2.0]])).square().sum()
        losses.append(loss.item())
        made.zero_grad()
        loss.backward()
        made.step()
    return losses


@pytest.mark.parametrize("optimizer", ["ranger", "adamw"])
def test_optimizers_descend(optimizer: str) -> None:
    losses = descend(optimizer, 300)
    # Centralised gradients keep the mean of each row, which leaves a part of the loss.
    assert min(losses) < 0.9 * losses[0]
    assert losses[-1] < losses[0]


def test_the_first_steps_of_ranger_go_downhill() -> None:
    # pytorch_optimizer's own default takes them uphill.
    losses = descend("ranger", 5, lr=0.01)
    assert losses == sorted(losses, reverse=True)


def test_ranger_by_hand() -> None:
    """Before the variance is known: averaged, centralised gradient; every sixth step half-way."""
    weights = nn.Parameter(torch.tensor([[1.0, 3.0]]))
    made = make_optimizer([weights], TrainingConfig(lr=0.1))
    gradient = torch.tensor([[3.0, 1.0]])  # centralised: 1, -1
    for step in range(1, 7):
        weights.grad = gradient.clone()
        made.step()
        if step <= 5:
            expected = torch.tensor([[1.0 - 0.1 * step, 3.0 + 0.1 * step]])
            torch.testing.assert_close(weights.data, expected)
    state = made.state_dict()["state"][0]
    torch.testing.assert_close(weights.data, state["slow_buffer"])
    assert abs(weights[0, 0].item() - 0.75) < 0.01  # half-way from 1.0 to about 0.5
    (group,) = made.param_groups
    assert (group["betas"], group["eps"], group["k"], group["alpha"]) == (
        (0.95, 0.999),
        1e-5,
        6,
        0.5,
    )


def test_the_schedule_sets_and_remembers_the_rate() -> None:
    settings = DescentSettings(steps=10, lr=1.0, ramp_up=0.2, ramp_down=0.5)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=7.0)
    schedule = Schedule(settings, optimizer)
    rates = []
    for step in range(10):
        schedule.apply(step)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[-1] < 0.15
    other = Schedule(DescentSettings(steps=1, lr=1.0), optimizer)
    other.load_state_dict(schedule.state_dict())
    assert (other.settings, other.rate) == (settings, rates[-1])
    assert other.extended == ()
    longer = Schedule(replace(settings, steps=20), optimizer)
    longer.load_state_dict(schedule.state_dict())
    assert (longer.settings.steps, longer.extended) == (20, (10,))
    longest = Schedule(replace(settings, steps=30), optimizer)
    longest.load_state_dict(longer.state_dict())
    assert longest.extended == (10, 20)
