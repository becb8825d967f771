"""Train the pack's StyleGAN2 on natural avatars, in stages that each continue the one before.

`regress64`, `regress128`: synthesis and attribute embeddings together, image against image, first
at half resolution (twice as fast). `map`: W gets its final scale (see `standardise`) and the
mapping network learns z to W, with no images. The adversarial stage joins this table as a further
`Stage`.

Equalised learning rates keep the weights at unit variance, so that Adam needs rates ten times those
of an ordinary network: at 64 px, 25 seconds of training from nothing reached 14.1 dB at a rate of
3e-3, 17.0 at 1e-2, 18.5 at 3e-2 and 19.4 at 6e-2, and batches of 8 more than batches of 16.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cfclip.errors import InputError
from cfclip.files import atomic_write
from cfclip.generators.checkpoints import load_generator, save_generator
from cfclip.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from cfclip.tensors import signed_from_uint8
from cfclip.weights import load_tensors, read_tensors, save_tensors
from recipes.avatars.attribute_latents import (
    COORDINATES,
    AttributeLatents,
    LatentPrior,
    attribute_inputs,
)
from recipes.avatars.dataset import load_dataset
from recipes.avatars.renderer import face_weight
from recipes.avatars.runs import (
    Average,
    Run,
    Stateful,
    cosine_lr,
    run_identity,
    set_lr,
    step_rng,
)
from recipes.avatars.standardise import standardise

_log = logging.getLogger(__name__)

Stage = Literal["regress64", "regress128", "map"]
STAGES: tuple[Stage, ...] = ("regress64", "regress128", "map")
FACE_WEIGHT = 3.0
"""How much a pixel of the face counts: at equal weights 25 dB leaves faces blank, while 8 leaves
hair and clothes without outlines."""
_STATISTICS_SAMPLES = 20_000
GENERATOR_FILE = "generator.safetensors"
LATENTS_FILE = "attribute_latents.safetensors"
_LATENTS = "attribute latents"
_AVERAGE_FILE = "average.pt"


@dataclass(frozen=True)
class TrainGenerator:
    """Train one stage of the pack's generator."""

    data: Path
    """Folder of the natural avatars that the `render` command made."""
    out: Path
    """Folder of the whole training; each stage has its own subfolder."""
    stage: Stage = "regress64"
    """Stage to train; it starts from the finished stage before it."""
    start: tuple[Path, Path] | None = None
    """generator.safetensors and attribute_latents.safetensors of an earlier training to start from
    instead, such as those of the shipped pack and of the recipe's folder."""
    steps: int = 5000
    """Optimizer steps of this stage."""
    batch: int = 8
    """Images (or, for `map`, latents) per step."""
    lr: float = 6e-2
    """Peak learning rate of Adam."""
    resolution: int = 128
    """Side of the generated images."""
    channels: tuple[int, ...] = (128, 128, 96, 64, 32, 16)
    """Feature channels at 4, 8, ... pixels."""
    z_dim: int = 128
    """Width of z."""
    w_dim: int = 256
    """Width of W."""
    mapping_layers: int = 6
    """Layers of the mapping network."""
    seed: int = 2
    """Seed of initialisation and sampling."""
    threads: int = 2
    """Processor threads."""

    def __post_init__(self) -> None:
        if self.z_dim < COORDINATES:
            raise InputError(f"z_dim is {self.z_dim}, the attributes need at least {COORDINATES}")

    @property
    def sizes(self) -> StyleGAN2Config:
        """Sizes of the generator."""
        return StyleGAN2Config(
            resolution=self.resolution,
            z_dim=self.z_dim,
            w_dim=self.w_dim,
            mapping_layers=self.mapping_layers,
            channels=self.channels,
        )

    def run(self) -> None:
        """Train."""
        train_generator(self)


class WarmStart(nn.Module):
    """Generator and attribute embeddings, trained together by the regression stages."""

    def __init__(self, sizes: StyleGAN2Config) -> None:
        super().__init__()
        self.generator = StyleGAN2(sizes)
        self.latents = AttributeLatents(sizes.w_dim)

    def images(self, codes: Tensor, rgb: Tensor, resolution: int) -> Tensor:
        """Avatars from attributes."""
        ws = self.latents(codes, rgb).unsqueeze(1).expand(-1, self.generator.num_ws, -1)
        return self.generator.synthesis(ws, noise_mode="none", stop_at=resolution)


def pixel_weights(resolution: int) -> Tensor:
    """`(1, 1, resolution, resolution)`, mean 1: the face weighs `FACE_WEIGHT` times as much."""
    weights = torch.from_numpy(face_weight(FACE_WEIGHT, resolution))[None, None]
    return weights / weights.mean()


def _stage_folder(config: TrainGenerator, stage: Stage) -> Path:
    return config.out / stage


def load_stage(out: Path, stage: Stage, sizes: StyleGAN2Config) -> WarmStart:
    """The averaged result of a finished stage.

    Raises:
        InputError: that stage has not finished, or with other sizes.
    """
    path = out / stage / _AVERAGE_FILE
    _require(path, stage)
    model = WarmStart(sizes)
    try:
        model.load_state_dict(torch.load(path, weights_only=True))
    except RuntimeError as error:
        raise InputError(f"{path} has other sizes; give those of the stage before") from error
    return model


def load_start(generator: Path, latents: Path) -> WarmStart:
    """A warm start from the two files that a finished training leaves.

    Raises:
        CheckpointError: files that are missing, damaged or do not fit each other.
    """
    loaded = load_generator(generator)
    model = WarmStart(loaded.config)
    model.generator.load_state_dict(loaded.state_dict())
    load_tensors(model.latents, read_tensors(latents, _LATENTS)[0], str(latents))
    return model


def load_finished(out: Path) -> WarmStart:
    """The result of the whole training in `out`, in the sizes that it was trained with.

    Raises:
        InputError: the last stage has not finished.
    """
    path = out / STAGES[-1] / GENERATOR_FILE
    _require(path, STAGES[-1])
    return load_stage(out, STAGES[-1], load_generator(path).config)


def _require(path: Path, stage: Stage) -> None:
    if not path.exists():
        raise InputError(f"{path} is missing; train --stage {stage} to its end first")


def train_generator(config: TrainGenerator) -> None:
    """Run one stage; see `TrainGenerator`."""
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    position = STAGES.index(config.stage)
    if config.start is not None:
        model = load_start(*config.start)
    elif position:
        model = load_stage(config.out, STAGES[position - 1], config.sizes)
    else:
        model = WarmStart(config.sizes)
    if config.stage == "map":
        _train_mapping(config, model)
    else:
        _train_regression(config, model, min(64, config.resolution) if position == 0 else None)


def _finish(config: TrainGenerator, model: WarmStart) -> None:
    with atomic_write(_stage_folder(config, config.stage) / _AVERAGE_FILE) as temporary:
        torch.save(model.state_dict(), temporary)
    _log.info("finished stage %s of %s", config.stage, config.out)


def _train_regression(config: TrainGenerator, model: WarmStart, resolution: int | None) -> None:
    side = resolution or config.resolution
    data = load_dataset(config.data)
    codes, rgb = attribute_inputs(data.table)
    weights = pixel_weights(side)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr, betas=(0.9, 0.99))
    average = Average(model, 0.998)
    parts: dict[str, Stateful] = {"model": model, "optimizer": optimizer, "average": average}
    run = Run(_stage_folder(config, config.stage), parts, config.steps, run_identity(config))
    for step in run:
        rows = step_rng(config.seed, step).integers(len(codes), size=config.batch)
        truth = signed_from_uint8(torch.from_numpy(data.images[rows]))
        if truth.shape[-1] != side:
            truth = functional.avg_pool2d(truth, truth.shape[-1] // side)
        set_lr(optimizer, cosine_lr(step, config.steps, config.lr, warmup=100))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            images = model.images(codes[rows], rgb[rows], side)
        error = images.float() - truth
        # The absolute error keeps edges sharp, the square pulls down what is far off.
        loss = (weights * (error.abs() + error.square())).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        run.report(loss=loss.item(), mse=error.detach().square().mean().item())
        optimizer.step()
        average.update(model, step)
    if run.finished:
        model.load_state_dict(average.values)
        _finish(config, model)


def _train_mapping(config: TrainGenerator, model: WarmStart) -> None:
    table = load_dataset(config.data).table
    prior = LatentPrior(table)
    generator, latents = model.generator, model.latents.requires_grad_(False)
    standardise(generator, latents, attribute_inputs(table)[0], config.seed)
    mapping = generator.mapping_layers
    optimizer = torch.optim.Adam(mapping.parameters(), lr=config.lr, betas=(0.9, 0.99))
    average = Average(mapping, 0.999)
    parts: dict[str, Stateful] = {"mapping": mapping, "optimizer": optimizer, "average": average}
    run = Run(_stage_folder(config, config.stage), parts, config.steps, run_identity(config))
    for step in run:
        z = _draw_z(config, step)
        target = latents(*prior.attributes(z))
        set_lr(optimizer, cosine_lr(step, config.steps, config.lr, warmup=200))
        # Spread of W over a batch makes the loss a share of unexplained variance.
        w = generator.mapping(z)[:, 0]
        loss = (w - target).square().mean() / target.var(0).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        run.report(unexplained=loss.item())
        optimizer.step()
        average.update(mapping, step)
    if not run.finished:
        return
    mapping.load_state_dict(average.values)
    ws = torch.cat([generator.mapping(_draw_z(config, -1 - i))[:, 0].detach() for i in range(
        max(1, _STATISTICS_SAMPLES // config.batch))])  # fmt: skip
    generator.w_avg.copy_(ws.mean(0))
    _finish(config, model)
    folder = _stage_folder(config, "map")
    save_generator(generator.eval(), folder / GENERATOR_FILE)
    save_tensors(latents.state_dict(), folder / LATENTS_FILE, _LATENTS)
    with atomic_write(folder / "statistics.json") as temporary:
        temporary.write_text(json.dumps({"w_std": ws.std(0).mean().item()}))


def _draw_z(config: TrainGenerator, step: int) -> Tensor:
    # Seeds are not negative; the statistics after the training draw from their own range.
    rng = np.random.default_rng((config.seed, 1 if step < 0 else 0, abs(step)))
    return torch.from_numpy(rng.standard_normal((config.batch, config.z_dim), dtype=np.float32))
