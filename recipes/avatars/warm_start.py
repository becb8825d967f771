"""What the stages of the generator's training share: the model, its files, and its pixel loss."""

import logging
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from cfclip.errors import InputError
from cfclip.generators import (
    StyleGAN2,
    StyleGAN2Config,
    load_generator_file,
    save_generator,
)
from cfclip.io import atomic_write, load_tensors, read_tensors, save_tensors
from cfclip_benchmark.avatars import face_weight
from recipes.avatars.attribute_latents import AttributeLatents

_log = logging.getLogger(__name__)

Stage = Literal["regress64", "regress128", "map", "adversarial"]
STAGES: tuple[Stage, ...] = ("regress64", "regress128", "map", "adversarial")
FACE_WEIGHT = 3.0
"""How much a pixel of the face counts: at equal weights 25 dB leaves faces blank, while 8 leaves
hair and clothes without outlines."""
GENERATOR_FILE = "generator.safetensors"
LATENTS_FILE = "attribute_latents.safetensors"
_LATENTS = "attribute latents"
_AVERAGE_FILE = "average.pt"
_STATISTICS_SAMPLES = 20_000


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


def regression_loss(error: Tensor) -> Tensor:
    """Mean over the pixels of `(batch, 3, side, side)` differences, the face weighing more.

    The absolute error keeps edges sharp, the square pulls down what is far off.
    """
    return (pixel_weights(error.shape[-1]) * (error.abs() + error.square())).mean()


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
    loaded = load_generator_file(generator)
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
    return load_stage(out, STAGES[-1], load_generator_file(path).config)


def save_stage(out: Path, stage: Stage, model: WarmStart) -> None:
    """Write the result of a stage for the next one."""
    (out / stage).mkdir(parents=True, exist_ok=True)
    with atomic_write(out / stage / _AVERAGE_FILE) as temporary:
        torch.save(model.state_dict(), temporary)
    _log.info("finished stage %s of %s", stage, out)


def save_generation(out: Path, stage: Stage, model: WarmStart, seed: int) -> None:
    """Write the result of a stage that goes from z to images, also as the pack's files.

    The mean of W is taken over samples of that seed.
    """
    generator = model.generator
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        w = generator.mapping(torch.randn(_STATISTICS_SAMPLES, generator.z_dim, generator=draws))[
            :, 0
        ]
        generator.w_avg.copy_(w.mean(0))
    save_stage(out, stage, model)
    save_generator(generator.eval(), out / stage / GENERATOR_FILE)
    save_tensors(model.latents.state_dict(), out / stage / LATENTS_FILE, _LATENTS)


def _require(path: Path, stage: Stage) -> None:
    if not path.exists():
        raise InputError(f"{path} is missing; train --stage {stage} to its end first")
