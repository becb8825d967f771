"""Checkpoints: whole or not at all, strict, and of their own run only."""

from pathlib import Path
from typing import Any

import pytest
import torch
from full_disk import room_for
from torch import nn

from cfclip.errors import CheckpointError, TrainingError
from cfclip.training.saved_state import (
    CHECKPOINT,
    FORMAT,
    read_checkpoint,
    write_checkpoint,
    writing,
)

IDENTITY = {
    "pack": "tiny",
    "prompts": ("green hair",),
    "settings": {"lr": 0.5, "groups": ("coarse", "fine")},
}


def network() -> nn.Module:
    return nn.Linear(30, 30)


def changed(identity: dict[str, Any] = IDENTITY, **settings: Any) -> dict[str, Any]:
    return {**identity, "settings": {**identity["settings"], **settings}}


def test_parts_come_back(tmp_path: Path) -> None:
    made, found = network(), network()
    write_checkpoint(tmp_path, IDENTITY, 7, {"mapper": made})
    # Tuples become lists in a file: that is no difference.
    assert read_checkpoint(tmp_path, IDENTITY, {"mapper": found}) == 7
    assert torch.equal(found.weight, made.weight)
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_what_differs_is_named(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, IDENTITY, 7, {})
    for other, message in (
        (changed(lr=0.1), "(lr 0.5, now 0.1)"),
        (changed(lr=0.1, steps=3), "(lr 0.5, now 0.1, steps None, now 3)"),
        ({**IDENTITY, "lr": 0.5}, "(lr None, now 0.5)"),  # not the one of the nested table
        ({**IDENTITY, "pack": "avatars"}, "(pack tiny, now avatars)"),
        ({**IDENTITY, "prompts": ["x" * 99]}, "(prompts ['green hair'], now ['xxx"),
    ):
        with pytest.raises(CheckpointError) as caught:
            read_checkpoint(tmp_path, other, {})
        assert message in str(caught.value)
        assert str(tmp_path / CHECKPOINT) in str(caught.value)
        assert "give the same settings, or start anew in another folder" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_more_steps_once_all_are_made(tmp_path: Path) -> None:
    identity = changed(steps=7)
    for done, steps, allowed in ((7, 9, True), (7, 5, False), (6, 9, False), (9, 9, False)):
        write_checkpoint(tmp_path, identity, done, {})
        if allowed:
            assert read_checkpoint(tmp_path, changed(steps=steps), {}) == done
        else:
            with pytest.raises(CheckpointError, match=rf"\(steps 7, now {steps}\)"):
                read_checkpoint(tmp_path, changed(steps=steps), {})


def test_a_setting_that_is_newer_than_the_checkpoint_has_its_default(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, IDENTITY, 7, {})
    defaults = {"settings": {"lr": 0.1, "new": 2.0}}
    assert read_checkpoint(tmp_path, changed(new=2.0), {}, defaults=defaults) == 7
    with pytest.raises(CheckpointError, match=r"\(new 2\.0, now 3\.0\)"):
        read_checkpoint(tmp_path, changed(new=3.0), {}, defaults=defaults)


def test_a_missing_one_is_no_error(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path, IDENTITY, {}) is None


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_half_written_one_is_refused(tmp_path: Path, share: float) -> None:
    write_checkpoint(tmp_path, IDENTITY, 7, {"mapper": network()})
    path = tmp_path / CHECKPOINT
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match=r"cannot be used \(.*\); remove it") as caught:
        read_checkpoint(tmp_path, IDENTITY, {"mapper": network()})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [{"format": "cfclip.training.v0"}, {"step": 3}, [1, 2], torch.zeros(3)]
)
def test_one_of_another_version_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / CHECKPOINT)
    with pytest.raises(CheckpointError, match="not a checkpoint of this version"):
        read_checkpoint(tmp_path, IDENTITY, {})


def test_parts_have_to_fit(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, IDENTITY, 7, {"mapper": network()})
    for parts in ({}, {"other": network()}, {"mapper": nn.Linear(2, 2)}):
        with pytest.raises(CheckpointError, match="cannot be used"):
            read_checkpoint(tmp_path, IDENTITY, parts)
    torch.save({"format": FORMAT, "step": 1}, tmp_path / CHECKPOINT)
    with pytest.raises(CheckpointError, match="it holds only format, step"):
        read_checkpoint(tmp_path, IDENTITY, {})


def test_a_state_that_is_not_finite_is_not_written(tmp_path: Path) -> None:
    good, bad = network(), network()
    write_checkpoint(tmp_path, IDENTITY, 1, {"mapper": good})
    with torch.no_grad():
        bad.weight[3, 4] = torch.inf
    with pytest.raises(
        TrainingError, match=r"mapper became not finite at step 2 .*good checkpoint"
    ):
        write_checkpoint(tmp_path, IDENTITY, 2, {"mapper": bad})
    assert read_checkpoint(tmp_path, IDENTITY, {"mapper": bad}) == 1
    assert torch.equal(bad.weight, good.weight)


def test_a_full_disk_keeps_the_last_one(tmp_path: Path) -> None:
    good = network()
    write_checkpoint(tmp_path, IDENTITY, 1, {"mapper": good})
    before = (tmp_path / CHECKPOINT).read_bytes()
    for room in (0, 100, len(before) - 1):
        with room_for(room), pytest.raises(TrainingError) as caught:
            write_checkpoint(tmp_path, IDENTITY, 2, {"mapper": network()})
        assert f"cannot write {tmp_path / CHECKPOINT}: File too large" in str(caught.value)
        assert "what was there is kept, make room and resume" in str(caught.value)
        assert (tmp_path / CHECKPOINT).read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]
    write_checkpoint(tmp_path, IDENTITY, 2, {"mapper": network()})  # room was made


def test_a_folder_that_went_away_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(TrainingError, match=r"cannot write .*No such file"),
        writing(tmp_path / "gone" / CHECKPOINT),
    ):
        pass
