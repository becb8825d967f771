"""One training run: a loop of numbered steps with progress, a log, checkpoints and resume.

Whatever a step draws at random has to follow from its number, as `cfclip.training.draws` does: a
run that was stopped and resumed then continues exactly as if it had never stopped.
"""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from cfclip.errors import InputError, TrainingError, failing_to
from cfclip.io import FormatError, field_of, fit, named, parse_json, read_lines, remove_partials
from cfclip.optim import Progress
from cfclip.training.processes import ALONE, Processes
from cfclip.training.saved_state import Stateful, read_checkpoint, write_checkpoint

LOG = "log.jsonl"
LOG_SECONDS = 15.0
CHECKPOINT_SECONDS = 60.0


RunCallback = Callable[[Progress], bool | None]
"""Called after each step; returning False ends the run with a checkpoint, to be resumed."""


def logged_seconds(out: Path) -> float | None:
    """Seconds that the steps of a run took, by its log; None if it has none or cannot be read.

    Of a run that was cut off, steps after the last line of the log count at the speed of the next.
    """
    try:
        rows = _log_rows(out)
        steps = [0.0, *(row["step"] for row in rows)]
        took = [
            max(0, step - before) / row["steps_per_second"]
            for before, step, row in zip(steps, steps[1:], rows, strict=False)
        ]
    except (InputError, KeyError, ArithmeticError):
        return None
    return sum(took) if took else None


def read_log(out: Path) -> list[dict[str, float]]:
    """The lines of the log of a run by rising step: "step", "steps_per_second" and mean terms.

    Of steps that were made again, after the run was cut off, the last lines count.

    Raises:
        InputError: the folder has no log, or one that cannot be read.
    """
    rows: list[dict[str, float]] = []
    with named(out / LOG, "give the folder of a run"):
        for row in reversed(_log_rows(out)):
            if not rows or row["step"] < rows[-1]["step"]:
                rows.append(row)
    if not rows:
        raise InputError(f"{out / LOG} has no lines yet; wait until the run has written some")
    return rows[::-1]


def _log_rows(out: Path) -> list[dict[str, float]]:
    rows = []
    for number, line in read_lines(out / LOG):
        if isinstance(line, FormatError):
            raise line
        row = fit(parse_json(line), Mapping[str, float], f"line {number}")
        field_of(row, "step", float)
        rows.append(row)
    return rows


@dataclass
class Run:
    """Iterate over the remaining steps of a run, saving `parts` now and then.

    A checkpoint in the folder is resumed. The first one is written before the first step: that
    there is no room should not be found out after an hour.

    Args:
        out: folder of the run, made if needed.
        parts: named objects whose state is saved and restored.
        steps: total number of steps; the iteration starts where the last checkpoint stopped.
        identity: what a checkpoint must share to be resumed, as JSON values.
        callback: called after each step.
        checkpoint_seconds: the most work that a power cut can lose.
        log_seconds: a line of `LOG` tells the means of the terms over this time.
        processes: those that make the steps together; the first of them reads and writes.
        defaults: what an identity is taken to have that lacks it, see `read_checkpoint`.

    Attributes:
        step: steps done; inside the loop, the number of the step at hand.

    Raises:
        InputError: fewer than one step.
        CheckpointError: a checkpoint of other settings, or one that cannot be read.
        TrainingError: while iterating, a term or state that is not finite, a checkpoint that
            cannot be written, or another process that failed.
    """

    out: Path
    parts: Mapping[str, Stateful]
    steps: int
    identity: Mapping[str, Any]
    callback: RunCallback | None = None
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    log_seconds: float = LOG_SECONDS
    processes: Processes = ALONE
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InputError(f"steps is {self.steps}, at least 1 is needed")
        self._step_terms: dict[str, float] = {}
        self._logged_terms: dict[str, list[float]] = {}
        if self.processes.first:
            self.out.mkdir(parents=True, exist_ok=True)
            remove_partials(self.out)
        self._saved_step = read_checkpoint(
            self.out, self.identity, self.parts, self.processes, self.defaults
        )
        self.step = self._saved_step or 0

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.steps

    def save(self) -> None:
        """Write a checkpoint, unless there is one of this step or another process does."""
        if self.processes.first and self._saved_step != self.step:
            write_checkpoint(self.out, self.identity, self.step, self.parts)
            self._saved_step = self.step

    def report(self, **terms: float) -> None:
        """Note the loss terms of this step. Raises `TrainingError` for one that is not finite."""
        for name, value in terms.items():
            if not math.isfinite(value):
                raise TrainingError(
                    f"{name} became {value} at step {self.step} of {self.out}, whose last good "
                    "checkpoint is kept; start again with a lower learning rate in another folder"
                )
            self._logged_terms.setdefault(name, []).append(value)
        self._step_terms.update(terms)

    def __iter__(self) -> Iterator[int]:
        self.save()
        began = saved = logged = time.monotonic()
        first = logged_step = self.step
        goes_on = True
        while goes_on and not self.finished:
            self._step_terms = {}
            yield self.step
            self.step += 1
            now = time.monotonic()
            if now - logged >= self.log_seconds or self.finished:
                self._log((self.step - logged_step) / max(now - logged, 1e-9))
                logged, logged_step = now, self.step
            if now - saved >= self.checkpoint_seconds:
                self.save()
                saved = time.monotonic()
            goes_on = self._report_progress((now - began) / (self.step - first))
        self.save()

    def _report_progress(self, seconds_per_step: float) -> bool:
        """Whether the callback wants to go on, and those of the other processes too."""
        goes_on = True
        if self.callback is not None:
            left = (self.steps - self.step) * seconds_per_step
            progress = Progress(self.step, self.steps, self._step_terms, left)
            goes_on = self.callback(progress) is not False
        return self.processes.agree(goes_on)

    def _log(self, speed: float) -> None:
        means = {name: fmean(values) for name, values in self._logged_terms.items()}
        self._logged_terms.clear()
        if not self.processes.first:
            return
        row = {"step": self.step, "steps_per_second": speed, **means}
        remedy = "the last good checkpoint is kept, make room and resume"
        with (
            failing_to(f"write {self.out / LOG}", remedy, kind=TrainingError),
            open(self.out / LOG, "a", encoding="utf-8") as stream,
        ):
            stream.write(json.dumps(row) + "\n")
