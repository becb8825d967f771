"""The reference's tiny CLIP in every form that CLIPs are handed around in."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from golden_cases import golden
from safetensors.torch import save_file
from torch import Tensor

from recipes.rehearsal import forms

HALF = [0.5, 0.5, 0.5]
SIZES = {"input_resolution": 64, "context_length": 77, "vocab_size": 49408}


def openai_tensors() -> dict[str, Tensor]:
    """The weights by OpenAI's names."""
    return dict(golden("openai_clip_tiny")[0])


def write_archive(path: Path, tensors: dict[str, Tensor], sizes: Mapping[str, int] = SIZES) -> None:
    """A TorchScript archive as OpenAI publishes them, sizes among its buffers."""
    forms.write_archive(path, tensors, sizes)


def huggingface_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """OpenAI's weights by the names of transformers' `CLIPModel`."""
    parts = {
        "attn.out_proj": "self_attn.out_proj",
        "ln_1": "layer_norm1",
        "ln_2": "layer_norm2",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
    }
    vision, text = "vision_model.", "text_model."
    plain = {
        "visual.class_embedding": vision + "embeddings.class_embedding",
        "visual.positional_embedding": vision + "embeddings.position_embedding.weight",
        "visual.conv1.weight": vision + "embeddings.patch_embedding.weight",
        "visual.ln_pre.weight": vision + "pre_layrnorm.weight",
        "visual.ln_pre.bias": vision + "pre_layrnorm.bias",
        "visual.ln_post.weight": vision + "post_layernorm.weight",
        "visual.ln_post.bias": vision + "post_layernorm.bias",
        "positional_embedding": text + "embeddings.position_embedding.weight",
        "token_embedding.weight": text + "embeddings.token_embedding.weight",
        "ln_final.weight": text + "final_layer_norm.weight",
        "ln_final.bias": text + "final_layer_norm.bias",
        "logit_scale": "logit_scale",
    }
    theirs: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name in ("visual.proj", "text_projection"):
            owner = "visual_projection" if name == "visual.proj" else name
            theirs[f"{owner}.weight"] = tensor.T.contiguous()
        elif name in plain:
            theirs[plain[name]] = tensor
        elif "resblocks" not in name:
            theirs[name] = tensor
        else:
            tower = vision if name.startswith("visual.") else text
            rest = name.split("resblocks.")[1]
            index, part = rest.split(".", 1)
            layer = f"{tower}encoder.layers.{index}."
            if part.startswith("attn.in_proj_"):
                kind = part.removeprefix("attn.in_proj_")
                for letter, third in zip("qkv", tensor.chunk(3), strict=True):
                    theirs[f"{layer}self_attn.{letter}_proj.{kind}"] = third.contiguous()
            else:
                owner, kind = part.rsplit(".", 1)
                theirs[f"{layer}{parts[owner]}.{kind}"] = tensor
    for tower, count in ((vision, 17), (text, 77)):
        theirs[f"{tower}embeddings.position_ids"] = torch.arange(count)[None]
    return theirs


def write_weights(folder: Path, tensors: dict[str, Tensor]) -> None:
    """The weights of a folder of transformers, from OpenAI's."""
    save_file(huggingface_tensors(tensors), folder / "model.safetensors")


def write_huggingface(folder: Path, tensors: dict[str, Tensor]) -> None:
    """A folder of transformers."""
    folder.mkdir()
    write_weights(folder, tensors)
    config = {
        "model_type": "clip",
        "vision_config": {"num_attention_heads": 1},
        "text_config": {"num_attention_heads": 1},
    }
    (folder / "config.json").write_text(json.dumps(config))
    statistics = {"image_mean": HALF, "image_std": HALF}
    (folder / "preprocessor_config.json").write_text(json.dumps(statistics))
