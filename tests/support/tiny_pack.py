"""A complete model pack made of tiny random models, written by the real save functions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tiny_models import tiny_text_map

from cfclip.editors import save_text_map
from cfclip.embedders import build_clip_model, save_clip, trim_bpe
from cfclip.encoders import LatentEncoder, LatentEncoderConfig, save_encoder
from cfclip.generators import StyleGAN2, StyleGAN2Config, save_generator
from cfclip.packs import (
    CLIP_FOLDER,
    ENCODER_FILE,
    GENERATOR_FILE,
    TEXT_MAP_FILE,
    PackDefaults,
    PackManifest,
    assemble_pack,
)

RESOLUTION = 32
TEMPLATES = ("{}", "a picture of {}", "an avatar with {}")
WORDS = (
    *("a", "an", "and", "avatar", "broken", "face", "of", "person", "picture", "with"),
    *("blue", "eyebrows", "green", "hair", "red", "skin", "smile"),
)
VOCABULARY_FILE = "vocabulary.txt"

_SEED = 0
_EMBED_DIM = 16
_HALF = [0.5, 0.5, 0.5]


def write_tiny_pack(folder: Path, edit: Mapping[str, Any] | None = None) -> None:
    """Fill `folder`, which is made: a 32 px generator, a residual CLIP, an encoder, a vocabulary,
    a linear text map.

    The defaults keep edits to a few steps; `edit` says more of them.
    """
    (folder / CLIP_FOLDER).mkdir(parents=True)
    with torch.random.fork_rng():
        torch.manual_seed(_SEED)
        generator = StyleGAN2(
            StyleGAN2Config(
                resolution=RESOLUTION,
                z_dim=16,
                w_dim=16,
                mapping_layers=2,
                channels=(16, 16, 8, 8),
            )
        )
        with torch.no_grad():
            generator.w_avg.copy_(generator.mapping(torch.randn(64, 16)).mean((0, 1)))
        save_generator(generator, folder / GENERATOR_FILE)
        _write_clip(folder / CLIP_FOLDER)
        config = LatentEncoderConfig(
            image_size=RESOLUTION,
            num_ws=generator.num_ws,
            w_dim=generator.w_dim,
            channels=(8, 8, 16),
            blocks=1,
            neck_channels=8,
            hidden=16,
        )
        save_encoder(LatentEncoder(config, generator.w_avg), folder / ENCODER_FILE)
    (folder / VOCABULARY_FILE).write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    pack = assemble_pack(
        folder,
        PackManifest(
            name="tiny",
            version="1",
            licence="Apache-2.0",
            origin="random weights, written by the tests",
            resolution=RESOLUTION,
            source_text="an avatar",
            unrealistic_text="a broken picture",
            templates=TEMPLATES,
            vocabulary=VOCABULARY_FILE,
            defaults=PackDefaults(edit={"steps": 3, **(edit or {})}, projection={"steps": 3}),
            aspects={"hair": ("red hair", "blue hair"), "skin": ("red skin", "blue skin")},
            card={"data": "none", "limits": "everything"},
        ),
    )
    text_map = tiny_text_map(_EMBED_DIM, generator.w_dim, pack.mapped_models)
    save_text_map(text_map, folder / TEXT_MAP_FILE)
    assemble_pack(folder, pack.manifest)


def _write_clip(folder: Path) -> None:
    templates = [template.replace("{}", "") for template in TEMPLATES]
    vocabulary_size = trim_bpe([*WORDS, *templates], folder / "bpe_merges.txt.gz")
    config = {
        "embed_dim": _EMBED_DIM,
        "vision_cfg": {"image_size": RESOLUTION, "layers": [1, 1, 1, 1], "width": 8},
        "text_cfg": {
            "context_length": 24,
            "vocab_size": vocabulary_size,
            "width": 16,
            "heads": 2,
            "layers": 1,
        },
    }
    model = build_clip_model(config)
    # A fresh CLIP ends each block at zero, which leaves the blocks out; a trained one does not.
    for name, parameter in model.visual.named_parameters():
        if name.endswith("bn3.weight"):
            torch.nn.init.ones_(parameter)
    save_clip(model, config, {"mean": _HALF, "std": _HALF}, folder)
