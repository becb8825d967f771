"""Several processes that train as one: the same curve, and no process waits for one that failed."""

import random
import signal
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_process import SPOILT, Ended, train_together
from tiny_training import assert_same_mappers, stop_after, tiny_config, tiny_generator, tiny_run

from cfclip.editors import BEST, LAST, text_mapper_metadata
from cfclip.errors import InputError
from cfclip.optim import Progress
from cfclip.training import CHECKPOINT, LOG, Launch, sampled_latents, shared_latents
from cfclip.training.board import FOLDER
from cfclip.training.processes import ALONE, JoinedProcesses, Processes, joined

# Three latents of a step and four to validate: shares of two processes that differ in size.
OPTIONS = {"steps": 9, "batch": 3, "validation": 5, "validate_every": 4, "lr": 5.0}
CLOSE = {"rtol": 0.0, "atol": 1e-4}


class Sharing(Processes):
    """One of several, without the others."""

    def __init__(self, index: int, count: int) -> None:
        self.index, self.count = index, count


def alone(out: Path, stop: int | None = None) -> list[dict[str, float]]:
    """The curve of a run, or of the rest of it, in this process."""
    curve: list[dict[str, float]] = []

    def watch(progress: Progress) -> bool:
        curve.append(progress.terms)
        return stop is None or bool(stop_after(stop)(progress))

    tiny_run(out, watch, **OPTIONS)
    return curve


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, float]]]:
    """A run of one process that was never stopped, and its curve."""
    out = tmp_path_factory.mktemp("whole")
    return out, alone(out)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Ended]]:
    """A run of two processes that was never stopped, and how they ended."""
    out = tmp_path_factory.mktemp("pair")
    return out, train_together(2, out, **OPTIONS).wait()


def assert_close(found: list[dict[str, float]], expected: list[dict[str, float]]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, rel=0.0, abs=1e-4)


def assert_close_mappers(found: Path, expected: Path) -> None:
    for name in (BEST, LAST):
        assert (
            text_mapper_metadata(found / name)["step"]
            == (text_mapper_metadata(expected / name)["step"])
        )
        one, other = load_file(found / name), load_file(expected / name)
        for key, value in other.items():
            torch.testing.assert_close(one[key], value, **CLOSE)


# Shares


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("size", [0, 1, 2, 5, 14])
def test_shares_are_the_whole_and_the_first_have_no_fewer(size: int, count: int) -> None:
    shares = [Sharing(index, count).share_of(size) for index in range(count)]
    assert [row for share in shares for row in share] == list(range(size))
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1
    assert sizes[0] == max(sizes)


def test_a_batch_has_a_latent_for_each() -> None:
    from tiny_training import tiny_trainer

    with pytest.raises(InputError, match="batch is 3, which 4 processes cannot share; give at"):
        tiny_trainer(batch=3, processes=Sharing(0, 4))


def test_one_process_is_alone_whatever_else_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert Launch.of_environment() == Launch(0, 1, 0)
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert Launch.of_environment() == Launch(0, 1, 0)
    monkeypatch.setenv("WORLD_SIZE", "many")
    assert Launch.of_environment() == Launch(0, 1, 0)
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert Launch.of_environment() == Launch(3, 4, 1)
    monkeypatch.setenv("WORLD_SIZE", "1")
    with joined("cpu") as found:
        assert found == (ALONE, "cpu")


def test_one_process_takes_nothing_from_accelerate() -> None:
    import subprocess

    from tiny_process import TESTS, environment

    code = (
        "import sys, tempfile; from pathlib import Path; from tiny_training import tiny_run\n"
        "tiny_run(Path(tempfile.mkdtemp()), steps=1); print('accelerate' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=TESTS,
        env=environment({}),
    )
    assert run.stdout == "False\n"


def test_devices_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for device in ("cuda:1", "mps"):
        with pytest.raises(InputError, match=f"device is '{device}', but 2 processes share out"):
            JoinedProcesses(Launch(0, 2, 0), device)
    with pytest.raises(InputError, match="process 2 on this machine has no GPU of its own"):
        JoinedProcesses(Launch(5, 8, 1), "cuda")


def test_accelerate_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(InputError, match=r"training on 2 processes needs accelerate \(pip install"):
        JoinedProcesses(Launch(0, 2, 0), "cpu")


def test_latents_of_one_process_are_handed_on_as_they_are() -> None:
    sets = sampled_latents(tiny_generator(), tiny_config())
    assert shared_latents(sets, ALONE) is sets


# Training


@pytest.mark.slow
def test_two_processes_have_the_curve_of_one(
    whole: tuple[Path, list[dict[str, float]]], pair: tuple[Path, list[Ended]]
) -> None:
    out, (first, second) = pair
    assert (first.status, second.status) == (0, 0), first.errors + second.errors
    assert_close(first.curve, whole[1])
    assert first.told == second.told  # bit for bit, the weights too
    assert_close_mappers(out, whole[0])
    names = {path.name for path in out.iterdir()}
    assert names == {CHECKPOINT, BEST, LAST, LOG, FOLDER}
    assert len(list((out / FOLDER).iterdir())) == 1
    assert len((out / LOG).read_text().splitlines()) == 1


@pytest.mark.slow
def test_another_number_of_processes_goes_on(
    tmp_path: Path, whole: tuple[Path, list[dict[str, float]]]
) -> None:
    fewer, more = tmp_path / "fewer", tmp_path / "more"
    # Stopped by one of them, both stop after that step.
    began = train_together(2, fewer, at_step=[1, 5, "stop"], **OPTIONS).wait()
    assert [each.status for each in began] == [0, 0]
    assert len(began[0].curve) == len(began[1].curve) == 5
    rest = alone(fewer)
    assert_close([*began[0].curve, *rest], whole[1])
    assert_close_mappers(fewer, whole[0])

    start = alone(more, stop=3)
    first, second = train_together(2, more, **OPTIONS).wait()
    assert (first.status, second.status) == (0, 0)
    assert_close([*start, *first.curve], whole[1])
    assert first.told == second.told
    assert_close_mappers(more, whole[0])


@pytest.mark.slow
def test_killed_and_resumed_is_as_never_killed(
    tmp_path: Path, pair: tuple[Path, list[Ended]]
) -> None:
    killed, step = random.randrange(2), random.randrange(1, OPTIONS["steps"])
    print("process", killed, "is killed after step", step)
    options = {**OPTIONS, "checkpoint_seconds": 0.0}
    ended = train_together(2, tmp_path, at_step=[killed, step, "kill"], **options).wait()
    assert ended[killed].status == -signal.SIGKILL
    other = ended[1 - killed]
    assert other.status == 2
    assert "another process of this training is gone; the last good checkpoint" in other.errors
    assert "Traceback" not in other.errors
    first, second = train_together(2, tmp_path, **options).wait()
    assert first.weights == second.weights == pair[1][0].weights
    assert_same_mappers(tmp_path, pair[0])


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 1])
def test_a_process_that_fails_ends_the_others(tmp_path: Path, index: int) -> None:
    ended = train_together(2, tmp_path, at_step=[index, 3, "fail"], **OPTIONS).wait()
    assert [each.status for each in ended] == [2, 2]
    assert ended[index].errors == f"error: {SPOILT}\n"
    assert ended[1 - index].errors == f"error: process {index + 1} of 2: {SPOILT}\n"
    assert [len(each.curve) for each in ended] == [3, 3]


@pytest.mark.slow
def test_what_is_not_finite_ends_all_alike(tmp_path: Path) -> None:
    ended = train_together(2, tmp_path, **{**OPTIONS, "lr": 1e9}).wait()
    assert [each.status for each in ended] == [2, 2]
    assert ended[0].errors == ended[1].errors
    assert "whose last good checkpoint is kept" in ended[0].errors
