"""CLIP folders of Hugging Face's transformers: `config.json` and the weights of a `CLIPModel`.

Only names differ from OpenAI's: queries, keys and values are three matrices instead of one, and
projections are stored transposed. The text encoder takes the last token of a text, as OpenAI's.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cfclip.embedders.clip_config import (
    PREPROCESSOR_FILE,
    TRANSFORMERS_CONFIG_FILE,
    TRANSFORMERS_WEIGHTS_FILES,
    checked_statistics,
    first_in,
    read_transformers_config,
    table_in,
)
from cfclip.embedders.clip_files import read_weights
from cfclip.embedders.clip_weights import openai_config
from cfclip.errors import CheckpointError, InputError, shown

_ACTIVATIONS = {"quick_gelu": True, "gelu": False}
_EPS = 1e-5
_DEFAULT_HEADS = {"vision": 12, "text": 8}
_DEFAULT_ACTIVATION = "quick_gelu"
"""What transformers leaves out of a `config.json` when it is as usual."""

_TOWERS = {"vision_model": "visual.", "text_model": ""}
_PLAIN = {
    "visual_projection.weight": ("visual.proj", True),
    "text_projection.weight": ("text_projection", True),
    "logit_scale": ("logit_scale", False),
    "vision_model.embeddings.class_embedding": ("visual.class_embedding", False),
    "vision_model.embeddings.patch_embedding.weight": ("visual.conv1.weight", False),
    "vision_model.embeddings.position_embedding.weight": ("visual.positional_embedding", False),
    "vision_model.pre_layrnorm.weight": ("visual.ln_pre.weight", False),
    "vision_model.pre_layrnorm.bias": ("visual.ln_pre.bias", False),
    "vision_model.post_layernorm.weight": ("visual.ln_post.weight", False),
    "vision_model.post_layernorm.bias": ("visual.ln_post.bias", False),
    "text_model.embeddings.token_embedding.weight": ("token_embedding.weight", False),
    "text_model.embeddings.position_embedding.weight": ("positional_embedding", False),
    "text_model.final_layer_norm.weight": ("ln_final.weight", False),
    "text_model.final_layer_norm.bias": ("ln_final.bias", False),
}
"""Their name to ours, and whether the matrix is transposed."""
_LAYER_PARTS = {
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_LAYER = re.compile(r"(vision_model|text_model)\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")
_QUERIES = "self_attn.q_proj"
_KEYS_AND_VALUES = ("self_attn.k_proj", "self_attn.v_proj")


def read_huggingface_clip(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors by open_clip's names, and `{"model_cfg": ..., "preprocess_cfg": ...}`.

    Raises `CheckpointError` for files that are missing or damaged, and a model of another kind.
    """
    source = str(folder / TRANSFORMERS_CONFIG_FILE)
    config = read_transformers_config(folder)
    preprocessing = table_in(folder, PREPROCESSOR_FILE)
    given = {each: preprocessing.get(f"image_{each}") for each in ("mean", "std")}
    try:
        statistics = checked_statistics(given)
    except InputError as error:
        raise CheckpointError(f"{folder / PREPROCESSOR_FILE}: {error}; get it again") from error
    if lacking := given.keys() - statistics.keys():
        raise CheckpointError(
            f"{folder / PREPROCESSOR_FILE} lacks image_{min(lacking)}; get it again"
        )
    tensors = _renamed(read_weights(first_in(folder, TRANSFORMERS_WEIGHTS_FILES)), str(folder))
    model_cfg = openai_config(tensors, str(folder))
    for name in ("vision", "text"):
        _adapt(model_cfg[f"{name}_cfg"], _part(config, name, source), name, tensors, source)
    model_cfg["quick_gelu"] = _quick_gelu(config, source)
    return tensors, {"model_cfg": model_cfg, "preprocess_cfg": statistics}


def _adapt(cfg: dict[str, Any], part: Mapping[str, Any], name: str, tensors: Mapping[str, Tensor],
           source: str) -> None:  # fmt: skip
    """Put into `cfg` what a configuration of transformers says and shapes do not."""
    eps = part.get("layer_norm_eps", _EPS)
    heads = part.get("num_attention_heads", _DEFAULT_HEADS[name])
    if eps != _EPS or type(heads) is not int or heads < 1 or cfg["width"] % heads:
        raise CheckpointError(
            f"{source}: {name}_config has layer_norm_eps {shown(eps)} and {shown(heads)} heads for "
            f"a width of {cfg['width']}; a CLIP has {_EPS} and a divisor of the width"
        )
    if name == "vision":
        cfg["head_width"] = cfg["width"] // heads
    else:
        cfg["heads"] = heads
    first = f"{_TOWERS[f'{name}_model']}transformer.resblocks.0.mlp.c_fc.weight"
    if first in tensors and tensors[first].ndim:
        cfg["mlp_ratio"] = tensors[first].shape[0] / cfg["width"]


def _quick_gelu(config: Mapping[str, Any], source: str) -> bool:
    vision, text = (
        _part(config, name, source).get("hidden_act", _DEFAULT_ACTIVATION)
        for name in ("vision", "text")
    )
    if vision != text or not isinstance(text, str) or text not in _ACTIVATIONS:
        raise CheckpointError(
            f"{source}: hidden_act is {shown(vision)} and {shown(text)}; both towers must have one "
            f"of {', '.join(_ACTIVATIONS)}"
        )
    return _ACTIVATIONS[text]


def _part(config: Mapping[str, Any], name: str, source: str) -> Mapping[str, Any]:
    # Older folders keep what differs from the defaults in a second table, which then counts.
    tables = [config.get(key) or {} for key in (f"{name}_config", f"{name}_config_dict")]
    if not all(isinstance(table, dict) for table in tables):
        raise CheckpointError(f"{source}: {name}_config is not a table; get it again")
    return {**tables[0], **tables[1]}


def _renamed(theirs: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """Tensors by open_clip's names; what is not known keeps its name, and is refused later."""
    ours: dict[str, Tensor] = {}
    for name, tensor in theirs.items():
        if name in _PLAIN:
            new, transposed = _PLAIN[name]
            ours[new] = tensor.T if transposed and tensor.ndim == 2 else tensor
            continue
        match = _LAYER.fullmatch(name)
        if match is None:
            ours[name] = tensor
            continue
        tower, index, part, kind = match.groups()
        block = f"{_TOWERS[tower]}transformer.resblocks.{index}"
        if part in _LAYER_PARTS:
            ours[f"{block}.{_LAYER_PARTS[part]}.{kind}"] = tensor
        elif part == _QUERIES:
            ours[f"{block}.attn.in_proj_{kind}"] = _joined(theirs, name, source)
        elif part not in _KEYS_AND_VALUES:
            ours[name] = tensor
    return ours


def _joined(theirs: Mapping[str, Tensor], name: str, source: str) -> Tensor:
    """Queries, keys and values of one layer in one tensor."""
    names = [name, *(name.replace(_QUERIES, part) for part in _KEYS_AND_VALUES)]
    if missing := [each for each in names if each not in theirs]:
        raise CheckpointError(f"{source} lacks {', '.join(missing)}; get the weights again")
    if len({theirs[each].shape for each in names}) > 1 or not theirs[name].ndim:
        raise CheckpointError(f"{source}: {', '.join(names)} differ in shape; get it again")
    return torch.cat([theirs[each] for each in names])
