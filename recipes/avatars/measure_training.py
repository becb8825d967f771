"""How good a text mapper is after how much training: its edits of held-out avatars."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cfclip.editing import Session, training_settings
from cfclip.editors import LAST, TextMapper, load_text_mapper
from cfclip.fitting import TrainingLatents, find_latents, train_mapper
from cfclip.io import atomic_write
from cfclip.optim import Progress
from cfclip.training import TrainingConfig
from cfclip.viewing import Point, Series, chart, svg_of
from recipes.avatars.evaluation import parse_settings
from recipes.avatars.held_out import find_edit, group_by_edit, held_out, mean_scores

_log = logging.getLogger(__name__)
CURVE_FILE = "curve.jsonl"
CHART_FILE = "curve.svg"
_DRAWN = ("success", "preservation", "exact")


@dataclass(frozen=True)
class MeasureTraining:
    """Train a text mapper and score it as it learns; the same command again goes on.

    Training stops to be scored and is resumed, which changes nothing about its weights.
    """

    pack: str
    """Name or folder of the pack."""
    natural: Path
    """Held-out natural avatars to edit."""
    out: Path
    """Folder of the run; `curve.jsonl` in it has a row for each time it was scored, which
    `curve.svg` shows."""
    prompts: tuple[str, ...] = ("green hair",)
    """Prompts of the benchmark that one mapper is trained for."""
    kept: Path = Path("runs/inversions")
    """Folder in which inversions of the avatars are kept."""
    start: Path | None = None
    """Earlier mapper to begin with."""
    avatars: int = 24
    """Avatars to edit with every prompt."""
    every: int = 100
    """Steps between two scores."""
    settings: tuple[str, ...] = ()
    """Settings of the training over the pack's, such as `steps=500 lr=1`."""
    threads: int = 2
    """Processor threads."""

    def run(self) -> None:
        """Train and score."""
        measure_training(self)


def measure_training(config: MeasureTraining) -> None:
    """Train in pieces of `config.every` steps and score after each; see `MeasureTraining`.

    Raises:
        InputError: a prompt that is none of the benchmark's.
    """
    torch.set_num_threads(config.threads)
    edits = [find_edit(prompt) for prompt in config.prompts]
    session = Session.open(config.pack)
    training = training_settings(session.pack.manifest, **parse_settings(config.settings))
    latents = find_latents(session, training)
    avatars = held_out(session, config.natural, config.avatars, config.kept)
    rows = _rows(config.out / CURVE_FILE)
    while not rows or rows[-1]["step"] < training.steps:
        step, seconds = _train(session, config, training, latents, bool(rows))
        mapper = load_text_mapper(config.out / LAST)
        groups = group_by_edit(
            edits,
            [
                avatars.score(
                    edit, _edited(session, mapper, avatars.inversion.latents, edit.prompt)
                )
                for edit in edits
            ],
        )
        spent = seconds + (rows[-1]["seconds"] if rows else 0.0)
        figures = {name: mean_scores(scores) for name, scores in groups.items() if scores}
        rows.append({"step": step, "seconds": spent, **figures})
        with atomic_write(config.out / CURVE_FILE) as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in rows))
        with atomic_write(config.out / CHART_FILE) as temporary:
            temporary.write_text(_chart(rows))
        _log.info("step %d, %.0f s of training: %s", step, spent, figures["all"])


def _chart(rows: Sequence[Mapping[str, Any]]) -> str:
    """Success, preservation and exact rate of all edits over the seconds of training, as SVG."""
    series = [
        Series(name, tuple(Point(row["seconds"], row["all"][name]) for row in rows))
        for name in _DRAWN
    ]
    return svg_of(chart(series, "seconds of training", "% of edits"))


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _train(
    session: Session,
    config: MeasureTraining,
    training: TrainingConfig,
    latents: TrainingLatents,
    resume: bool,
) -> tuple[int, float]:
    """One piece of the training: the step it came to, and its seconds."""

    def go_on(progress: Progress) -> bool:
        return progress.step % config.every != 0

    began = time.monotonic()
    trained = train_mapper(
        session,
        config.prompts,
        latents.sets,
        config.out,
        training,
        start=config.start,
        resume=resume,
        callback=go_on,
    )
    return trained.outcome.step, time.monotonic() - began


@torch.no_grad()
def _edited(session: Session, mapper: TextMapper, latents: Tensor, prompt: str) -> Tensor:
    codes = mapper.text_codes(session.embedder.text_features([prompt])[0])
    return session.generator.synthesis(mapper.edit(latents, codes))
