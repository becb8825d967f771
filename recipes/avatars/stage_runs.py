"""One training run: a loop of numbered steps with progress, checkpoints and resume.

Every stage draws its data and augmentation from `step_rng(seed, step)`, so a run that was stopped
and resumed continues exactly as if it had never stopped, without any random state on disk.
"""

import json
import logging
import pickle
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cfclip.errors import CheckpointError, InputError
from cfclip.io import alone_in, atomic_write, remove_partials
from cfclip.training import Stateful, is_finite

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
_NOT_IDENTITY = ("out", "data", "threads")
"""Options of a stage that a resumed run may change."""
_log = logging.getLogger(__name__)


def run_identity(config: "DataclassInstance", *others: str) -> dict[str, Any]:
    """The options that a checkpoint must share: all but folders, threads and `others`."""
    left_out = {*_NOT_IDENTITY, *others}
    return {name: value for name, value in asdict(config).items() if name not in left_out}


def step_rng(seed: int, step: int) -> np.random.Generator:
    """The random numbers of one step of one run."""
    return np.random.default_rng((seed, step))


def cosine_lr(step: int, steps: int, peak: float, warmup: int) -> float:
    """Linear warm-up, then a cosine to zero at `steps`."""
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return float(0.5 * peak * (1.0 + np.cos(np.pi * min(1.0, progress))))


def _differences(made: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """`steps 100, now 200` for each setting that differs."""
    names = [name for name in {**made, **asked} if made.get(name) != asked.get(name)]
    return ", ".join(f"{name} {made.get(name)}, now {asked.get(name)}" for name in names)


class Run:
    """Iterate over the remaining steps of a stage, saving `parts` now and then.

    Args:
        out: folder of the run, made if needed.
        parts: named objects whose state is saved and restored.
        steps: total number of steps; the iteration starts where the last checkpoint stopped.
        identity: settings that a checkpoint must share to be resumed.
        checkpoint_seconds: the most work that a power cut can lose.

    A first Ctrl-C or SIGTERM ends the run after the current step, with a checkpoint; `finished`
    says afterwards whether all steps were done.

    Raises:
        InputError: fewer than one step; while iterating, another run at work in the folder.
        CheckpointError: a checkpoint of other settings or one that cannot be read; while
            iterating, a loss or state that is not finite.
    """

    def __init__(
        self,
        out: Path,
        parts: Mapping[str, Stateful],
        steps: int,
        identity: Mapping[str, Any],
        checkpoint_seconds: float = 180.0,
    ) -> None:
        if steps < 1:
            raise InputError(f"steps is {steps}, at least 1 is needed")
        self.out = out
        self.parts = dict(parts)
        self.steps = steps
        self.identity = json.loads(json.dumps(dict(identity), default=str))
        self.checkpoint_seconds = checkpoint_seconds
        self.step = 0
        self.finished = False
        self._terms: dict[str, list[float]] = {}
        self._stop = False
        out.mkdir(parents=True, exist_ok=True)
        if (out / CHECKPOINT).exists():
            self._resume()

    def _resume(self) -> None:
        path = self.out / CHECKPOINT
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, OSError, ValueError, EOFError, pickle.UnpicklingError) as error:
            reason = str(error).partition("\n")[0]
            raise CheckpointError(
                f"{path} cannot be read ({reason}); remove it to start again, or give another --out"
            ) from error
        if differences := _differences(state["identity"], self.identity):
            raise CheckpointError(
                f"{path} was made with other settings ({differences}); give the same settings or "
                "another --out"
            )
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        self.step = state["step"]
        _log.info("resumed %s at step %d of %d", self.out, self.step, self.steps)

    def save(self) -> None:
        """Write the checkpoint; the previous one stays until the new one is whole.

        Raises `CheckpointError`, and keeps the previous one, for a state that is not finite.
        """
        state = {
            "identity": self.identity,
            "step": self.step,
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
        }
        if not is_finite(state):
            # The loss was still finite: the last update was not.
            raise self._failure("the weights or their averages")
        with atomic_write(self.out / CHECKPOINT) as temporary:
            torch.save(state, temporary)

    def report(self, **terms: float) -> None:
        """Note the loss terms of this step; a non-finite one ends the run with an error."""
        for name, value in terms.items():
            if not np.isfinite(value):
                raise self._failure(name)
            self._terms.setdefault(name, []).append(value)

    def _failure(self, name: str) -> CheckpointError:
        return CheckpointError(
            f"{name} became not finite at step {self.step} of {self.out}, whose last good "
            "checkpoint is kept; start again with a lower learning rate in another --out"
        )

    def _write_log(self, speed: float) -> str:
        means = {name: float(np.mean(values)) for name, values in self._terms.items()}
        self._terms.clear()
        row = {"step": self.step, "steps_per_second": speed, **means}
        with open(self.out / LOG, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        return "  ".join(f"{name} {value:.4g}" for name, value in means.items())

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop = True

    def __iter__(self) -> Iterator[int]:
        with alone_in(self.out):
            remove_partials(self.out)
            yield from self._steps()

    def _steps(self) -> Iterator[int]:
        previous = {
            s: signal.signal(s, self._request_stop) for s in (signal.SIGINT, signal.SIGTERM)
        }
        console = Console(stderr=True)
        progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeRemainingColumn(), TextColumn("{task.fields[terms]}"),
            console=console, disable=not console.is_terminal,
        )  # fmt: skip
        saved = logged = time.monotonic()
        logged_step = self.step
        try:
            with progress:
                task = progress.add_task(
                    self.out.name, total=self.steps, completed=self.step, terms=""
                )
                while self.step < self.steps and not self._stop:
                    yield self.step
                    self.step += 1
                    now = time.monotonic()
                    progress.update(task, completed=self.step)
                    if now - logged > 15.0 or self.step == self.steps:
                        speed = (self.step - logged_step) / max(now - logged, 1e-9)
                        terms = self._write_log(speed)
                        progress.update(task, terms=terms)
                        if not console.is_terminal:
                            left = (self.steps - self.step) / max(speed, 1e-9) / 60.0
                            console.print(
                                f"{self.step}/{self.steps}  {left:.1f} min left  {terms}",
                                soft_wrap=True,
                            )
                        logged, logged_step = now, self.step
                    if now - saved > self.checkpoint_seconds:
                        self.save()
                        saved = time.monotonic()
                self.save()
                self.finished = self.step >= self.steps
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every parameter group the learning rate `lr` times its own `lr_scale` (default 1)."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)
