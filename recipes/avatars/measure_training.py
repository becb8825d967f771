"""How good a text mapper is after how much training: its edits of held-out avatars."""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cfclip.editors.text_mapper import LAST, TextMapper, load_text_mapper
from cfclip.embedders.base import Embedder
from cfclip.errors import InputError
from cfclip.evaluation.avatars import judges
from cfclip.evaluation.avatars.scores import (
    TEST_EDITS,
    VALIDATION_EDITS,
    Edit,
    EditScore,
    group_scores,
    score_edits,
    summarise,
)
from cfclip.files import atomic_write
from cfclip.mapper_training import FoundLatents, find_latents, train_mapper
from cfclip.session import Session
from cfclip.settings import edit_settings, projection_settings
from cfclip.training.config import TrainingConfig
from cfclip.training.runs import RunProgress
from recipes.avatars.bench import Bench, parse_settings
from recipes.avatars.dataset import load_dataset

_log = logging.getLogger(__name__)
CURVE_FILE = "curve.jsonl"


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
    """Folder of the run; `curve.jsonl` in it has a row for each time it was scored."""
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
    """Settings of the training over the defaults, such as `steps=500 lr=1`."""
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
    edits = [_edit(prompt) for prompt in config.prompts]
    session = Session.open(config.pack)
    training = TrainingConfig(**parse_settings(config.settings))
    latents = find_latents(session, training)
    scorer = _Scorer(session, config, edits)
    rows = _rows(config.out / CURVE_FILE)
    while not rows or rows[-1]["step"] < training.steps:
        step, seconds = _train(session, config, training, latents, bool(rows))
        mapper = load_text_mapper(config.out / LAST)
        groups = group_scores(edits, scorer.score(mapper))
        spent = seconds + (rows[-1]["seconds"] if rows else 0.0)
        figures = {name: summarise(scores) for name, scores in groups.items() if scores}
        rows.append({"step": step, "seconds": spent, **figures})
        with atomic_write(config.out / CURVE_FILE) as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in rows))
        _log.info("step %d, %.0f s of training: %s", step, spent, figures["all"])


def _edit(prompt: str) -> Edit:
    known = {edit.prompt: edit for edit in (*TEST_EDITS, *VALIDATION_EDITS)}
    if prompt not in known:
        raise InputError(f"{prompt!r} is not a prompt of the benchmark: {', '.join(known)}")
    return known[prompt]


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _train(
    session: Session,
    config: MeasureTraining,
    training: TrainingConfig,
    latents: FoundLatents,
    resume: bool,
) -> tuple[int, float]:
    """One piece of the training: the step it came to, and its seconds."""

    def go_on(progress: RunProgress) -> bool:
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


class _Scorer:
    """Held-out avatars, inverted once, and what is measured of a mapper's edits of them."""

    def __init__(self, session: Session, config: MeasureTraining, edits: Sequence[Edit]) -> None:
        manifest = session.pack.manifest
        natural = load_dataset(config.natural)
        probes = judges.load_probes()
        bench = Bench(
            session,
            probes,
            natural,
            natural,
            edit_settings(manifest),
            projection_settings(manifest),
            config.kept,
            seed=0,
        )
        config.kept.mkdir(parents=True, exist_ok=True)
        self.inversion, _ = bench.inverted(config.avatars)
        self.records = [natural.table.record(i) for i in range(config.avatars)]
        self.session, self.edits, self.probes = session, edits, list(probes.values())

    def score(self, mapper: TextMapper) -> list[list[EditScore]]:
        """By edit, the scores of the avatars."""
        embedder: Embedder = self.session.embedder
        source = self.inversion.reconstruction
        found = []
        for edit in self.edits:
            images = self._edited(mapper, embedder, edit.prompt)
            found.append(score_edits(edit, self.records, source, images, self.probes))
        return found

    @torch.no_grad()
    def _edited(self, mapper: TextMapper, embedder: Embedder, prompt: str) -> Tensor:
        codes = mapper.text_codes(embedder.text_features([prompt])[0])
        latents = self.inversion.latents
        return self.session.generator.synthesis(mapper.edit(latents, codes))
