"""CLIP folders that ask for more than their own: the network, other files, memory without end.

Each is a good folder with one thing changed: `open_clip_folders` of one of open_clip, whose
configuration is a program in disguise, `transformers_folders` of one of transformers; `packs` of
what surrounds a CLIP.
"""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from cfclip.embedders import (
    build_clip_model,
    fill_templates,
    imagenet_templates,
    save_clip,
    trim_bpe,
)

Change = Callable[[Path], None]

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
MERGES = "bpe_merges.txt.gz"
SPARSE_BYTES = 600 << 20
_BOMB_BYTES = 400 << 20
_RESIDUAL = {"layers": [1, 1, 1, 1], "width": 8, "image_size": 32}
_VIT = {"layers": 1, "width": 64, "patch_size": 16, "image_size": 64}
_CUSTOM = {"timm_pool": "token", "timm_proj": "linear", "image_size": 64}
_FAR = 1 << 40


def write_open_clip(folder: Path) -> None:
    """A good folder, which is made: a residual network, and a vocabulary for usual templates."""
    folder.mkdir()
    size = trim_bpe(fill_templates(imagenet_templates(), "face"), folder / MERGES)
    text = {"context_length": 77, "vocab_size": size, "width": 16, "heads": 2, "layers": 1}
    config = {"embed_dim": 16, "vision_cfg": _RESIDUAL, "text_cfg": text}
    half = [0.5, 0.5, 0.5]
    save_clip(build_clip_model(config), config, {"mean": half, "std": half}, folder)


def open_clip_folders(outside: Path) -> dict[str, Change]:
    """Name to change; `outside` is a folder whose files are nobody's business."""
    found: dict[str, Change] = {
        f"vision-{name}": _vision(values) for name, values in _visions(outside).items()
    }
    found |= {f"text-{name}": _text(values) for name, values in _texts(outside).items()}
    found |= {f"model-{name}": _model(values) for name, values in _models().items()}
    found |= {f"pictures-{name}": _pictures(value) for name, value in _statistics().items()}
    for name, data in {
        "bomb": gzip.compress(bytes(_BOMB_BYTES)),
        "bomb-after": gzip.compress(b"#\na b") + gzip.compress(bytes(_BOMB_BYTES)),
        "bomb-lines": gzip.compress(b"#\n" + b"a b\n" * (_BOMB_BYTES // 16)),
        "deep": b"[" * 100_000,
    }.items():
        found[f"merges-{name}"] = _written(MERGES, data)
    for file in (CONFIG, WEIGHTS, MERGES):
        found |= _places(file, outside)
    found["config-deep"] = _written(CONFIG, b'{"model_cfg":' * 100_000)
    found["config-digits"] = _written(CONFIG, b'{"model_cfg": 1' + b"0" * 100_000 + b"}")
    found["weights-header"] = _written(WEIGHTS, _FAR.to_bytes(8, "little") + b"{}")
    return found


def packs(outside: Path) -> dict[str, Change]:
    """Name to change of a whole pack, besides its CLIP."""
    found: dict[str, Change] = {}
    for file in ("pack.toml", "vocabulary.txt", "generator.safetensors"):
        found |= _places(file, outside)
    return found


def transformers_folders(outside: Path) -> dict[str, Change]:
    """The same of a folder of transformers."""
    found: dict[str, Change] = {}
    for name, values in {
        "type": {"model_type": "siglip"},
        "type-list": {"model_type": [["clip"]]},
        "heads": {"text_config": {"num_attention_heads": _FAR}},
        "heads-text": {"text_config": {"num_attention_heads": "1"}},
        "activation-list": {"text_config": {"hidden_act": [[]]}},
        "activation-name": {"vision_config": {"hidden_act": "os.system"}},
        "eps-list": {"vision_config": {"num_attention_heads": 1, "layer_norm_eps": [1e-5] * 9999}},
        "table": {"text_config": [1]},
    }.items():
        found[f"config-{name}"] = _changed("config.json", values)
    for name, mean in _statistics().items():
        if name != "table":
            found[f"pictures-{name}"] = _changed("preprocessor_config.json", {"image_mean": mean})
    for file in ("config.json", "model.safetensors", "preprocessor_config.json"):
        found |= _places(file, outside)
    positions = "text_model.embeddings.position_embedding.weight"
    found["context"] = _tensors({positions: torch.zeros(20_000, 64)})
    found["wide"] = _tensors({positions: torch.zeros(77, 20_000)})
    found["scalar"] = _tensors(
        {
            f"text_model.encoder.layers.0.self_attn.{each}_proj.weight": torch.zeros(())
            for each in "qkv"
        }
    )
    return found


def _visions(outside: Path) -> dict[str, dict[str, Any]]:
    return {
        "hub": {**_CUSTOM, "timm_model_name": "hf-hub:timm/resnet18.a1_in1k"},
        "local": {**_CUSTOM, "timm_model_name": f"local-dir:{outside}"},
        "timm": {**_CUSTOM, "timm_model_name": "convnext_atto", "timm_model_pretrained": True},
        "timm-long": {**_CUSTOM, "timm_model_name": "a" * 100_000},
        "timm-list": {**_CUSTOM, "timm_model_name": ["convnext_atto"]},
        "pretrained": {"timm_model_name": "cfclip_compact_resnet", "timm_model_pretrained": True},
        "compact-side": {"timm_model_name": "cfclip_compact_resnet", "image_size": 20_000},
        "sines": {**_VIT, "pos_embed_type": "sin_cos_2d", "image_size": 8000, "patch_size": 1},
        "patches": {**_VIT, "image_size": 1024, "patch_size": 1},
        "most-heads": {**_VIT, "width": 512, "head_width": 1, "image_size": 1024},
        "no-patch": {**_VIT, "patch_size": 0},
        "side": {**_VIT, "image_size": [8000, 8000]},
        "width": {"width": _FAR},
        "widest": {"width": 8192},
        "layers": {"layers": 10**9},
        "stages": {"layers": [1, 1, 1, 10**9]},
        "many-stages": {"layers": [1] * 100_000},
        "most-layers": {"layers": [96, 96, 96, 96]},
        "heads": {**_VIT, "head_width": 0},
        "ratio": {**_VIT, "mlp_ratio": 1e300},
        "queries": {**_VIT, "attentional_pool": True, "attn_pooler_queries": 10**9},
        "code": {**_VIT, "act_kwargs": {"inplace": "os.system"}},
        "unknown": {"checkpoint_path": str(outside / "secret")},
    }


def _texts(outside: Path) -> dict[str, dict[str, Any]]:
    return {
        "hub": {"hf_model_name": "roberta-base", "hf_tokenizer_name": "roberta-base"},
        "local": {"hf_model_name": str(outside)},
        "tokenizer": {"hf_tokenizer_name": "bert-base-uncased"},
        "tokenizer-code": {
            "hf_tokenizer_name": str(outside),
            "tokenizer_kwargs": {"trust_remote_code": True},
        },
        "merges": {"tokenizer_kwargs": {"bpe_path": str(outside / "secret")}},
        "bpe": {"bpe_path": str(outside / "secret")},
        "context": {"context_length": 20_000},
        "longest-context": {"context_length": 1024},
        "most-heads": {"context_length": 1024, "width": 64, "heads": 64, "no_causal_mask": True},
        "vocabulary": {"vocab_size": 10**9},
        "width": {"width": 10**9, "heads": 1},
        "layers": {"layers": 10**9},
        "heads": {"heads": 10**9},
        "no-heads": {"heads": 0},
        "true": {"layers": True},
        "text": {"width": "16"},
        "odd": {"heads": 3},
    }


def _models() -> dict[str, dict[str, Any]]:
    return {
        "dim": {"embed_dim": 10**9},
        "coca": {"multimodal_cfg": {"context_length": 76}},
        "text": {"text_cfg": "hf-hub:a/b"},
        "vision": {"vision_cfg": [{"layers": 1}]},
        "dtype": {"cast_dtype": "torch.float16"},
        "scale": {"init_logit_scale": 1e308},
    }


def _statistics() -> dict[str, Any]:
    return {
        "text": "0.5",
        "long": [0.5] * 100_000,
        "texts": ["a", "b", "c"],
        "far": [1e308] * 3,
        "lists": [[0.5], [0.5], [0.5]],
    }


def _places(file: str, outside: Path) -> dict[str, Change]:
    """What lies in the place of a file without being one of the folder."""

    def linked(target: str) -> Change:
        def change(folder: Path) -> None:
            (folder / file).unlink()
            (folder / file).symlink_to(target)

        return change

    def pipe(folder: Path) -> None:
        (folder / file).unlink()
        os.mkfifo(folder / file)

    def sparse(folder: Path) -> None:
        os.truncate(folder / file, SPARSE_BYTES)

    def directory(folder: Path) -> None:
        (folder / file).unlink()
        (folder / file).mkdir()

    return {
        f"{file}-outside": linked(str(outside / "secret")),
        f"{file}-endless": linked("/dev/zero"),
        f"{file}-loop": linked(file),
        f"{file}-pipe": pipe,
        f"{file}-sparse": sparse,
        f"{file}-folder": directory,
    }


def _edited(change: Callable[[dict[str, Any]], None]) -> Change:
    def edit(folder: Path) -> None:
        path = folder / CONFIG
        config = json.loads(path.read_text())
        change(config)
        path.write_text(json.dumps(config))

    return edit


def _vision(values: dict[str, Any]) -> Change:
    """Of the image encoder; one of another kind takes the place of all that was said."""
    own = "timm_model_name" in values or "patch_size" in values
    before = {} if own else _RESIDUAL
    return _edited(lambda c: c["model_cfg"].update(vision_cfg={**before, **values}))


def _text(values: dict[str, Any]) -> Change:
    return _edited(lambda config: config["model_cfg"]["text_cfg"].update(values))


def _model(values: dict[str, Any]) -> Change:
    return _edited(lambda config: config["model_cfg"].update(values))


def _pictures(value: Any) -> Change:
    return _edited(lambda config: config["preprocess_cfg"].update(mean=value))


def _written(file: str, data: bytes) -> Change:
    def write(folder: Path) -> None:
        (folder / file).write_bytes(data)

    return write


def _changed(file: str, values: dict[str, Any]) -> Change:
    def change(folder: Path) -> None:
        path = folder / file
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def _tensors(tensors: dict[str, torch.Tensor]) -> Change:
    def change(folder: Path) -> None:
        path = folder / "model.safetensors"
        save_file({**load_file(path), **tensors}, path)

    return change
