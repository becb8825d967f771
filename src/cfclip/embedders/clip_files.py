"""CLIP models on disk, loaded strictly: none with a random part can come out of here.

A CLIP folder is open_clip's local directory, `open_clip_config.json` and
`open_clip_model.safetensors` (or the weights under one of the names that they have on the Hugging
Face hub), and optionally `bpe_merges.txt.gz`, the trimmed vocabulary of the text encoder (see
`cfclip.embedders.bpe`).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cfclip.embedders.clip_config import checked_model_config
from cfclip.embedders.clip_folders import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    WEIGHTS_FILES,
    first_in,
    read_config,
)
from cfclip.errors import CheckpointError, InputError, reason_of
from cfclip.foreign.state_dicts import network_of, unwrapped
from cfclip.foreign.torch_files import read_torch_file
from cfclip.io.files import atomic_write
from cfclip.io.weights import build_with, read_tensors, save_tensors, shapes_of

_NOUN = "CLIP"
_BIAS = "logit_bias"
_SCALES = ("logit_scale", _BIAS)
_UNUSED = ".position_ids"
"""Of text encoders by transformers: a count from 0 on, in older files."""


def build_clip_model(model_cfg: Mapping[str, Any]) -> nn.Module:
    """An untrained open_clip model from the `model_cfg` of an open_clip config file.

    Args:
        model_cfg: `embed_dim`, `vision_cfg`, `text_cfg`, optionally `quick_gelu` (which weights by
            OpenAI need) and others; see `cfclip.embedders.clip_config`.

    Raises:
        InputError: a config that is not of a CLIP that can be used, or that open_clip cannot build.
    """
    from open_clip.model import CLIP, CustomTextCLIP

    # Importing registers the project's own tower with timm, which open_clip builds towers by.
    import cfclip.embedders.towers  # noqa: F401

    config = checked_model_config(model_cfg)
    kind = CustomTextCLIP if config.pop("custom_text", False) else CLIP
    try:
        return kind(**config)
    # With sizes that do not go together, libraries fail in any of these ways.
    except (LookupError, TypeError, ValueError, RuntimeError, ArithmeticError, AssertionError,
            AttributeError) as error:  # fmt: skip
        raise InputError(
            f"open_clip cannot build this model config ({type(error).__name__}: "
            f"{reason_of(error)}); use the configuration that the weights were trained with"
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
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": dict(model_cfg), "preprocess_cfg": dict(preprocess_cfg)}
    save_tensors(model.state_dict(), folder / WEIGHTS_FILE, _NOUN, dtype=dtype)
    with atomic_write(folder / CONFIG_FILE) as temporary:
        temporary.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def read_clip(folder: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """The model of a CLIP folder, float32 on the CPU, and its config file.

    Raises:
        CheckpointError: files that are missing or damaged, weights that do not fit the config.
    """
    folder = Path(folder)
    config = read_config(folder)
    weights = first_in(folder, WEIGHTS_FILES)
    tensors = read_weights(weights)
    return clip_with_weights(config["model_cfg"], tensors, str(weights)), config


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of safetensors or of `torch.save`, told apart by its name.

    Raises `CheckpointError` when the file is missing or damaged, or holds no state dict.
    """
    if path.suffix == ".safetensors":
        return read_tensors(path, _NOUN)[0]
    return state_dict_in(path)


def clip_with_weights(
    model_cfg: Mapping[str, Any], tensors: Mapping[str, Tensor], source: str
) -> nn.Module:
    """The model of a config with a state dict by open_clip's names, loaded strictly.

    The marks of a training on several processes ("module.") are taken off, the text tower moves to
    where the model has it, and a scale that is stored as one number or as a vector of one fits.
    Raises `CheckpointError` where `build_clip_model` refuses the config, and as
    `cfclip.io.weights.build_with` does, before memory for the model is asked for.
    """
    try:
        own = shapes_of(lambda: build_clip_model(model_cfg), source)
        return build_with(lambda: build_clip_model(model_cfg), _fitting(own, tensors), source)
    except InputError as error:
        raise CheckpointError(f"{source} cannot be used: {error}") from error


def _fitting(
    own: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """`tensors` by the names that a model has, as far as they are of it."""
    fitting: dict[str, Tensor] = {}
    for name, tensor in unwrapped(tensors).items():
        if name not in own and f"text.{name}" in own:
            name = f"text.{name}"
        if name in _SCALES and name in own and tensor.numel() == 1:
            tensor = tensor.reshape(own[name])
        if name == _BIAS and name not in own:
            continue  # of the sigmoid loss: features do not depend on it
        if name in own or not name.endswith(_UNUSED):
            fitting[name] = tensor
    return fitting


def state_dict_in(path: str | Path) -> dict[str, Tensor]:
    """The state dict of a file of `torch.save`, by itself or in a checkpoint.

    Raises `CheckpointError` when the file is missing, damaged, or holds none.
    """
    return network_of(read_torch_file(path), str(path))
