"""Train the pack's StyleGAN2 on natural avatars, in stages that each continue the one before.

`regress64`, `regress128`: synthesis and attribute embeddings together, image against image, first
at half resolution (twice as fast). `map`: W gets its final scale (`standardise`) and the mapping
network is put together (`compile_mapping`), which takes seconds. `adversarial`: all of it, from z
to images (`train_adversarial`).

Equalised learning rates keep the weights at unit variance, so that Adam needs rates ten times those
of an ordinary network: at 64 px, 25 seconds of training from nothing reached 14.1 dB at a rate of
3e-3, 17.0 at 1e-2, 18.5 at 3e-2 and 19.4 at 6e-2, and batches of 8 more than batches of 16.
"""

import logging
from dataclasses import dataclass

import torch
from torch.nn import functional

from cfclip.tensors import signed_from_uint8
from cfclip.training import Average, Stateful
from recipes.avatars.attribute_latents import attribute_inputs
from recipes.avatars.compile_mapping import compile_mapping
from recipes.avatars.dataset import load_dataset
from recipes.avatars.generator_settings import GeneratorSettings
from recipes.avatars.latent_prior import LatentPrior
from recipes.avatars.stage_runs import (
    Run,
    cosine_lr,
    run_identity,
    set_lr,
    step_rng,
)
from recipes.avatars.standardise import standardise
from recipes.avatars.train_adversarial import train_adversarial
from recipes.avatars.warm_start import (
    STAGES,
    WarmStart,
    load_stage,
    load_start,
    regression_loss,
    save_generation,
    save_stage,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainGenerator(GeneratorSettings):
    """Train one stage of the pack's generator."""

    def run(self) -> None:
        """Train."""
        train_generator(self)


def train_generator(config: GeneratorSettings) -> None:
    """Run one stage; see `GeneratorSettings`."""
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
        _map(config, model)
    elif config.stage == "adversarial":
        train_adversarial(config, model)
    else:
        _train_regression(
            config, model, config.resolution if position else min(64, config.resolution)
        )


def _train_regression(config: GeneratorSettings, model: WarmStart, side: int) -> None:
    data = load_dataset(config.data)
    codes, rgb = attribute_inputs(data.table)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr, betas=(0.9, 0.99))
    average = Average(model, 0.998)
    parts: dict[str, Stateful] = {"model": model, "optimizer": optimizer, "average": average}
    run = Run(config.out / config.stage, parts, config.steps, run_identity(config))
    for step in run:
        rows = step_rng(config.seed, step).integers(len(codes), size=config.batch)
        truth = signed_from_uint8(torch.from_numpy(data.images[rows]))
        if truth.shape[-1] != side:
            truth = functional.avg_pool2d(truth, truth.shape[-1] // side)
        set_lr(optimizer, cosine_lr(step, config.steps, config.lr, warmup=100))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            images = model.images(codes[rows], rgb[rows], side)
        error = images.float() - truth
        loss = regression_loss(error)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        run.report(loss=loss.item(), mse=error.detach().square().mean().item())
        optimizer.step()
        average.update(model, step)
    if run.finished:
        model.load_state_dict(average.values)
        save_stage(config.out, config.stage, model)


def _map(config: GeneratorSettings, model: WarmStart) -> None:
    table = load_dataset(config.data).table
    standardise(model.generator, model.latents, attribute_inputs(table)[0], config.seed)
    left = compile_mapping(model.generator, model.latents, LatentPrior(table), config.seed)
    _log.info("the mapping leaves %.2f %% of the variance of W unexplained", 100 * left)
    save_generation(config.out, config.stage, model, config.seed)
