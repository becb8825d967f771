"""The project's own image towers, through open_clip's config and our loader."""

import pytest
import timm
import torch
from open_clip.model import CLIP

from cfclip.embedders import (
    MERGES_FILE,
    TOWERS,
    build_clip_model,
    load_tokenizer,
    save_clip,
    trim_bpe,
)
from cfclip.embedders.clip import ClipEmbedder, load_clip
from cfclip.embedders.clip_files import clip_with_weights
from cfclip.embedders.compact_clip import CompactClip
from cfclip.errors import CheckpointError

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


@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_a_clip_of_this_tower_gives_the_features_of_open_clips(folder, precision):
    path, model = folder
    loaded = load_clip(path)
    original = ClipEmbedder(model, loaded.tokenizer, MEAN, STD)
    assert (type(model), type(loaded.model)) == (CLIP, CompactClip)
    ours, theirs = loaded.model.state_dict(), model.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    images = torch.rand(3, 3, SIDE, SIDE) * 2 - 1
    texts = ["green hair", "a person with green hair", "?"]
    with torch.autocast("cpu", precision, enabled=precision is not None):
        assert torch.equal(loaded.embed_images(images), original.embed_images(images))
        assert torch.equal(loaded.embed_texts(texts), original.embed_texts(texts))
        for own, other in zip(
            loaded.image_feature_maps(images), original.image_feature_maps(images), strict=True
        ):
            assert torch.equal(own, other)


@pytest.mark.parametrize(
    ("table", "changes"),
    [
        ("text_cfg", {"mlp_ratio": 2.0}),
        (None, {"quick_gelu": True}),
    ],
)
def test_what_a_config_says_beyond_that_is_left_to_open_clip(table, changes):
    config = tower_config(600, TOWERS[0])
    (config if table is None else config[table]).update(changes)
    tensors = build_clip_model(config).state_dict()
    loaded = clip_with_weights(config, tensors, "it")
    assert type(loaded) is CLIP
    assert all(torch.equal(value, tensors[name]) for name, value in loaded.state_dict().items())


def test_sizes_that_do_not_go_together_are_refused():
    config = tower_config(600, TOWERS[0])
    config["text_cfg"]["heads"] = 3
    with pytest.raises(CheckpointError, match="open_clip cannot build this model config"):
        clip_with_weights(config, {}, "it")


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
