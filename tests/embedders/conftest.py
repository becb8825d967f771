"""A CLIP folder like the shipped one, made tiny: residual image tower, trimmed vocabulary."""

from pathlib import Path

import pytest
import torch

from cfclip.embedders import MERGES_FILE, build_clip_model, save_clip, trim_bpe
from cfclip.embedders.clip import ClipEmbedder, load_clip

WORDS = ["a photo of a person with green hair", "avatar", "purple eyebrows, smiling"]
MEAN, STD = (0.6, 0.5, 0.4), (0.3, 0.25, 0.2)


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    vocabulary = trim_bpe(WORDS, folder / MERGES_FILE)
    config = {
        "embed_dim": 16,
        "vision_cfg": {"layers": [1, 1, 1, 1], "width": 8, "image_size": 64},
        "text_cfg": {
            "context_length": 32,
            "vocab_size": vocabulary,
            "width": 16,
            "heads": 2,
            "layers": 1,
        },
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_clip_model(config)
    generator = torch.Generator().manual_seed(1)
    for name, tensor in model.state_dict().items():
        # open_clip starts each residual branch at 0 and the statistics at 0 and 1.
        if name.endswith(("bn3.weight", "running_var")):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith("running_mean"):
            tensor.normal_(0.0, 0.1, generator=generator)
    save_clip(model, config, {"mean": MEAN, "std": STD}, folder)
    return folder


@pytest.fixture
def embedder(clip_folder: Path) -> ClipEmbedder:
    return load_clip(clip_folder)
