"""The loop that descends on independent images: stopping, failures, independence."""

import math

import pytest
import torch
from torch import Tensor

from cfclip.errors import InputError
from cfclip.optim.descent import (
    COMPLETED,
    CONVERGED,
    INTERRUPTED,
    STOPPED,
    TOTAL,
    DescentStep,
    descend,
    learning_rate,
)
from cfclip.settings import DescentSettings


def bowls(values: Tensor, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Image i wants to be at i, where its objective is 1."""
    wanted = rows.to(values).unsqueeze(1)
    squares = (values - wanted).square().sum(1)
    return squares + 1, {"squares": squares}


SETTINGS = DescentSettings(steps=150, lr=0.5)


def test_every_image_reaches_its_minimum_and_the_history_has_both_ends() -> None:
    found = descend(torch.full((3, 2), 5.0), bowls, SETTINGS)
    torch.testing.assert_close(
        found.values, torch.arange(3.0).unsqueeze(1).expand(3, 2), atol=0.05, rtol=0
    )
    assert found.stop_reasons == (COMPLETED,) * 3
    assert found.steps == (150,) * 3
    assert [len(one[TOTAL]) for one in found.history] == [151] * 3
    assert found.history[0]["squares"][0] == 50.0


def test_the_result_is_where_the_last_recorded_objective_was() -> None:
    found = descend(torch.full((2, 2), 5.0), bowls, SETTINGS)
    totals, _ = bowls(found.values, torch.arange(2))
    assert totals.tolist() == [one[TOTAL][-1] for one in found.history]


def test_images_that_converged_are_frozen_and_the_loop_ends_with_the_last() -> None:
    start = torch.tensor([[0.0], [40.0]])
    counts: list[int] = []
    settings = DescentSettings(
        steps=1000, lr=0.5, ramp_up=0, ramp_down=0, tolerance=0.01, patience=10
    )
    found = descend(start, bowls, settings, lambda step: counts.append(step.running))
    assert found.stop_reasons == (CONVERGED, CONVERGED)
    assert counts[0] == 2
    assert counts[-1] == 1
    assert found.values[0].item() == 0.0
    assert len(counts) < 400
    alone = descend(start[:1], bowls, settings)
    assert alone.values[0].item() == found.values[0].item()
    assert alone.steps[0] == found.steps[0]


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_non_finite_objective_stops_its_image_alone(broken: float) -> None:
    calls = 0

    def failing(values: Tensor, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        nonlocal calls
        calls += 1
        totals, terms = bowls(values, rows)
        return torch.where((rows == 1) & (calls == 10), totals * 0 + broken, totals), terms

    start = torch.full((3, 2), 5.0)
    found = descend(start, failing, SETTINGS)
    assert found.stop_reasons[0] == found.stop_reasons[2] == COMPLETED
    assert "at step 9; kept the last good result, of step 8" in found.stop_reasons[1]
    reference = descend(start, bowls, SETTINGS)
    assert torch.equal(found.values[[0, 2]], reference.values[[0, 2]])
    last_good = bowls(found.values[1:2], torch.tensor([1]))[0].item()
    assert last_good == reference.history[1][TOTAL][8]
    assert found.history[1][TOTAL] == reference.history[1][TOTAL][:9]


def test_a_non_finite_gradient_stops_its_image_alone() -> None:
    def cusp(values: Tensor, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        totals, terms = bowls(values, rows)
        # sqrt has an infinite slope at 0, where image 0 begins
        return totals + values.square().sum(1).sqrt() * (rows == 0), terms

    found = descend(torch.tensor([[0.0], [5.0]]), cusp, SETTINGS)
    assert "gradient was not finite at step 0" in found.stop_reasons[0]
    assert found.values[0].item() == 0.0
    assert found.stop_reasons[1] == COMPLETED
    assert abs(found.values[1].item() - 1.0) < 0.05


def test_a_diverging_image_ends_at_its_best_values() -> None:
    settings = DescentSettings(steps=50, lr=1.2, optimizer="sgd", ramp_up=0, ramp_down=0)
    found = descend(torch.tensor([[1.0]]), bowls, settings)
    assert "diverged" in found.stop_reasons[0]
    assert found.values.item() == 1.0
    assert found.steps == (0,)


def test_plain_gradient_takes_the_step_of_the_definition() -> None:
    settings = DescentSettings(steps=1, lr=0.1, optimizer="sgd", ramp_up=0, ramp_down=0)
    found = descend(torch.tensor([[1.0]]), bowls, settings)
    assert found.values.item() == pytest.approx(1.0 - 0.1 * 2.0)


def test_keeping_the_best_returns_the_lowest_objective_seen() -> None:
    rising = DescentSettings(
        steps=6, lr=1.05, optimizer="sgd", ramp_up=0, ramp_down=0, keep_best=True
    )
    found = descend(torch.tensor([[1.0]]), bowls, rising)
    assert found.values.item() == 1.0
    assert found.steps == (0,)
    assert found.stop_reasons == (COMPLETED,)


def test_an_interrupt_keeps_what_was_reached() -> None:
    def interrupt(step: DescentStep) -> None:
        if step.step == 7:
            raise KeyboardInterrupt

    found = descend(torch.full((2, 2), 5.0), bowls, SETTINGS, interrupt)
    assert found.stop_reasons == (INTERRUPTED, INTERRUPTED)
    assert found.steps == (7, 7)
    totals, _ = bowls(found.values, torch.arange(2))
    assert totals.tolist() == [one[TOTAL][7] for one in found.history]


def test_a_callback_may_stop_and_its_errors_pass_through() -> None:
    found = descend(torch.ones(1, 1), bowls, SETTINGS, lambda step: step.step < 3)
    assert found.stop_reasons == (STOPPED,)
    assert found.steps == (3,)

    def fail(step: DescentStep) -> None:
        raise RuntimeError("preview window closed")

    with pytest.raises(RuntimeError, match="preview"):
        descend(torch.ones(1, 1), bowls, SETTINGS, fail)


def test_the_callback_sees_means_over_the_running_images() -> None:
    seen: list[DescentStep] = []
    descend(torch.full((2, 1), 3.0), bowls, SETTINGS, seen.append)
    assert seen[0].terms == {"squares": 6.5, TOTAL: 7.5}
    assert (seen[-1].step, seen[-1].steps) == (150, 150)


def test_the_schedule_rises_stays_and_falls() -> None:
    settings = DescentSettings(steps=200, lr=0.1, ramp_up=0.1, ramp_down=0.25)
    rates = [learning_rate(settings, step) for step in range(200)]
    assert rates[0] == pytest.approx(0.005)
    assert rates[19:151] == pytest.approx([0.1] * 132)
    assert 0 < rates[-1] < 1e-3
    assert learning_rate(settings, 200) == 0.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("lr", 0.0),
        ("lr", math.nan),
        ("optimizer", "adamw"),
        ("ramp_up", 1.5),
        ("ramp_down", -0.1),
        ("tolerance", -1.0),
        ("patience", -1),
    ],
)
def test_settings_outside_their_limits_are_named(name: str, value: object) -> None:
    fields: dict[str, object] = {"steps": 10, "lr": 0.1, name: value}
    with pytest.raises(InputError, match=f"{name} is {value!r}"):
        DescentSettings(**fields)  # type: ignore[arg-type]
