"""The training of a mapper: latents, a prompt for each, and gradients for the mapper alone."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cfclip.editors import BEST, LAST, EditTexts
from cfclip.embedders import Embedder
from cfclip.errors import InputError
from cfclip.generators import Generator
from cfclip.io import alone_in
from cfclip.losses import ObjectiveConfig
from cfclip.settings import ComputationSettings
from cfclip.tensors import mixed_seed
from cfclip.training.average import Average
from cfclip.training.board import Board
from cfclip.training.draws import Draws, Purpose
from cfclip.training.latents import LatentSets
from cfclip.training.learners import Learner
from cfclip.training.mapper_objective import TOTAL, Look, MapperObjective
from cfclip.training.optimizers import Schedule, make_optimizer
from cfclip.training.processes import ALONE, Processes
from cfclip.training.runs import CHECKPOINT_SECONDS, Run, RunCallback
from cfclip.training.saved_state import Stateful, writing
from cfclip.training.training_config import TrainingConfig

GRADIENT = "gradient"
VALIDATION = "validation"
EXTENDED = "extended"
"""Of a mapper that was trained for more steps after it had made all of them: after how many."""

_IMAGES_SHOWN = 8


@dataclass(frozen=True)
class Validation:
    """The averaged mapper on held-out latents.

    Attributes:
        terms: mean of each term, unweighted, and of `TOTAL`.
        sources, edited: the first few images `(n, 3, R, R)` before and after the edit; of several
            processes only the first has the first ones.
        prompts: their prompts.
    """

    terms: dict[str, float]
    sources: Tensor
    edited: Tensor
    prompts: tuple[str, ...]


@dataclass(frozen=True)
class TrainingOutcome:
    """What a training has come to."""

    step: int
    """Steps done."""
    finished: bool
    """Whether these are all."""
    best_step: int | None
    """Step of the best validation; None if there was none yet."""
    best_loss: float | None
    """Its loss."""
    curves: bool
    """Whether curves were written for tensorboard."""


@dataclass
class _Best:
    """The lowest validation loss so far; part of a checkpoint."""

    loss: float | None = None
    step: int | None = None

    def improves(self, loss: float, step: int) -> bool:
        if self.loss is not None and loss >= self.loss:
            return False
        self.loss, self.step = loss, step
        return True

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.loss, self.step = state["loss"], state["step"]


class MapperTrainer:
    """A mapper in training and all that its checkpoints hold.

    Training, validation and use all edit by the same method of the mapper. Prompts are embedded
    once; each step renders and embeds its sources once.

    Args:
        generator, embedder: on one device, in eval mode, without gradients; never changed.
        task: the prompts.
        latents: what is edited.
        config: the settings.
        learner: the mapper, and the texts that it reads.
        networks: of the terms that compare images by one, see `MapperObjective`.
        processes: those that share the work of each step.

    Attributes:
        learner: as given.
        mapper: in training.
        averaged: moving average of `mapper` as last validated; what is used and saved.

    Raises:
        InputError: a prompt that cannot be read, a term without its network, or more processes
            than latents in a batch.
    """

    def __init__(
        self,
        generator: Generator,
        embedder: Embedder,
        task: EditTexts,
        latents: LatentSets,
        config: TrainingConfig,
        learner: Learner,
        networks: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
        processes: Processes = ALONE,
    ) -> None:
        if config.batch < processes.count:
            raise InputError(
                f"batch is {config.batch}, which {processes.count} processes cannot share; give at "
                "least one latent for each, or start fewer"
            )
        self.processes = processes
        self.config = config
        self.task = task
        self.latents = latents
        self.objective = MapperObjective(generator, embedder, task, config, networks)
        self._device = generator.w_avg.device
        self._num_ws = generator.num_ws
        self._at_once = generator.images_at_once
        self.learner = learner
        self.mapper = learner.mapper.to(self._device).train().requires_grad_(True)
        self.averaged = deepcopy(self.mapper).eval().requires_grad_(False)
        self.average = Average(self.mapper, config.average)
        self.optimizer = make_optimizer(self.mapper.parameters(), config)
        self.schedule = Schedule(config.schedule(), self.optimizer)
        self.draws = Draws(config.seed)
        self.best = _Best()

    @property
    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint holds."""
        return {
            "mapper": self.mapper,
            "optimizer": self.optimizer,
            "average": self.average,
            "schedule": self.schedule,
            "random": self.draws,
            "best": self.best,
        }

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """The latents `(B, num_ws, w_dim)` of a step, and the places of each one's prompt and of
        the text that is read for it, `(B,)` each; see `Learner.draw`."""
        size, known = self.config.batch, len(self.latents.training)
        draws = self.draws.at(step)
        rows = torch.randint(known, (size,), generator=draws)
        prompts, texts = self.learner.draw(step, size, draws)
        return self._rows(self.latents.training, rows), prompts, texts

    def compute_gradients(self, step: int) -> dict[str, float]:
        """The gradients of a step, cut to `max_gradient`; returns the terms and their length.

        Both are those of the whole batch in every process. Raises `TrainingError` where another
        process has failed.
        """
        size = self.config.batch
        share = self.processes.share_of(size)
        latents, prompts, texts = (each[share.start : share.stop] for each in self.batch(step))
        source = self._look(latents)
        edited = self.learner.edit(self.mapper, latents, texts, source)
        seed = mixed_seed(self.config.seed, Purpose.PERSPECTIVES)
        # Images do not influence each other: the gradient of each one's latent is taken in turn,
        # and the features of large ones are not held together.
        leaf = edited.detach().requires_grad_()
        parts = []
        for rows in torch.arange(len(share)).split(self._at_once):
            identities = [share[row] for row in rows.tolist()]
            part, _, _ = self.objective(
                latents[rows], leaf[rows], prompts[rows], seed, step, identities, source.of(rows)
            )
            (part[TOTAL].sum() / size).backward()
            parts.append({name: value.detach() for name, value in part.items()})
        values = _joined(parts)
        self.optimizer.zero_grad()
        edited.backward(leaf.grad)
        gradients = [p.grad for p in self.mapper.parameters() if p.grad is not None]
        values = _placed(values, share, size)
        self.processes.add([*values.values(), *gradients])
        length = torch.nn.utils.clip_grad_norm_(
            self.mapper.parameters(), self.config.max_gradient or torch.inf
        )
        return {**_means(values), GRADIENT: float(length)}

    def update(self, step: int) -> None:
        """Change the mapper by the gradients of a step."""
        self.schedule.apply(step)
        self.optimizer.step()
        self.average.update(self.mapper, step)

    @torch.no_grad()
    def validate(self) -> Validation:
        """Put the moving average into `averaged` and measure it, under the same draws each time.

        The terms are those of all held-out latents in every process. Raises `TrainingError` where
        another process has failed.
        """
        self.averaged.load_state_dict(self.average.values)
        held = self.latents.validation
        # Too few to go round are looked at by everyone.
        processes = self.processes if len(held) >= self.processes.count else ALONE
        share = processes.share_of(len(held))
        # Each in turn; of more prompts than latents some, from first to last.
        places, known = torch.arange(len(held)), len(self.task.prompts)
        prompts = places % known if known <= len(held) else places * known // len(held)
        seed = mixed_seed(self.config.seed, Purpose.VALIDATION_PERSPECTIVES)
        parts: list[dict[str, Tensor]] = []
        shown: list[tuple[Tensor, Tensor]] = []
        for rows in torch.arange(share.start, share.stop).split(self._at_once):
            latents, asked = self._rows(held, rows), prompts[rows]
            source = self.objective.look(latents)
            texts = self.learner.texts_of(asked)
            edited = self.learner.edit(self.averaged, latents, texts, source)
            values, *images = self.objective(latents, edited, asked, seed, 0, rows.tolist(), source)
            parts.append(values)
            left = _IMAGES_SHOWN - sum(len(each) for each, _ in shown)
            if left > 0:
                shown.append((images[0][:left], images[1][:left]))
        edited, sources = (torch.cat(images) for images in zip(*shown, strict=True))
        values = _placed(_joined(parts), share, len(held))
        processes.add(list(values.values()))
        return Validation(
            terms=_means(values),
            sources=sources,
            edited=edited,
            prompts=tuple(self.task.prompts[prompt] for prompt in prompts[: len(edited)]),
        )

    def save(self, path: Path, metadata: Mapping[str, Any]) -> None:
        """Write `averaged` with what is to be known of it. Raises `TrainingError`."""
        if self.schedule.extended:
            metadata = {**metadata, EXTENDED: list(self.schedule.extended)}
        with writing(path) as temporary:
            self.learner.save(self.averaged, temporary, metadata)

    def _look(self, latents: Tensor) -> Look:
        """What latents look like before their edit."""
        parts = [self.objective.look(part) for part in latents.split(self._at_once)]
        return Look(*(torch.cat([vars(part)[name] for part in parts]) for name in vars(parts[0])))

    def _rows(self, latents: Tensor, rows: Tensor) -> Tensor:
        """Some of the latents, `(n, num_ws, w_dim)` on the device."""
        return latents[rows].to(self._device).expand(-1, self._num_ws, -1)


def train(
    trainer: MapperTrainer,
    out: Path,
    identity: Mapping[str, Any],
    metadata: Mapping[str, Any] | None = None,
    callback: RunCallback | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> TrainingOutcome:
    """Train until the steps are done or the callback returns False; resumes what is in `out`.

    Writes to `out`, each file whole or not at all: the checkpoint; `BEST`, the averaged mapper of
    the best validation; `LAST`, that of the end; a log; curves and images for tensorboard. Of
    several processes only the first reads and writes there.

    Args:
        trainer: what is trained.
        out: folder, made if needed.
        identity: all that decides the result, which a checkpoint must share to be resumed.
        metadata: of the mappers; step and validation are added.
        callback: called after each step.
        checkpoint_seconds: the most work that a power cut can lose.

    Raises:
        InputError: another training is at work in `out`, or nothing can be written there.
        CheckpointError: a checkpoint in `out` that is damaged or of another identity.
        TrainingError: a loss or gradient that is not finite, a file that cannot be written, or
            another process that failed; the last good checkpoint is kept.
    """
    processes, steps, every = trainer.processes, trainer.config.steps, trainer.config.validate_every
    metadata, best = metadata or {}, trainer.best
    with ExitStack() as stack:
        if processes.first:
            stack.enter_context(alone_in(out))
        run = Run(
            out,
            trainer.parts,
            steps,
            identity,
            callback,
            checkpoint_seconds,
            processes=processes,
            defaults={"settings": {**asdict(ObjectiveConfig()), **asdict(ComputationSettings())}},
        )
        board = stack.enter_context(closing(Board(out if processes.first else None, run.step)))
        for step in run:
            terms = trainer.compute_gradients(step)
            run.report(**terms)
            trainer.update(step)
            board.numbers("training", {**terms, "lr": trainer.schedule.rate}, step)
            done = step + 1
            if done % every and done < steps:
                continue
            validation = trainer.validate()
            loss = validation.terms[TOTAL]
            run.report(**{VALIDATION: loss})
            board.numbers(VALIDATION, validation.terms, step)
            board.images(validation.sources, validation.edited, step)
            board.text("prompts of the images", ", ".join(validation.prompts), step)
            if best.improves(loss, done) and processes.first:
                trainer.save(out / BEST, {**metadata, "step": done, VALIDATION: loss})
        trainer.averaged.load_state_dict(trainer.average.values)
        if processes.first:
            trainer.save(out / LAST, {**metadata, "step": run.step})
    return TrainingOutcome(run.step, run.finished, best.step, best.loss, board.available)


def _joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _placed(values: Mapping[str, Tensor], share: range, size: int) -> dict[str, Tensor]:
    """Values `(len(share),)` at their places in `(size,)`, zero elsewhere."""
    placed = {}
    for name, value in values.items():
        placed[name] = value.new_zeros(size)
        placed[name][share.start : share.stop] = value.detach()
    return placed


def _means(values: Mapping[str, Tensor]) -> dict[str, float]:
    means = torch.stack([value.mean() for value in values.values()]).tolist()
    return dict(zip(values, means, strict=True))
