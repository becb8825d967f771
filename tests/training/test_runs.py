"""The loop of any training: steps, progress, log, checkpoints, resume."""

import json
from pathlib import Path

import pytest
import torch
from tiny_training import PowerCut, cut_after, stop_after
from torch import Tensor, nn

from cfclip.errors import CheckpointError, InputError, TrainingError
from cfclip.io import atomic_write
from cfclip.optim import Progress
from cfclip.training import CHECKPOINT, LOG, Average, Run, RunCallback, read_log
from cfclip.training.draws import Draws

STEPS = 7


class Training:
    """A small network fitted to noise, with all that a training keeps."""

    def __init__(
        self,
        out: Path,
        callback: RunCallback | None = None,
        seconds: float = 1e9,
        **identity: object,
    ) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.1)
        self.average = Average(self.model, 0.9)
        self.draws = Draws(0)
        parts = {"model": self.model, "optimizer": self.optimizer, "average": self.average}
        self.run = Run(out, parts, STEPS, {"lr": 0.1, **identity}, callback, seconds)

    def train(self) -> "Training":
        for step in self.run:
            batch = torch.randn(5, 3, generator=self.draws.at(step))
            loss = self.model(batch).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.run.report(loss=loss.item())
            self.optimizer.step()
            self.average.update(self.model, step)
        return self

    def values(self) -> list[Tensor]:
        return [*self.model.state_dict().values(), *self.average.values.values()]


def same(found: Training, expected: Training) -> bool:
    return all(torch.equal(a, b) for a, b in zip(found.values(), expected.values(), strict=True))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Training:
    return Training(tmp_path_factory.mktemp("run")).train()


def test_a_stopped_run_resumes_bit_for_bit(tmp_path: Path, uninterrupted: Training) -> None:
    stopped = Training(tmp_path, stop_after(3)).train()
    assert (stopped.run.step, stopped.run.finished) == (3, False)
    resumed = Training(tmp_path)
    assert resumed.run.step == 3
    assert same(resumed, stopped)
    resumed.train()
    assert resumed.run.finished
    assert same(resumed, uninterrupted)


def test_a_power_cut_loses_what_came_after_the_checkpoint(
    tmp_path: Path, uninterrupted: Training
) -> None:
    with pytest.raises(PowerCut):
        Training(tmp_path, cut_after(4), seconds=0.0).train()
    resumed = Training(tmp_path)
    assert resumed.run.step == 4
    assert same(resumed.train(), uninterrupted)


def test_there_is_a_checkpoint_from_the_start(tmp_path: Path, uninterrupted: Training) -> None:
    with pytest.raises(PowerCut):
        Training(tmp_path, cut_after(2)).train()
    resumed = Training(tmp_path)
    assert resumed.run.step == 0
    assert same(resumed.train(), uninterrupted)


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    first = Training(tmp_path).train()
    again = Training(tmp_path, lambda progress: pytest.fail("a step was repeated")).train()
    assert again.run.finished
    assert same(again, first)


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    with atomic_write(tmp_path / CHECKPOINT) as partial:
        pass
    (tmp_path / CHECKPOINT).unlink()
    partial.write_bytes(b"half a file")
    Training(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    Training(tmp_path, stop_after(1), width=4).train()
    with pytest.raises(CheckpointError, match=r"\(width 4, now 5\)"):
        Training(tmp_path, width=5)


def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    def spoil(progress: Progress) -> None:
        if progress.step == 4:
            with torch.no_grad():
                training.model[0].weight.fill_(torch.inf)

    training = Training(tmp_path, spoil, seconds=0.0)
    with pytest.raises(TrainingError, match=r"loss became (nan|inf) at step 4 .*lower learning"):
        training.train()
    resumed = Training(tmp_path)
    assert resumed.run.step == 4
    assert all(bool(torch.isfinite(value).all()) for value in resumed.values())


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    def spoil_the_update(progress: Progress) -> None:
        if progress.step == 4:  # the loss of the next step is still finite
            training.optimizer.param_groups[0]["weight_decay"] = torch.inf

    training = Training(tmp_path, spoil_the_update, seconds=0.0)
    with pytest.raises(TrainingError, match="model, average became not finite at step 5"):
        training.train()
    assert Training(tmp_path).run.step == 4


def test_progress_estimates_the_time_left(tmp_path: Path) -> None:
    seen: list[Progress] = []
    Training(tmp_path, seen.append).train()
    assert [each.step for each in seen] == list(range(1, STEPS + 1))
    assert {each.steps for each in seen} == {STEPS}
    assert all(set(each.terms) == {"loss"} for each in seen)
    assert seen[0].seconds_left > 0
    assert seen[-1].seconds_left == 0


def test_the_log_tells_the_mean_of_each_term(tmp_path: Path) -> None:
    run = Run(tmp_path, {}, 2, {})
    for step in run:
        run.report(loss=float(step))
    (row,) = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert (row["step"], row["loss"]) == (2, 0.5)


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / LOG).mkdir()
    with pytest.raises(TrainingError, match=f"cannot write .*{LOG}: Is a directory"):
        Training(tmp_path).train()
    assert Training(tmp_path).run.step == 0


def test_no_steps_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="steps is 0, at least 1"):
        Run(tmp_path, {}, 0, {})


def test_a_log_is_read_without_the_steps_that_were_made_again(tmp_path: Path) -> None:
    steps = ((10, 3.0), (20, 2.0), (15, 2.5), (25, 1.5))
    lines = [json.dumps({"step": step, "loss": loss}) for step, loss in steps]
    (tmp_path / LOG).write_text("\n".join(lines))
    assert [(row["step"], row["loss"]) for row in read_log(tmp_path)] == [
        (10.0, 3.0),
        (15.0, 2.5),
        (25.0, 1.5),
    ]
    for text in ("{", "[1]", '{"loss": 1}', '{"step": "x"}'):
        (tmp_path / LOG).write_text(text)
        with pytest.raises(InputError, match="give the folder of a run"):
            read_log(tmp_path)
    (tmp_path / LOG).write_text("")
    with pytest.raises(InputError, match="has no lines yet"):
        read_log(tmp_path)
