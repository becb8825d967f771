import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cfclip.errors import CheckpointError, InputError
from cfclip.training import Average
from recipes.avatars import stage_runs
from recipes.avatars.stage_runs import (
    CHECKPOINT,
    LOG,
    Run,
    cosine_lr,
    run_identity,
    set_lr,
    step_rng,
)

STEPS = 7


class Training:
    """A small network fitted to noise, with all that a stage keeps."""

    def __init__(self, out: Path, seconds: float = 1e9, **identity: object) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.1)
        self.average = Average(self.model, 0.9)
        parts = {"model": self.model, "optimizer": self.optimizer, "average": self.average}
        self.run = Run(out, parts, STEPS, {"lr": 0.1, **identity}, seconds)

    def train(self, before: Callable[[int], None] = lambda step: None) -> "Training":
        for step in self.run:
            before(step)
            batch = torch.from_numpy(step_rng(0, step).standard_normal((5, 3))).float()
            set_lr(self.optimizer, cosine_lr(step, STEPS, 0.1, warmup=2))
            loss = self.model(batch).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.run.report(loss=loss.item())
            self.optimizer.step()
            self.average.update(self.model, step)
        return self

    def values(self) -> list[Tensor]:
        return [*self.model.state_dict().values(), *self.average.values.values()]


class PowerCut(Exception):
    pass


def at(step: int, action: Callable[[], object]) -> Callable[[int], None]:
    return lambda now: action() if now == step else None  # type: ignore[return-value]


def cut() -> None:
    raise PowerCut


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> list[Tensor]:
    return Training(tmp_path_factory.mktemp("run")).train().values()


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == handlers


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_stopped_run_resumes_bit_for_bit(tmp_path: Path, uninterrupted: list[Tensor]) -> None:
    stopped = Training(tmp_path).train(at(2, terminate))
    assert (stopped.run.step, stopped.run.finished) == (3, False)  # the step at hand is finished
    resumed = Training(tmp_path)
    assert resumed.run.step == 3
    assert_same(resumed.values(), stopped.values())
    resumed.train()
    assert resumed.run.finished
    assert_same(resumed.values(), uninterrupted)


def test_ctrl_c_stops_like_a_termination(tmp_path: Path) -> None:
    stopped = Training(tmp_path).train(at(1, lambda: signal.raise_signal(signal.SIGINT)))
    assert (stopped.run.step, stopped.run.finished) == (2, False)


def test_a_power_cut_loses_what_came_after_the_checkpoint(
    tmp_path: Path, uninterrupted: list[Tensor]
) -> None:
    with pytest.raises(PowerCut):
        Training(tmp_path, seconds=0.0).train(at(4, cut))
    resumed = Training(tmp_path)
    assert resumed.run.step == 4
    assert_same(resumed.train().values(), uninterrupted)


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    first = Training(tmp_path).train()
    again = Training(tmp_path).train(lambda step: pytest.fail("a step was repeated"))
    assert again.run.finished
    assert_same(again.values(), first.values())


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    Training(tmp_path, width=4, seed=0).train(at(0, terminate))
    with pytest.raises(CheckpointError) as caught:
        Training(tmp_path, width=5, seed=0)
    message = str(caught.value)
    assert str(tmp_path / CHECKPOINT) in message
    assert "(width 4, now 5)" in message
    assert "give the same settings or another --out" in message
    assert "\n" not in message


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    Training(tmp_path).train()
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CheckpointError, match=r"cannot be read .*; remove it") as caught:
        Training(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    training = Training(tmp_path, seconds=0.0)

    def spoil() -> None:
        with torch.no_grad():
            training.model[0].weight.fill_(torch.inf)

    with pytest.raises(CheckpointError, match=r"loss became not finite at step 4 .*lower learning"):
        training.train(at(4, spoil))
    resumed = Training(tmp_path)
    assert resumed.run.step == 4
    assert all(bool(torch.isfinite(value).all()) for value in resumed.values())


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    training = Training(tmp_path, seconds=0.0)

    def spoil_the_update() -> None:
        for group in training.optimizer.param_groups:
            group["weight_decay"] = torch.inf  # the loss of this step is still finite

    with pytest.raises(CheckpointError, match="the weights or their averages became not finite"):
        training.train(at(4, spoil_the_update))
    assert Training(tmp_path).run.step == 4


def test_a_failed_write_keeps_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = Training(tmp_path).train(at(1, terminate))
    before = (tmp_path / CHECKPOINT).read_bytes()

    def fill_the_disk(state: object, path: Path) -> None:
        path.write_bytes(b"half a file")
        raise OSError("no space left on device")

    monkeypatch.setattr(stage_runs.torch, "save", fill_the_disk)
    with pytest.raises(OSError, match="no space"):
        training.run.save()
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [CHECKPOINT]


def test_the_log_tells_the_mean_of_each_term(tmp_path: Path) -> None:
    run = Run(tmp_path, {}, 2, {})
    for step in run:
        run.report(loss=float(step))
    (row,) = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert (row["step"], row["loss"]) == (2, 0.5)


def test_no_steps_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="steps is 0, at least 1"):
        Run(tmp_path, {}, 0, {})


def test_identity_leaves_out_what_may_change() -> None:
    @dataclass
    class Stage:
        data: Path
        out: Path
        generator: Path
        steps: int = 3
        threads: int = 2

    stage = Stage(Path("a"), Path("b"), Path("c"))
    assert run_identity(stage, "generator") == {"steps": 3}


def test_cosine_lr() -> None:
    # Up by a quarter a step, at the peak after four, half of it half way down, zero at the end.
    rates = [cosine_lr(step, 12, 2.0, warmup=4) for step in range(13)]
    assert rates[:5] == [0.5, 1.0, 1.5, 2.0, 2.0]
    assert rates[6] == pytest.approx(1.0 + 0.5**0.5)
    assert rates[8] == pytest.approx(1.0)
    assert rates[10] == pytest.approx(1.0 - 0.5**0.5)
    assert rates[12] == pytest.approx(0.0)
    assert cosine_lr(20, 12, 2.0, warmup=4) == pytest.approx(0.0)
    # A run that is shorter than its warm-up only warms up.
    assert cosine_lr(1, 2, 2.0, warmup=4) == 1.0


def test_set_lr_respects_the_scale_of_a_group() -> None:
    weights = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    groups = [{"params": weights[:1]}, {"params": weights[1:], "lr_scale": 0.01}]
    optimizer = torch.optim.Adam(groups, lr=1.0)
    set_lr(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.005]


def test_steps_and_seeds_draw_different_numbers() -> None:
    draws = [step_rng(seed, step).random() for seed in (0, 1) for step in (0, 1)]
    assert len(set(draws)) == 4
    assert step_rng(1, 1).random() == draws[3]
