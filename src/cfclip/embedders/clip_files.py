"""CLIP models on disk, loaded strictly: none with a random part can come out of here.

A CLIP folder is open_clip's local directory, `open_clip_config.json` and
`open_clip_model.safetensors`, and optionally `bpe_merges.txt.gz`, the trimmed vocabulary of the
text encoder (see `cfclip.embedders.bpe`).
"""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cfclip.errors import CheckpointError, InputError
from cfclip.files import atomic_write

CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"
MERGES_FILE = "bpe_merges.txt.gz"

# How many tensor names an error lists.
_NAMED = 5


def build_clip_model(model_cfg: Mapping[str, Any]) -> nn.Module:
    """An untrained open_clip model from the `model_cfg` of an open_clip config file.

    Args:
        model_cfg: `embed_dim`, `vision_cfg`, `text_cfg`, optionally `quick_gelu` (which weights by
            OpenAI need) and `custom_text`.

    Raises:
        InputError: a config that open_clip cannot build.
    """
    from open_clip.model import CLIP, CustomTextCLIP

    config: dict[str, Any] = copy.deepcopy(dict(model_cfg))
    try:
        vision, text = config["vision_cfg"], config["text_cfg"]
        custom_text = bool(config.pop("custom_text", False)) or "hf_model_name" in text
        # Towers of other libraries must not fetch weights of their own.
        if "timm_model_name" in vision:
            vision["timm_model_pretrained"] = False
        if "hf_model_name" in text:
            text["hf_model_pretrained"] = False
        return (CustomTextCLIP if custom_text else CLIP)(**config)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"open_clip cannot build this model config ({type(error).__name__}: {error}); it needs "
            "embed_dim, vision_cfg and text_cfg as in open_clip's own config files"
        ) from error


def save_clip(
    model: nn.Module,
    model_cfg: Mapping[str, Any],
    preprocess_cfg: Mapping[str, Any],
    folder: str | Path,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write a model's config and weights as a CLIP folder.

    The matrices and kernels are stored as `dtype`; vectors (biases, norms and their running
    statistics) keep their own type, since half precision would lose small variances.

    Args:
        model: what `build_clip_model(model_cfg)` gave, trained.
        model_cfg: its config.
        preprocess_cfg: `mean` and `std`, three numbers each, of images in [0, 1].
        folder: made if it does not exist.
        dtype: float16, bfloat16 or float32.

    Raises:
        CheckpointError: weights that are not finite, in the model or in `dtype`.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: tensor.detach().to("cpu", dtype if tensor.ndim > 1 else None).contiguous()
        for name, tensor in model.state_dict().items()
    }
    _check_finite(state, f"the model, stored as {dtype},")
    config = {"model_cfg": dict(model_cfg), "preprocess_cfg": dict(preprocess_cfg)}
    with atomic_write(folder / WEIGHTS_FILE) as temporary:
        save_file(state, str(temporary))
    with atomic_write(folder / CONFIG_FILE) as temporary:
        temporary.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def read_clip(folder: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """The model of a CLIP folder, float32 on the CPU, and its config file.

    Raises:
        CheckpointError: files that are missing or damaged, weights that do not fit the config.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(folder)
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise CheckpointError(
                f"{folder / name} is missing; restore the folder from where the model is from"
            )
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        model = build_clip_model(config["model_cfg"])
    except (ValueError, KeyError, TypeError, InputError) as error:
        raise CheckpointError(f"{folder / CONFIG_FILE} is not a CLIP config: {error}") from error
    try:
        state = load_file(folder / WEIGHTS_FILE)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{folder / WEIGHTS_FILE} is damaged: {error}") from error
    load_weights(model, state, str(folder / WEIGHTS_FILE))
    return model, config


def load_weights(model: nn.Module, state: Mapping[str, torch.Tensor], name: str) -> None:
    """Load every tensor of `state` into `model` (which keeps its types), or raise.

    Raises:
        CheckpointError: tensors that are missing, unknown, of another shape or not finite; the
            message calls the weights `name` and names the tensors.
    """
    expected = model.state_dict()
    problems = {
        "missing": sorted(expected.keys() - state.keys()),
        "unknown": sorted(state.keys() - expected.keys()),
        "of another shape": sorted(
            f"{key} {tuple(state[key].shape)} for {tuple(expected[key].shape)}"
            for key in expected.keys() & state.keys()
            if state[key].shape != expected[key].shape
        ),
    }
    found = [f"{_named(keys)} {problem}" for problem, keys in problems.items() if keys]
    if found:
        raise CheckpointError(
            f"{name} does not fit its config: {'; '.join(found)}. Use the weights and the config "
            "of one model"
        )
    _check_finite(state, name)
    model.load_state_dict(state, strict=True)


def _check_finite(state: Mapping[str, torch.Tensor], name: str) -> None:
    bad = sorted(key for key, tensor in state.items() if not torch.isfinite(tensor).all())
    if bad:
        raise CheckpointError(f"{name} has values that are not finite, in {_named(bad)}")


def _named(keys: list[str]) -> str:
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return ", ".join(keys[:_NAMED]) + more
