"""Train the two attribute probes on open avatars, side by side on the same batches."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cfclip.tensors import signed_from_uint8
from cfclip.training import Average, Stateful
from cfclip_benchmark import ARCHITECTURES, Architecture, Probe, save_probe
from cfclip_benchmark.avatars import load_probes
from recipes.avatars import augment
from recipes.avatars.dataset import load_dataset
from recipes.avatars.labels import SMALL_PARTS, class_loss, soft_targets
from recipes.avatars.stage_runs import (
    Run,
    cosine_lr,
    run_identity,
    set_lr,
    step_rng,
)

_log = logging.getLogger(__name__)

_SOFTNESS = 0.25
"""Delta-E over which the share of a colour falls by a factor e: a probe that is asked what a colour
is should say so, and be unsure only at a border. At 1.5, a sixteenth of the clothes and backgrounds
of real avatars were read with a confidence under 0.8."""


@dataclass(frozen=True)
class TrainProbes:
    """Train the probes that read attributes back."""

    data: Path
    """Folder of the open avatars that the `render` command made."""
    out: Path
    """Folder of the run; the probes are written to it."""
    start: Path | None = None
    """Folder of two probes to go on from. Trained from nothing otherwise."""
    steps: int = 5000
    """Optimizer steps."""
    batch: int = 96
    """Images per step."""
    lr: float = 2e-3
    """Peak learning rate of AdamW."""
    seed: int = 1
    """Seed of initialisation, sampling and augmentation."""
    threads: int = 2
    """Processor threads."""

    def run(self) -> None:
        """Train."""
        train_probes(self)


def train_probes(config: TrainProbes) -> None:
    """Run the stage; see `TrainProbes`."""
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    data = load_dataset(config.data)
    targets = soft_targets(data.table, data.visibility, _SOFTNESS)
    classes = {name: shares.shape[1] for name, shares in targets.items()}
    weights = [SMALL_PARTS.get(name, 1.0) for name in targets]
    shares = torch.from_numpy(np.concatenate(list(targets.values()), 1))
    each: dict[Architecture, Probe] = (
        {a: Probe(classes, a) for a in ARCHITECTURES}
        if config.start is None
        else load_probes(config.start)
    )
    probes = nn.ModuleDict({str(name): probe for name, probe in each.items()})
    probes.to(memory_format=torch.channels_last).requires_grad_(True).train()
    optimizer = torch.optim.AdamW(probes.parameters(), lr=config.lr, weight_decay=0.02)
    average = Average(probes, 0.998)
    parts: dict[str, Stateful] = {"probes": probes, "optimizer": optimizer, "average": average}
    run = Run(config.out, parts, config.steps, run_identity(config))
    for step in run:
        rng = step_rng(config.seed, step)
        rows = rng.integers(len(data.images), size=config.batch)
        images = signed_from_uint8(torch.from_numpy(data.images[rows]))
        images = augment.perspective(images, 0.15, 0.5, config.seed, step)
        images = augment.degrade(images, 0.2, rng)
        images = augment.jpeg(images, 0.1, rng).contiguous(memory_format=torch.channels_last)
        set_lr(optimizer, cosine_lr(step, config.steps, config.lr, warmup=50))
        terms = {}
        for name in ARCHITECTURES:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = each[name](images)
            joined = torch.cat([logits[attribute].float() for attribute in classes], 1)
            shown = shares[torch.from_numpy(rows)]
            terms[name] = class_loss(joined, shown, [*classes.values()], weights)
        run.report(**{name: loss.item() for name, loss in terms.items()})
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()
        average.update(probes, step)
    if not run.finished:
        return
    probes.load_state_dict(average.values)
    for name in ARCHITECTURES:
        save_probe(each[name].eval(), config.out / f"{name}.safetensors")
    _log.info("wrote probes to %s", config.out)
