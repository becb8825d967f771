"""Models of random weights, of the sizes of published ones or smaller.

Weights change neither time nor memory, as long as nothing is left out for them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from cfclip.editors import TextMapper
from cfclip.embedders import ClipEmbedder, build_clip_model
from cfclip.generators import START_RESOLUTION, StyleGAN2, StyleGAN2Config
from cfclip.tensors import seeded
from cfclip.training import TrainingConfig, mapper_shape
from cfclip_benchmark.speed.speed_plan import Plan

_CHANNELS_AT_SIDE_1 = 32_768
"""Of config-f of StyleGAN2 (Karras et al. 2020), which has fewer the larger the side."""
_SPREAD = 0.1
"""Of biases and noise: a generator without noise leaves out a part of the work."""

_VOCABULARY = 49_408
_CLIPS: dict[str, dict[str, Any]] = {
    "ViT-B-32": {
        "embed_dim": 512,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32},
        "text_cfg": {
            "context_length": 77,
            "vocab_size": _VOCABULARY,
            "width": 512,
            "heads": 8,
            "layers": 12,
        },
    },
    "tiny": {
        "embed_dim": 64,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16},
        "text_cfg": {
            "context_length": 77,
            "vocab_size": _VOCABULARY,
            "width": 64,
            "heads": 1,
            "layers": 1,
        },
    },
}
_IMAGE_MEAN, _IMAGE_DEVIATION = (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)


def generator_sizes(plan: Plan) -> StyleGAN2Config:
    """Those of config-f at a resolution, with no more than the width's channels.

    Raises `InputError` for a resolution that StyleGAN2 does not have.
    """
    levels = max(plan.resolution // START_RESOLUTION, 1).bit_length()
    sides = [START_RESOLUTION << level for level in range(levels)]
    return StyleGAN2Config(
        resolution=plan.resolution,
        channels=tuple(min(plan.width, _CHANNELS_AT_SIDE_1 // side) for side in sides),
        z_dim=plan.width,
        w_dim=plan.width,
    )


def random_generator(plan: Plan) -> StyleGAN2:
    """A generator of the plan's sizes on its device."""
    with _same_draws():
        generator = StyleGAN2(generator_sizes(plan))
        for name, parameter in generator.named_parameters():
            of_conv = name.startswith("convs.") and ".affine." not in name
            if of_conv and name.endswith((".bias", ".noise_strength")):
                nn.init.normal_(parameter, std=_SPREAD)
    return generator.eval().requires_grad_(False).to(plan.device)


def random_embedder(plan: Plan) -> ClipEmbedder:
    """A CLIP of the plan's kind on its device."""
    from open_clip.tokenizer import SimpleTokenizer

    config = _CLIPS[plan.clip]
    with _same_draws():
        model = build_clip_model(config)
    tokenizer = SimpleTokenizer(context_length=config["text_cfg"]["context_length"])
    return ClipEmbedder(model, tokenizer, _IMAGE_MEAN, _IMAGE_DEVIATION).to(plan.device)


def random_mapper(plan: Plan, generator: StyleGAN2, embedder: ClipEmbedder) -> TextMapper:
    """A text mapper for both, as a training begins with, on the plan's device."""
    shape = mapper_shape(generator, embedder, TrainingConfig())
    with _same_draws():
        mapper = TextMapper(shape)
    return mapper.eval().requires_grad_(False).to(plan.device)


@contextmanager
def _same_draws() -> Iterator[None]:
    """Global random state as it was afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.random.set_rng_state(seeded(0).get_state())
        yield
