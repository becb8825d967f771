"""The project's own image towers, through open_clip's config and our loader."""

import pytest
import timm
import torch

from cfclip.embedders import (
    MERGES_FILE,
    TOWERS,
    build_clip_model,
    load_tokenizer,
    save_clip,
    trim_bpe,
)
from cfclip.embedders.clip import ClipEmbedder, load_clip

MEAN = STD = (0.5, 0.5, 0.5)
SIDE = 32
DIM = 12


def tower_config(vocab_size: int, name: str) -> dict:
    return {
        "embed_dim": DIM,
        "vision_cfg": {
            "image_size": SIDE,
            "timm_model_name": name,
            "timm_pool": "",
            "timm_proj": "",
        },
        "text_cfg": {
            "context_length": 16,
            "vocab_size": vocab_size,
            "width": 16,
            "heads": 2,
            "layers": 1,
        },
    }


@pytest.fixture(params=TOWERS)
def folder(tmp_path, request):
    torch.manual_seed(0)
    size = trim_bpe(["green hair"], tmp_path / MERGES_FILE)
    config = tower_config(size, request.param)
    model = build_clip_model(config).eval()
    save_clip(model, config, {"mean": MEAN, "std": STD}, tmp_path, dtype=torch.float32)
    return tmp_path, model


def test_a_folder_with_this_tower_opens_with_the_same_features(folder):
    path, model = folder
    loaded = load_clip(path)
    tokenizer = load_tokenizer(path / MERGES_FILE, 16)
    original = ClipEmbedder(model, tokenizer, MEAN, STD)
    images = torch.rand(3, 3, SIDE, SIDE) * 2 - 1
    assert loaded.dim == DIM
    torch.testing.assert_close(loaded.embed_images(images), original.embed_images(images))
    assert loaded.embed_texts(["green hair"]).shape == (1, DIM)


def test_images_do_not_depend_on_their_batch(folder):
    embedder = load_clip(folder[0])
    images = torch.rand(3, 3, SIDE, SIDE) * 2 - 1
    whole = embedder.embed_images(images)
    for i in range(3):
        torch.testing.assert_close(whole[i : i + 1], embedder.embed_images(images[i : i + 1]))


def test_feature_maps_halve_from_stage_to_stage(folder):
    maps = load_clip(folder[0]).image_feature_maps(torch.zeros(2, 3, SIDE, SIDE))
    assert [m.shape[-1] for m in maps] == [SIDE // 4, SIDE // 8, SIDE // 16, SIDE // 32]


def test_gradients_reach_the_image(folder):
    images = torch.rand(1, 3, SIDE, SIDE).requires_grad_(True)
    load_clip(folder[0]).embed_images(images)[0, 0].backward()
    assert images.grad is not None
    assert torch.isfinite(images.grad).all()
    assert images.grad.abs().sum() > 0


@pytest.mark.parametrize("name", TOWERS)
def test_pretrained_weights_do_not_exist(name):
    with pytest.raises((ValueError, RuntimeError)):
        timm.create_model(name, pretrained=True)


def test_other_map_layouts_are_refused():
    with pytest.raises(ValueError, match="NHWC"):
        timm.create_model(TOWERS[0], num_classes=4).forward_intermediates(
            torch.zeros(1, 3, SIDE, SIDE), output_fmt="NHWC"
        )
