"""Training a text mapper with a session: prompts, latents and a folder for the run."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cfclip.editing import (
    InversionCallback,
    Inversions,
    Session,
    face_warnings,
    open_mapper,
    projection_settings,
    training_settings,
)
from cfclip.editors import BEST, LAST, EditTexts, MapperEdit, TextMapper
from cfclip.embedders import check_prompt
from cfclip.encoders import ProjectionConfig
from cfclip.errors import InputError
from cfclip.features import NetworkFiles
from cfclip.images import check_outputs, list_pictures
from cfclip.photos import FaceConfig
from cfclip.training import (
    ALONE,
    CHECKPOINT,
    CHECKPOINT_SECONDS,
    LatentSets,
    Learner,
    MapperObjective,
    MapperTrainer,
    OpenLearner,
    OpenText,
    Processes,
    RunCallback,
    TextLearner,
    TrainingConfig,
    TrainingOutcome,
    latents_from_file,
    mapper_shape,
    sampled_latents,
    split_latents,
    train,
)
from cfclip.version import __version__

NO_NETWORKS = NetworkFiles()

_HASH_CHARACTERS = 16


@dataclass(frozen=True)
class TrainingLatents:
    """Latents, and what became of the pictures that they were inverted from."""

    sets: LatentSets
    pictures: int = 0
    """How many there were."""
    failures: tuple[str, ...] = ()
    """One line for each that could not be used."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainedMapper:
    """What a training has left."""

    file: Path
    """The mapper to use: the best, or the last if none was validated yet."""
    outcome: TrainingOutcome
    warnings: tuple[str, ...]


def find_latents(
    session: Session,
    config: TrainingConfig,
    source: str | Path | None = None,
    inversions: str | Path | None = None,
    projection: ProjectionConfig | None = None,
    callback: InversionCallback | None = None,
    face: FaceConfig | None = None,
) -> TrainingLatents:
    """The latents to train on: sampled, of a file, or of a folder of pictures, which are inverted.

    Args:
        session: whose generator they are for.
        config: how many to sample and to hold out; what it was made with goes over the pack's
            defaults.
        source: a latents file (see `cfclip.training.latents`) or a folder; sampled if not given.
        inversions: where inversions are kept, for a folder; needed then.
        projection: settings of the inversions; what it was made with goes over the pack's.
        callback: called after each picture.
        face: how a face is cut from each picture of a folder; they are taken as they are if not
            given.

    Raises:
        InputError: a file or folder that cannot be used, or has fewer than two usable latents, or
            faces to be cut from what is no folder of pictures.
        KeyboardInterrupt: Ctrl-C; finished inversions are kept.
    """
    config = training_settings(session.pack.manifest, config=config)
    if face is not None and face.chosen and (source is None or not Path(source).is_dir()):
        raise InputError(
            "faces can be cut from photos only; give a folder of them (--latents), or leave out "
            "--align and --landmarks"
        )
    if source is None:
        return TrainingLatents(sampled_latents(session.generator, config))
    source = Path(source)
    if not source.is_dir():
        return TrainingLatents(latents_from_file(source, session.generator, config))
    if inversions is None:
        raise InputError("no folder for the inverted pictures; give inversions")
    chosen = projection_settings(session.pack.manifest, projection)
    listing = list_pictures(source)
    pictures = {path.name: path for path in listing.pictures}
    store = Inversions(session, inversions, chosen, face)
    inverted, failures = store.invert_all(pictures, callback)
    failures += filter(None, [listing.complaint])
    latents = [each.latents for each in inverted.values()]
    if len(latents) < 2 and failures:
        raise InputError(
            f"{len(latents)} of the {len(pictures)} pictures in {source} could be used, at least 2 "
            f"are needed; the first that failed: {failures[0]}"
        )
    stacked = torch.stack(latents)
    poor = sum(each.psnr < chosen.warn_below_psnr for each in inverted.values())
    warning = f"{poor} of {len(latents)} pictures could not be reproduced well"
    return TrainingLatents(
        split_latents(stacked, f"pictures ({_digest(stacked)})", config),
        len(pictures),
        tuple(failures),
        (*face_warnings(inverted, face), *((warning,) if poor else ())),
    )


def check_training(
    session: Session,
    prompts: Sequence[str] | Sequence[OpenText],
    out: str | Path,
    config: TrainingConfig,
    start: str | Path | None = None,
    resume: bool = False,
    networks: NetworkFiles = NO_NETWORKS,
) -> tuple[str, ...]:
    """What of a training can be checked before its latents are there; the arguments are those of
    `train_mapper`.

    Returns:
        warnings, one line each.

    Raises:
        InputError: a prompt that cannot be read, a weight without its network, a folder that
            cannot be written, that holds a run and not `resume`, `resume` without a run, or a
            `start` that does not fit.
        CheckpointError: a `start` that is missing, damaged or for other models, or such a network.
    """
    config = training_settings(session.pack.manifest, config=config)
    _check_folder(Path(out), resume)
    if config.mapper == "open":
        _check_open(prompts, start)
    task, begun = _task(session, prompts), _begun(session, start)
    generator, embedder = session.generator, session.embedder
    terms = networks.load(config.weights(), session.device)
    MapperObjective(generator, embedder, task, config, terms)
    if config.mapper != "open":
        mapper_shape(generator, embedder, config, _first(begun))
    return _warnings(session, task, begun)


def _check_open(prompts: Sequence[str] | Sequence[OpenText], start: str | Path | None) -> None:
    if start is not None:
        raise InputError("an open mapper starts from the pack's text map; leave out --start")
    if not all(isinstance(each, OpenText) for each in prompts):
        raise InputError(
            "an open mapper learns the texts of the pack's aspects, no others; leave out --text "
            "(cfclip train --open)"
        )


def _check_folder(out: Path, resume: bool) -> None:
    checkpoint = out / CHECKPOINT
    check_outputs([checkpoint], overwrite=True)
    if checkpoint.exists() and not resume:
        raise InputError(
            f"{out} holds a training already; go on with it (--resume) or give another folder"
        )
    if resume and not checkpoint.exists():
        raise InputError(f"there is no training in {out} to resume; start one without --resume")


def train_mapper(
    session: Session,
    prompts: Sequence[str] | Sequence[OpenText],
    latents: LatentSets,
    out: str | Path,
    config: TrainingConfig | None = None,
    *,
    start: str | Path | None = None,
    resume: bool = False,
    networks: NetworkFiles = NO_NETWORKS,
    callback: RunCallback | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    processes: Processes = ALONE,
) -> TrainedMapper:
    """Train one mapper for one or several prompts, or for any.

    Args:
        session: whose pack the mapper is for.
        prompts: each an edit of its own, each once; of an open mapper the texts that it learns, of
            `open_texts`.
        latents: as `find_latents` gives them.
        out: folder of the run, made if needed; see `cfclip.training.trainer.train`.
        config: the settings; what it was made with goes over the pack's defaults.
        start: an earlier mapper (file or folder of a run) whose weights this one begins with, such
            as one for fewer prompts. What it knew and `prompts` does not name fades.
        resume: go on with the run in `out`, which has to have the same prompts, latents, models
            and settings, but for more steps if it is finished; it comes to the same weights as if
            it had never stopped, bit for bit if as many processes go on.
        networks: files of the networks whose terms have a weight in `config`.
        callback: called after each step; returning False ends the run, to be resumed.
        checkpoint_seconds: the most work that a power cut can lose.
        processes: those that share the work, each with a session and the same arguments (see
            `cfclip.training.processes.joined`); the first reads and writes `out`.

    Raises:
        InputError: as in `check_training`, a `start` that does not fit, or more processes than
            latents in a batch.
        CheckpointError: a checkpoint or start that is damaged or was made with other settings.
        TrainingError: a loss or gradient that is not finite, a full disk, or another process that
            failed; the last good checkpoint is kept.
    """
    config = training_settings(session.pack.manifest, config=config)
    out = Path(out)
    if processes.first:
        _check_folder(out, resume)
    task, begun = _task(session, prompts), _begun(session, start)
    trainer = MapperTrainer(
        session.generator,
        session.embedder,
        task,
        latents,
        config,
        _learner(session, task, config, prompts, latents, _first(begun)),
        networks.load(config.weights(), session.device),
        processes,
    )
    identity = _identity(session, task, latents, config, begun)
    if networks.given:
        identity["networks"] = networks.hashes()
    outcome = train(trainer, out, identity, identity, callback, checkpoint_seconds)
    warnings = _warnings(session, task, begun)
    if trainer.schedule.extended and (config.ramp_up or config.ramp_down):
        warnings += (
            f"a finished training of {trainer.schedule.extended[-1]} steps was extended: its "
            f"learning rate had fallen and rose again, so this is not the mapper of {config.steps} "
            "steps at once (which --ramp-up 0 --ramp-down 0 gives)",
        )
    if not outcome.curves:
        warnings += (
            "there are no curves: tensorboard is missing or does not load (pip install "
            "'cfclip[train]')",
        )
    file = out / (BEST if outcome.best_step is not None else LAST)
    return TrainedMapper(file, outcome, warnings)


def _learner(
    session: Session,
    task: EditTexts,
    config: TrainingConfig,
    prompts: Sequence[str] | Sequence[OpenText],
    latents: LatentSets,
    first: TextMapper | None,
) -> Learner:
    models = (session.generator, session.embedder, task, config)
    if config.mapper != "open":
        return TextLearner(*models, first)
    pack = session.pack
    texts = [each for each in prompts if isinstance(each, OpenText)]
    text_map = pack.text_map(session.device) if pack.has_text_map else None
    return OpenLearner(*models, texts, latents.training, text_map, pack.mapped_models)


def _begun(session: Session, start: str | Path | None) -> MapperEdit | None:
    """The mapper to start from."""
    return None if start is None else open_mapper(session.pack, start, session.device)


def _first(begun: MapperEdit | None) -> TextMapper | None:
    """The weights to start from. Raises `InputError` for a mapper that takes no text."""
    if begun is None:
        return None
    if isinstance(begun.mapper, TextMapper):
        return begun.mapper
    raise InputError("the mapper to start from takes no text (StyleCLIP); start from another one")


def _warnings(session: Session, task: EditTexts, begun: MapperEdit | None) -> tuple[str, ...]:
    warnings = session.pack.text_warnings(task.prompts)
    lost = [p for p in begun.prompts if p not in task.prompts] if begun is not None else []
    if lost:
        warnings += (
            f"{len(lost)} prompts of the mapper to start from are not trained any more and will "
            f"fade, {lost[0]!r} first",
        )
    return warnings


def _task(session: Session, prompts: Sequence[str] | Sequence[OpenText]) -> EditTexts:
    manifest = session.pack.manifest
    texts = (each.prompt if isinstance(each, OpenText) else each for each in prompts)
    return EditTexts(
        prompts=tuple(check_prompt(text) for text in texts),
        source_text=manifest.source_text,
        templates=manifest.templates,
        unrealistic_text=manifest.unrealistic_text,
        aspects=manifest.aspects,
    )


def _identity(
    session: Session,
    task: EditTexts,
    latents: LatentSets,
    config: TrainingConfig,
    begun: MapperEdit | None,
) -> dict[str, Any]:
    """All that decides a training: what a checkpoint must share, and what a mapper tells."""
    manifest = session.pack.manifest
    return {
        "cfclip": __version__,
        "pack": manifest.name,
        "pack_version": manifest.version,
        "models": session.pack.mapped_models,
        **asdict(task),
        "latents": latents.origin,
        "start": None if begun is None else begun.origin["sha256"],
        "settings": asdict(config),
    }


def _digest(latents: Tensor) -> str:
    return hashlib.sha256(latents.numpy().tobytes()).hexdigest()[:_HASH_CHARACTERS]
