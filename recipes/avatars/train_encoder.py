"""Train the pack's encoder: natural avatars to latents of the finished generator.

The avatars' attributes are known, so the latent that the warm start gives them is known too; a
share of each batch is also rendered by the frozen generator and compared with the picture, which
teaches the deltas of W+.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from cfclip.encoders import LatentEncoder, LatentEncoderConfig, save_encoder
from cfclip.tensors import signed_from_uint8
from cfclip.training import Average, Stateful
from recipes.avatars.attribute_latents import attribute_inputs
from recipes.avatars.dataset import load_dataset
from recipes.avatars.stage_runs import (
    Run,
    cosine_lr,
    run_identity,
    set_lr,
    step_rng,
)
from recipes.avatars.warm_start import load_finished, regression_loss

_log = logging.getLogger(__name__)
_GRADIENT_NORM = 2.0


@dataclass(frozen=True)
class TrainEncoder:
    """Train the encoder of the pack."""

    data: Path
    """Folder of the natural avatars that the `render` command made."""
    generator: Path
    """Folder of the generator's training, its last stage finished."""
    out: Path
    """Folder of the run; the encoder is written to it."""
    steps: int = 3000
    """Optimizer steps."""
    batch: int = 48
    """Images per step."""
    pixel_images: int = 12
    """Images of each batch that are rendered and compared."""
    lr: float = 1.5e-3
    """Peak learning rate of AdamW."""
    pixel_weight: float = 2.0
    """Weight of the pixel error, beside the error of w."""
    delta_weight: float = 0.05
    """Weight of the deltas' size: what keeps the codes near W, where edits behave."""
    seed: int = 3
    """Seed of initialisation and sampling."""
    threads: int = 2
    """Processor threads."""

    def run(self) -> None:
        """Train."""
        train_encoder(self)


def train_encoder(config: TrainEncoder) -> None:
    """Run the stage; see `TrainEncoder`."""
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    data = load_dataset(config.data)
    codes, rgb = attribute_inputs(data.table)
    warm = load_finished(config.generator).eval().requires_grad_(False)
    generator = warm.generator
    known = warm.latents(codes, rgb)
    w_scale = known.std(0)
    encoder = LatentEncoder(
        LatentEncoderConfig(
            image_size=generator.resolution, num_ws=generator.num_ws, w_dim=generator.w_dim
        ),
        w_avg=generator.w_avg,
        w_scale=w_scale,
    )
    encoder.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=config.lr, weight_decay=0.01)
    average = Average(encoder, 0.998)
    parts: dict[str, Stateful] = {"encoder": encoder, "optimizer": optimizer, "average": average}
    run = Run(config.out, parts, config.steps, run_identity(config, "generator"))
    for step in run:
        rows = step_rng(config.seed, step).integers(len(data.images), size=config.batch)
        images = signed_from_uint8(torch.from_numpy(data.images[rows]))
        set_lr(optimizer, cosine_lr(step, config.steps, config.lr, warmup=100))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            w, deltas = encoder.predict(images.contiguous(memory_format=torch.channels_last))
            w, deltas = w.float(), deltas.float()
            ws = w.unsqueeze(1) + deltas
            rendered = generator.synthesis(ws[: config.pixel_images], noise_mode="none")
        latent = ((w - known[rows]) / w_scale).square().mean()
        error = rendered.float() - images[: config.pixel_images]
        pixels = regression_loss(error)
        size = (deltas / w_scale).square().mean()
        loss = latent + config.pixel_weight * pixels + config.delta_weight * size
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(encoder.parameters(), _GRADIENT_NORM)
        run.report(
            latent=latent.item(), pixels=pixels.item(), size=size.item(),
            mse=error.detach().square().mean().item(),
        )  # fmt: skip
        optimizer.step()
        average.update(encoder, step)
    if not run.finished:
        return
    encoder.load_state_dict(average.values)
    save_encoder(encoder.eval(), config.out / "encoder.safetensors", dtype=torch.float16)
    _log.info("wrote %s", config.out / "encoder.safetensors")
