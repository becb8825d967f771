"""CLIP models on disk, loaded strictly: none with a random part can come out of here.

A CLIP folder is open_clip's local directory, `open_clip_config.json` and
`open_clip_model.safetensors` (or the weights under one of the names that they have on the Hugging
Face hub), and optionally `bpe_merges.txt.gz`, the vocabulary of the text encoder, cut down to the
words in use. CLIP's byte-pair encoding has 48,894 merges; the embedding of its 49,408 tokens would
be most of a small text encoder. A list of the merges that some words need, in their original order,
splits those words exactly as the full list does: at every step the best merge that applies is one
of them. Other words are split more finely, down to bytes, so that every text can still be encoded.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cfclip.embedders.clip_config import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    WEIGHTS_FILES,
    checked_model_config,
    first_in,
    read_config,
)
from cfclip.embedders.compact_clip import CompactClip, is_compact
from cfclip.embedders.tokenizer import Merge, MergesTokenizer, split_word
from cfclip.errors import CheckpointError, InputError, reason_of, shown
from cfclip.io import atomic_write, build_with, read_tensors, save_tensors, unwrapped

_HEADER = "#version: cfclip trimmed byte-pair merges"
_MOST_BYTES = 4 << 20
"""Of a list of merges, and of its file; CLIP's own has 3 million."""
_MOST_MERGES = 48_894
"""As many as CLIP has; open_clip's tokenizer reads no more either."""
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

    # Importing registers the project's own towers with timm, which open_clip builds towers by.
    import cfclip.embedders.timm_towers  # noqa: F401

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
    `cfclip.io.building.build_with` does, before memory for the model is asked for.
    """
    try:
        return build_with(lambda: _to_load(model_cfg), tensors, source, _fitting)
    except InputError as error:
        raise CheckpointError(f"{source} cannot be used: {error}") from error


def _to_load(model_cfg: Mapping[str, Any]) -> nn.Module:
    config = checked_model_config(model_cfg)
    return CompactClip(config) if is_compact(config) else build_clip_model(config)


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
    from cfclip.foreign import network_of, read_torch_file

    return network_of(read_torch_file(path), str(path))


def load_tokenizer(bpe_path: str | Path, context_length: int) -> MergesTokenizer:
    """CLIP's tokenizer with the merges of a file (gzip, one merge per line).

    Raises:
        CheckpointError: a file that is missing or not such a list.
    """
    path = Path(bpe_path)
    merges: list[Merge] = []
    # An empty line would silently become a token of its own, and shift all that follow.
    for number, line in enumerate(_text_of(path).split("\n")[1:], start=2):
        match line.split():
            case [first, second]:
                merges.append((first, second))
            case _:
                raise CheckpointError(
                    f"{path}, line {number}: {shown(line)} is not a pair of symbols"
                )
    return MergesTokenizer(merges[:_MOST_MERGES], context_length)


def _text_of(path: Path) -> str:
    """What a list of merges says. A small file that grows without end is refused as it grows."""
    try:
        with path.open("rb") as file:
            packed = file.read(_MOST_BYTES + 1)
        unpacking = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)  # gzip
        text = unpacking.decompress(packed, _MOST_BYTES)
        if len(packed) > _MOST_BYTES or unpacking.unconsumed_tail:
            raise CheckpointError(
                f"{path} holds more than {_MOST_BYTES} bytes of merges; get it again"
            )
        if not unpacking.eof or unpacking.unused_data:
            raise EOFError("it ends in the middle, or goes on after its end")
        return text.decode("utf-8")
    except FileNotFoundError:
        raise CheckpointError(
            f"{path} is missing; restore it from where the model is from"
        ) from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{path} is not a gzip file of byte-pair merges: {reason_of(error)}"
        ) from error


def trim_bpe(texts: Iterable[str], out_path: str | Path) -> int:
    """Write the merges that open_clip's full tokenizer uses for `texts`.

    Args:
        texts: words, or whole texts, that shall be split as the full tokenizer splits them.
        out_path: file to write, named `*.gz`; the same texts always give the same bytes.

    Returns:
        The vocabulary's size: 512 for bytes, one per merge, and the start and end of text.
    """
    from open_clip.tokenizer import SimpleTokenizer

    full = SimpleTokenizer()
    used: set[Merge] = set()
    for text in texts:
        for word in full.pat.findall(full.clean_fn(text)):
            symbols = "".join(full.byte_encoder[byte] for byte in word.encode())
            used |= split_word(symbols, full.bpe_ranks)[1]
    merges = sorted(used, key=full.bpe_ranks.__getitem__)
    lines = [_HEADER, *(" ".join(merge) for merge in merges)]
    with atomic_write(out_path) as temporary:
        # No time stamp, and no line break at the end: the reader would take it for a merge.
        temporary.write_bytes(gzip.compress("\n".join(lines).encode("utf-8"), mtime=0))
    return load_tokenizer(out_path, full.context_length).vocab_size
