"""Curves and images for tensorboard, read back by tensorboard itself."""

from pathlib import Path

import pytest
import torch
from full_disk import room_for
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cfclip.errors import TrainingError
from cfclip.training.board import FOLDER, Board


def read(out: Path) -> EventAccumulator:
    events = EventAccumulator(str(out / FOLDER))
    events.Reload()
    return events


def test_tensorboard_reads_what_is_written(tmp_path: Path) -> None:
    board = Board(tmp_path, 0)
    assert board.available
    for step in range(3):
        board.numbers("training", {"total": 0.5 * step}, step)
    board.images(torch.zeros(4, 3, 16, 16), torch.ones(4, 3, 16, 16), 2)
    board.text("prompts", "green hair, blue skin", 2)
    board.close()
    events = read(tmp_path)
    assert [(e.step, e.value) for e in events.Scalars("training/total")] == [
        (0, 0.0),
        (1, 0.5),
        (2, 1.0),
    ]
    (image,) = events.Images("validation")
    assert (image.width, image.height) == (64, 32)
    assert "prompts/text_summary" in events.Tags()["tensors"]


def test_a_resumed_run_writes_over_the_steps_that_were_lost(tmp_path: Path) -> None:
    first = Board(tmp_path, 0)
    for step in range(5):
        first.numbers("training", {"total": 1.0}, step)
    first.close()
    second = Board(tmp_path, 3)
    second.numbers("training", {"total": 2.0}, 3)
    second.close()
    values = [(e.step, e.value) for e in read(tmp_path).Scalars("training/total")]
    assert values == [(0, 1.0), (1, 1.0), (2, 1.0), (3, 2.0)]


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    board = Board(tmp_path, 0)
    curves = {str(number): 1.0 for number in range(100)}
    with room_for(100), pytest.raises(TrainingError, match="File too large; the last good"):
        board.numbers("training", curves, 0)
    board.close()
