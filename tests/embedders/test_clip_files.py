import json
import shutil

import pytest
import torch
from open_clip import get_tokenizer
from safetensors.torch import load_file, save_file

from cfclip.embedders import (
    CONFIG_FILE,
    MERGES_FILE,
    WEIGHTS_FILE,
    build_clip_model,
    load_clip,
    read_clip,
    save_clip,
)
from cfclip.errors import CheckpointError, InputError


@pytest.fixture
def folder(clip_folder, tmp_path):
    """A copy of the CLIP folder that a test may damage."""
    return shutil.copytree(clip_folder, tmp_path / "clip")


def change_weights(folder, change):
    state = load_file(folder / WEIGHTS_FILE)
    change(state)
    save_file(state, folder / WEIGHTS_FILE)


def test_round_trip_is_exact_in_float32_and_close_in_float16(folder, tmp_path):
    model, config = read_clip(folder)
    copy = tmp_path / "copy"
    for dtype, tolerance in ((torch.float32, 0.0), (torch.bfloat16, 1e-2)):
        save_clip(model, config["model_cfg"], config["preprocess_cfg"], copy, dtype)
        again, config_again = read_clip(copy)
        assert config_again == config
        for name, tensor in model.state_dict().items():
            assert torch.allclose(tensor, again.state_dict()[name], rtol=tolerance, atol=0)
    assert sorted(path.name for path in copy.iterdir()) == sorted([CONFIG_FILE, WEIGHTS_FILE])


def test_vectors_keep_their_precision(folder):
    state = load_file(folder / WEIGHTS_FILE)
    assert state["visual.bn1.running_var"].dtype == torch.float32
    assert state["visual.conv1.weight"].dtype == torch.float16
    model, _ = read_clip(folder)
    assert all(p.dtype == torch.float32 for p in model.parameters())


def test_weights_that_overflow_are_not_saved(folder, tmp_path):
    model, config = read_clip(folder)
    with torch.no_grad():
        model.visual.conv1.weight[0] = 1e6
    with pytest.raises(CheckpointError, match=r"visual\.conv1\.weight is not finite"):
        save_clip(model, config["model_cfg"], config["preprocess_cfg"], tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} is missing; restore"):
        load_clip(folder)


def test_missing_unknown_and_misshapen_tensors_are_named(folder):
    def change(state):
        del state["visual.conv1.weight"]
        state["extra"] = torch.zeros(1)
        state["text_projection"] = torch.zeros(2, 3)

    change_weights(folder, change)
    with pytest.raises(CheckpointError) as error:
        load_clip(folder)
    message = str(error.value)
    assert "missing visual.conv1.weight" in message
    assert "unknown extra" in message
    assert "text_projection has shape (2, 3), expected (16, 16)" in message
    assert "\n" not in message


def test_weights_that_are_not_finite_are_named(folder):
    change_weights(folder, lambda state: state["visual.bn1.weight"].fill_(float("nan")))
    with pytest.raises(CheckpointError, match=r"visual\.bn1\.weight holds values that are not"):
        load_clip(folder)


def test_a_cut_weight_file(folder):
    path = folder / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=f"{WEIGHTS_FILE} is not a readable"):
        load_clip(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "expected a table"),
        ("{}", "its model_cfg is None"),
        ('{"model_cfg": {"embed_dim": 4}}', "its vision_cfg is None, expected a table"),
    ],
)
def test_a_bad_config(folder, text, message):
    (folder / CONFIG_FILE).write_text(text)
    with pytest.raises(CheckpointError, match=f"{CONFIG_FILE}.*: .*{message}"):
        load_clip(folder)


def test_a_missing_vocabulary_does_not_become_another_one(folder):
    (folder / MERGES_FILE).unlink()
    with pytest.raises(CheckpointError, match=f"its tokenizer 49408; {MERGES_FILE} is missing"):
        load_clip(folder)


def test_without_a_vocabulary_file_the_full_one_is_used(folder, tmp_path):
    config = json.loads((folder / CONFIG_FILE).read_text())
    full = get_tokenizer("ViT-B-32")
    config["model_cfg"]["text_cfg"]["vocab_size"] = full.vocab_size
    model = build_clip_model(config["model_cfg"])
    save_clip(model, config["model_cfg"], config["preprocess_cfg"], tmp_path / "full")
    embedder = load_clip(tmp_path / "full")
    assert embedder.tokenizer.context_length == 32
    assert embedder.tokenize(["green hair"])[0, :4].tolist() == full(["green hair"])[0, :4].tolist()


def test_quick_gelu_follows_the_config():
    from open_clip.transformer import QuickGELU

    config = {
        "embed_dim": 8,
        "vision_cfg": {"layers": 1, "width": 64, "patch_size": 8, "image_size": 16},
        "text_cfg": {"context_length": 8, "vocab_size": 514, "width": 8, "heads": 1, "layers": 1},
    }
    for quick in (True, False):
        model = build_clip_model({**config, "quick_gelu": quick})
        assert any(isinstance(m, QuickGELU) for m in model.modules()) is quick


def test_a_config_that_open_clip_cannot_build():
    config = {"embed_dim": 8, "vision_cfg": {}, "text_cfg": {"width": 8, "heads": 7}}
    with pytest.raises(InputError, match="open_clip cannot build this model config"):
        build_clip_model(config)


def test_attention_without_end_is_refused():
    """Its memory follows from heads and tokens, which tensors of any size can have."""
    picture = {"layers": 1, "width": 512, "patch_size": 16, "image_size": 1024, "head_width": 1}
    text = {"layers": 1, "width": 64, "heads": 64, "context_length": 1024, "no_causal_mask": True}
    small = {"layers": 1, "width": 64}
    for vision_cfg, text_cfg, told in (
        (picture, small, "pictures have 512 heads of attention over 4097 tokens"),
        ({**small, "image_size": 64}, text, "texts have 64 heads of attention over 1024 tokens"),
    ):
        with pytest.raises(InputError, match=told):
            build_clip_model({"embed_dim": 8, "vision_cfg": vision_cfg, "text_cfg": text_cfg})


def test_a_folder_of_the_hubs_cache_has_its_files_in_blobs_alone(folder, tmp_path):
    snapshot, blobs = tmp_path / "cache" / "snapshots" / "0", tmp_path / "cache" / "blobs"
    snapshot.parent.mkdir(parents=True)
    blobs.mkdir()
    shutil.move(folder, snapshot)
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        (snapshot / name).rename(blobs / name)
        (snapshot / name).symlink_to(f"../../blobs/{name}")
    read_clip(snapshot)
    elsewhere = blobs.rename(tmp_path / "cache" / "elsewhere")
    for others in (lambda: blobs.symlink_to(elsewhere), blobs.unlink):
        others()
        with pytest.raises(CheckpointError, match="is a link"):
            read_clip(snapshot)
    (snapshot / CONFIG_FILE).unlink()
    (snapshot / CONFIG_FILE).symlink_to(elsewhere / CONFIG_FILE)
    with pytest.raises(CheckpointError, match="is a link out of the folder"):
        read_clip(snapshot)
