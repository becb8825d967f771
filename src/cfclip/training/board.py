"""Curves and image grids for tensorboard, if it is installed (the extra `train`).

Written here and now: the writer of torch and tensorboard has a thread of its own, which on a full
disk dies with a traceback.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cfclip.errors import TrainingError
from cfclip.tensors import unit_range_from_signed

FOLDER = "tensorboard"
"""Name of the folder in that of a run."""

_FORMAT = "brain.Event:2"


class Board:
    """Writes for tensorboard, or does nothing where it is not installed.

    Args:
        out: folder of the run; nothing is written without one.
        step: where the run goes on; tensorboard forgets what was written of later steps.

    Attributes:
        available: whether it writes.

    Raises:
        TrainingError: always when something cannot be written.
    """

    def __init__(self, out: Path | None, step: int) -> None:
        self._stream: Any = None
        if out is None:
            return
        try:
            # They take long to import.
            from tensorboard.compat.proto.event_pb2 import Event, SessionLog
            from tensorboard.summary.writer.record_writer import RecordWriter
            from torch.utils.tensorboard import summary
        except ImportError:
            return
        self._event, self._summary = Event, summary
        folder = out / FOLDER
        # The name that tensorboard looks for; numbered, as a run has one for each of its parts.
        self._path = folder / f"events.out.tfevents.{time.time_ns()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._stream = open(self._path, "ab", buffering=0)  # noqa: SIM115  # until close
        except OSError as error:
            raise self._failure(error) from error
        self._records = RecordWriter(self._stream)
        self._write(0, file_version=_FORMAT)
        self._write(step, session_log=SessionLog(status=SessionLog.START))

    @property
    def available(self) -> bool:
        return self._stream is not None

    def numbers(self, kind: str, values: Mapping[str, float], step: int) -> None:
        """Points of the curves `kind/name`."""
        if self.available:
            for name, value in values.items():
                self._write(step, summary=self._summary.scalar(f"{kind}/{name}", value))

    def images(self, sources: Tensor, edited: Tensor, step: int) -> None:
        """A grid of images `(n, 3, R, R)` in [-1, 1]: a row before, a row after the edit."""
        if self.available:
            rows = [torch.cat(list(images.cpu()), -1) for images in (sources, edited)]
            grid = unit_range_from_signed(torch.cat(rows, -2)).clamp(0.0, 1.0).numpy()
            self._write(step, summary=self._summary.image("validation", grid, dataformats="CHW"))

    def text(self, name: str, text: str, step: int) -> None:
        """A text that explains the rest."""
        if self.available:
            self._write(step, summary=self._summary.text(name, text))

    def close(self) -> None:
        """Nothing is written any more."""
        if self.available:
            self._stream.close()

    def _write(self, step: int, **content: Any) -> None:
        event = self._event(wall_time=time.time(), step=step, **content)
        try:
            self._records.write(event.SerializeToString())
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> TrainingError:
        return TrainingError(
            f"cannot write {self._path}: {error.strerror}; the last good checkpoint is kept, make "
            "room and resume"
        )
