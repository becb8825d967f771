"""CLIPs of every origin, against the numbers of the reference implementation."""

import json
import logging
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from clip_origins import HALF, openai_tensors, write_archive, write_huggingface, write_weights
from golden_cases import RELATIVE_TOLERANCE, golden, relative_error

from cfclip.embedders.clip import ClipEmbedder, load_clip, open_clip_model
from cfclip.embedders.clip_weights import is_torchscript, read_torchscript
from cfclip.errors import CheckpointError, DownloadError, InputError
from cfclip.foreign import read_torch_file


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("openai") / "tiny.pt"
    write_archive(path, openai_tensors())
    return path


@pytest.fixture
def huggingface(tmp_path: Path) -> Path:
    write_huggingface(tmp_path / "hf", openai_tensors())
    return tmp_path / "hf"


def check_against_the_reference(source: str | Path) -> None:
    arrays = golden("openai_clip_tiny")[1]
    opened = open_clip_model(source)
    embedder = ClipEmbedder(opened.model, opened.tokenizer, HALF, HALF)
    texts = embedder.text_features([str(text) for text in arrays["texts"]])
    assert relative_error(texts, arrays["text_features"]) < RELATIVE_TOLERANCE
    images = embedder.image_features(torch.as_tensor(arrays["image"]))
    assert relative_error(images, arrays["image_features"]) < RELATIVE_TOLERANCE


def test_openais_archive(archive: Path, caplog: pytest.LogCaptureFixture) -> None:
    check_against_the_reference(archive)
    opened = open_clip_model(archive)
    assert opened.activation == "QuickGELU: it is one of OpenAI's archives"
    assert opened.config["model_cfg"]["quick_gelu"] is True
    assert opened.config["preprocess_cfg"]["mean"] == pytest.approx([0.4815, 0.4578, 0.4082], 1e-3)
    with caplog.at_level(logging.INFO, "cfclip"):
        load_clip(archive)
    assert caplog.messages == [f"{archive.name}: QuickGELU: it is one of OpenAI's archives"]


def test_an_archive_in_half_precision(tmp_path: Path) -> None:
    tensors = {name: value.half() for name, value in openai_tensors().items()}
    write_archive(tmp_path / "half.pt", tensors)
    read = read_torchscript(tmp_path / "half.pt")
    assert read["visual.proj"].dtype == torch.float16
    assert all(torch.equal(read[name], value) for name, value in tensors.items())
    model = open_clip_model(tmp_path / "half.pt").model
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_a_residual_archive(tmp_path: Path) -> None:
    from cfclip.embedders import build_clip_model

    config = {
        "embed_dim": 16,
        "quick_gelu": True,
        "vision_cfg": {"layers": [1, 2, 1, 1], "width": 16, "image_size": 64},
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49408,
            "width": 64,
            "heads": 1,
            "layers": 1,
        },
    }
    tensors = build_clip_model(config).state_dict()
    write_archive(tmp_path / "rn.pt", tensors)
    opened = open_clip_model(tmp_path / "rn.pt")
    assert opened.config["model_cfg"] == config
    read = opened.model.state_dict()
    assert all(torch.equal(read[name], value) for name, value in tensors.items())


def test_weights_for_a_named_configuration(archive: Path, tmp_path: Path) -> None:
    import open_clip

    configuration = {
        "embed_dim": 64,
        "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "patch_size": 16},
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49408,
            "width": 64,
            "heads": 1,
            "layers": 2,
        },
    }
    (tmp_path / "tiny-plain.json").write_text(json.dumps(configuration))
    (tmp_path / "tiny-quick.json").write_text(json.dumps({**configuration, "quick_gelu": True}))
    open_clip.add_model_config(tmp_path)
    torch.save(openai_tensors(), tmp_path / "own.pt")
    torch.save(
        {"state_dict": {f"module.{n}": v for n, v in openai_tensors().items()}, "epoch": 3},
        tmp_path / "run.pt",
    )
    sigmoid = {**openai_tensors(), "logit_bias": torch.tensor(-10.0)}  # moves no feature
    torch.save({"state_dict": {f"module.{n}": v for n, v in sigmoid.items()}}, tmp_path / "bias.pt")
    for file in ("own.pt", "run.pt", "bias.pt"):
        check_against_the_reference(f"tiny-quick:{tmp_path / file}")
    # The archive's origin decides over a configuration that was named wrongly.
    check_against_the_reference(f"tiny-plain:{archive}")
    opened = open_clip_model(f"tiny-plain:{tmp_path / 'own.pt'}")
    assert opened.activation == "GELU: open_clip's configuration tiny-plain says so"
    with pytest.raises(InputError, match="no configuration 'tiny-none'"):
        open_clip_model(f"tiny-none:{archive}")
    with pytest.raises(InputError, match=r"give MODEL:FILE .* ViT-B-32-quickgelu:.*own\.pt"):
        open_clip_model(tmp_path / "own.pt")


def test_archives_of_others(tmp_path: Path) -> None:
    # As somebody's own training, compiled: its activation is not known.
    write_archive(tmp_path / "own.pt", openai_tensors(), sizes={})
    with pytest.raises(InputError, match="no archive of OpenAI's"):
        open_clip_model(tmp_path / "own.pt")


def test_modules_that_are_shared_without_end(archive: Path, tmp_path: Path) -> None:
    # Each module holds the next one twice: 2 ** 40 names in some hundred bytes.
    name, close = b"c__torch__\nM\n)\x81", b"b"
    inner = name + b"}" + close
    for level in range(40):
        memo = b"q" + bytes([level])
        inner = name + b"}(X\x01\0\0\0a" + inner + memo
        inner += b"X\x01\0\0\0bh" + bytes([level]) + b"u" + close
    rewrite(archive, tmp_path / "bomb.pt", b"\x80\x02" + inner + b".", zipfile.ZIP_STORED)
    with pytest.raises(CheckpointError, match="nested without end"):
        read_torchscript(tmp_path / "bomb.pt")


def test_names_that_are_no_paths() -> None:
    for source in ("x" * 5000, "a:" + "b" * 5000, "a\0b", ""):
        with pytest.raises((InputError, CheckpointError)):
            open_clip_model(source)


def test_a_folder_of_transformers(huggingface: Path) -> None:
    check_against_the_reference(huggingface)
    opened = open_clip_model(huggingface)
    assert opened.activation.startswith("QuickGELU: hidden_act")
    assert opened.config["preprocess_cfg"] == {"mean": HALF, "std": HALF}


def test_transformers_with_plain_gelu(huggingface: Path) -> None:
    config = json.loads((huggingface / "config.json").read_text())
    for part in ("vision_config", "text_config"):
        config[part]["hidden_act"] = "gelu"
    (huggingface / "config.json").write_text(json.dumps(config))
    assert open_clip_model(huggingface).activation.startswith("GELU")
    config["text_config"]["hidden_act"] = "quick_gelu"
    (huggingface / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="hidden_act is 'gelu' and 'quick_gelu'"):
        open_clip_model(huggingface)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "siglip"}, "'siglip' model"),
        ({"text_config": {"num_attention_heads": 7}}, "7 heads for a width of 64"),
        ({"vision_config": [1]}, "vision_config is not a table"),
    ],
)
def test_other_models_of_transformers(huggingface: Path, change: dict, message: str) -> None:
    config = json.loads((huggingface / "config.json").read_text())
    (huggingface / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(CheckpointError, match=message):
        open_clip_model(huggingface)


def test_damaged_folders_of_transformers(huggingface: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = huggingface / "model.safetensors"
    tensors = load_file(path)
    del tensors["text_model.encoder.layers.0.self_attn.k_proj.weight"]
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match=r"lacks text_model.*k_proj\.weight"):
        open_clip_model(huggingface)
    write_weights(huggingface, openai_tensors() | {"extra": torch.zeros(2)})
    with pytest.raises(CheckpointError, match="unknown extra"):
        open_clip_model(huggingface)
    write_weights(huggingface, openai_tensors())
    for name in ("model.safetensors", "preprocessor_config.json"):
        (huggingface / name).unlink()
        with pytest.raises(CheckpointError, match=f"{name} is missing"):
            open_clip_model(huggingface)


def test_open_clip_folders_with_the_hubs_names(clip_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clip_folder, tmp_path / "clip")
    weights = folder / "open_clip_model.safetensors"
    expected = load_clip(folder).text_features(["avatar"])
    from safetensors.torch import load_file

    torch.save(load_file(weights), folder / "open_clip_pytorch_model.bin")
    weights.rename(folder / "open_clip_pytorch_model.safetensors")
    assert torch.equal(load_clip(folder).text_features(["avatar"]), expected)
    (folder / "open_clip_pytorch_model.safetensors").unlink()
    assert torch.equal(load_clip(folder).text_features(["avatar"]), expected)


def test_the_hub_without_a_network(
    huggingface: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What huggingface_hub keeps of an earlier download.
    from huggingface_hub import constants

    kept = tmp_path / "hub" / "models--owner--tiny"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("0" * 40)
    shutil.copytree(huggingface, kept / "snapshots" / ("0" * 40))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    check_against_the_reference("hf-hub:owner/tiny")
    assert open_clip_model("hf-hub:owner/tiny").origin == "owner/tiny of the Hugging Face hub"
    with pytest.raises(DownloadError, match=r"owner/other could not be fetched from .*offline"):
        open_clip_model("hf-hub:owner/other")
    with pytest.raises(InputError, match="give OWNER/NAME"):
        open_clip_model("hf-hub:a/b/c")


def test_weights_of_the_collection(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Kept by an earlier download, for a configuration and under a tag that open_clip is told of.
    import open_clip
    from huggingface_hub import constants
    from safetensors.torch import save_file

    model = {
        "embed_dim": 64,
        "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "patch_size": 16},
        "text_cfg": {"width": 64, "heads": 1, "layers": 2},
    }
    (tmp_path / "tiny-listed.json").write_text(json.dumps(model))
    open_clip.add_model_config(tmp_path)
    told = {"hf_hub": "owner/listed/", "quick_gelu": True, "mean": HALF, "std": HALF}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiny-listed", {"own": told})
    kept = tmp_path / "hub" / "models--owner--listed"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("0" * 40)
    (kept / "snapshots" / ("0" * 40)).mkdir(parents=True)
    save_file(openai_tensors(), kept / "snapshots" / ("0" * 40) / "open_clip_model.safetensors")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    check_against_the_reference("tiny-listed:own")
    opened = open_clip_model("tiny-listed:own")
    assert opened.origin == "tiny-listed:own of open_clip"
    assert opened.activation == "QuickGELU: open_clip lists the weights own so"
    assert opened.config["preprocess_cfg"] == {"mean": HALF, "std": HALF}
    with pytest.raises(InputError, match="with weights 'other'; its tags are own"):
        open_clip_model("tiny-listed:other")


class _Evil:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("was-run"),))


def rewrite(archive: Path, path: Path, content: bytes, compression: int) -> None:
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(path, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, content if name.endswith("/data.pkl") else old.read(name))


def test_archives_that_ask_for_more(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rewrite(archive, tmp_path / "evil.pt", pickle.dumps(_Evil()), zipfile.ZIP_STORED)
    assert is_torchscript(tmp_path / "evil.pt")
    with pytest.raises(CheckpointError, match=r"evil\.pt .*nothing in it was.*asks for 'pathlib"):
        open_clip_model(tmp_path / "evil.pt")
    assert not (tmp_path / "was-run").exists()
    rewrite(archive, tmp_path / "zip.pt", b"", zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="compressed entries"):
        open_clip_model(tmp_path / "zip.pt")
    rewrite(archive, tmp_path / "empty.pt", b"", zipfile.ZIP_STORED)
    with pytest.raises(CheckpointError, match="not a readable TorchScript archive"):
        open_clip_model(tmp_path / "empty.pt")
    (tmp_path / "cut.pt").write_bytes(archive.read_bytes()[:-100])
    assert not is_torchscript(tmp_path / "cut.pt")


def test_tensors_that_leave_or_repeat_their_memory(tmp_path: Path) -> None:
    write_archive(tmp_path / "own.pt", {"w": torch.zeros(64)}, sizes={})
    # One tensor of the 64 values in storage 0: how long it is, and in which steps.
    head = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n"
    head += b"X\x01\0\0\x000X\x03\0\0\0cpuK\x40tQK\0"
    for size, step, message in ((65, 1, "larger than its values"), (65, 0, "repeats its memory")):
        view = head + bytes([75, size, 0x85, 75, step, 0x85])
        view += b"\x89ccollections\nOrderedDict\n)RtR"
        module = b"\x80\x02c__torch__\nM\n)\x81}X\x01\0\0\0w" + view + b"sb."
        rewrite(tmp_path / "own.pt", tmp_path / "view.pt", module, zipfile.ZIP_STORED)
        with pytest.raises(CheckpointError, match=message):
            read_torchscript(tmp_path / "view.pt")


def test_one_tensor_by_many_names(archive: Path, tmp_path: Path) -> None:
    # Fourteen modules, each of which holds the next one twice, and one tensor at the end.
    write_archive(tmp_path / "own.pt", {"w": torch.zeros(1)}, sizes={})
    view = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n"
    view += b"X\x01\0\0\x000X\x03\0\0\0cpuK\x01tQK\0K\x01\x85K\x01\x85"
    view += b"\x89ccollections\nOrderedDict\n)RtR"
    module = b"c__torch__\nM\n)\x81}"
    inner = module + b"X\x01\0\0\0w" + view + b"sb"
    for level in range(14):
        memo = bytes([level])
        inner = module + b"(X\x01\0\0\0a" + inner + b"q" + memo + b"X\x01\0\0\0bh" + memo + b"ub"
    rewrite(
        tmp_path / "own.pt", tmp_path / "many.pt", b"\x80\x02" + inner + b".", zipfile.ZIP_STORED
    )
    with pytest.raises(CheckpointError, match="more than 10000 tensors"):
        read_torchscript(tmp_path / "many.pt")


def test_names_are_of_bounded_length(archive: Path, tmp_path: Path) -> None:
    text = b"__torch__." + b"M" * 1000
    name = b"\x8c\x01aX" + len(text).to_bytes(4, "little") + text
    for index, code in enumerate((b"\x80\x04" + name + b"\x93.", b"\x80\x02c" + text + b"\na\n.")):
        rewrite(archive, tmp_path / f"{index}.pt", code, zipfile.ZIP_STORED)
        with pytest.raises(CheckpointError, match="a name that is too long"):
            read_torchscript(tmp_path / f"{index}.pt")


def test_an_archive_that_claims_sizes(tmp_path: Path) -> None:
    # A tower as wide as a kernel without values says, which would take gigabytes.
    tensors = openai_tensors()
    tensors["visual.conv1.weight"] = torch.zeros(40_000, 0, 16, 16)
    write_archive(tmp_path / "empty.pt", tensors)
    with pytest.raises(CheckpointError, match=r"conv1\.weight of shape .* is empty"):
        open_clip_model(tmp_path / "empty.pt")
    write_archive(tmp_path / "none.pt", {**openai_tensors(), "ln_final.weight": torch.zeros(0)})
    with pytest.raises(CheckpointError, match=r"tensor ln_final\.weight is empty"):
        open_clip_model(tmp_path / "none.pt")
    tensors["visual.conv1.weight"] = torch.zeros(40_000, 3, 1, 16)
    write_archive(tmp_path / "wide.pt", tensors)
    with pytest.raises(CheckpointError, match=r"its width is 40000, expected .* from 1 to 8192"):
        open_clip_model(tmp_path / "wide.pt")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_cfg": {"vision_cfg": {"width": 1 << 20}}}, "its width is 1048576, expected"),
        ({"model_cfg": {"vision_cfg": {"width": 8192}}}, "has shape"),
        ({"model_cfg": {"vision_cfg": {"layers": [1, 1, 1, 10**9]}}}, "layers is .* from 1 to 96"),
        ({"model_cfg": {"text_cfg": {"layers": 10**9}}}, "layers is .* from 1 to 96"),
        ({"model_cfg": {"text_cfg": {"width": 1 << 40}}}, "cannot be used"),
        ({"model_cfg": {"text_cfg": 3}}, "cannot be used"),
        ({"model_cfg": {"text_cfg": {"heads": 7}}}, "cannot be used"),
        ({"model_cfg": {"text_cfg": {"heads": 0}}}, "cannot be used"),
        ({"model_cfg": {"text_cfg": {"width": 0}}}, "cannot be used"),
        ({"model_cfg": {"vision_cfg": {"layers": []}}}, "cannot be used"),
        ({"model_cfg": 3}, "cannot be used"),
        ({"preprocess_cfg": 3}, "its preprocess_cfg is 3, expected a table"),
        ({"preprocess_cfg": {"mean": "abc"}}, "mean of pictures is not 3 times"),
        ({"preprocess_cfg": {"std": ["a", "b", "c"]}}, "std of pictures is not 3 times"),
    ],
)
def test_folders_that_claim_sizes(
    clip_folder: Path, tmp_path: Path, changes: dict, message: str
) -> None:
    folder = tmp_path / "clip"
    shutil.copytree(clip_folder, folder)
    file = folder / "open_clip_config.json"
    config = json.loads(file.read_text())
    for table, values in changes.items():
        if table == "model_cfg" and isinstance(values, dict):
            for tower, own in values.items():
                before = config[table][tower]
                config[table][tower] = {**before, **own} if isinstance(own, dict) else own
        else:
            config[table] = values
    file.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        open_clip_model(folder)


def test_a_program_in_the_place_of_weights(archive: Path) -> None:
    # Its code is compressed, which nothing else in a file of PyTorch's is.
    with pytest.raises(CheckpointError, match="it is a TorchScript program; give the weights"):
        read_torch_file(archive)


def test_a_state_dict_that_is_no_clip(archive: Path, tmp_path: Path) -> None:
    write_archive(tmp_path / "other.pt", {"layer.weight": torch.zeros(2, 2)})
    with pytest.raises(CheckpointError, match=r"no tensor ln_final\.weight"):
        open_clip_model(tmp_path / "other.pt")
    tensors = openai_tensors()
    tensors["visual.positional_embedding"] = torch.zeros(6, 64)
    write_archive(tmp_path / "odd.pt", tensors)
    with pytest.raises(CheckpointError, match="5 patches, not a square"):
        open_clip_model(tmp_path / "odd.pt")
