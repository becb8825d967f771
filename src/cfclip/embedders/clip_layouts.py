"""How a CLIP is built, read from the shapes of its tensors: for files that bring no configuration.

The names are those of OpenAI's CLIP, which open_clip keeps. Sizes follow from shapes; the number of
attention heads and the activation do not, and OpenAI's are taken: heads 64 wide, QuickGELU.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from cfclip.errors import CheckpointError

OPENAI_HEAD_WIDTH = 64
"""Channels of an attention head in every CLIP of OpenAI (Radford et al. 2021, table 19)."""

_RESIDUAL_STAGES = (1, 2, 3, 4)
_RESIDUAL_REDUCTION = 32
"""The residual towers' last map is this much smaller than the picture."""

_MARKS = ("input_resolution", "context_length", "vocab_size")
_MASK = re.compile(r"(.+\.)?attn_mask")


def is_openai(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the tensors of an archive are OpenAI's: theirs keep three sizes among the weights."""
    return all(name in tensors for name in _MARKS)


def without_constants(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` without those that OpenAI's archives keep beside the weights: sizes and masks."""
    return {
        name: value
        for name, value in tensors.items()
        if name not in _MARKS and not _MASK.fullmatch(name)
    }


def openai_config(tensors: Mapping[str, Tensor], source: str) -> dict[str, Any]:
    """The `model_cfg` of open_clip for the weights of a CLIP of OpenAI's, QuickGELU included.

    Raises `CheckpointError` that starts with `source` for tensors of another kind of model.
    """

    def side(name: str, axis: int) -> int:
        if name not in tensors or tensors[name].ndim <= axis:
            raise CheckpointError(
                f"{source} is not a CLIP as OpenAI's: no tensor {name} of {axis + 1} or more axes; "
                "give MODEL:FILE with the name of its open_clip configuration"
            )
        if not tensors[name].shape[axis]:
            raise CheckpointError(f"{source}: its tensor {name} is empty; get the file again")
        return tensors[name].shape[axis]

    width = side("ln_final.weight", 0)
    text = {
        "context_length": side("positional_embedding", 0),
        "vocab_size": side("token_embedding.weight", 0),
        "width": width,
        "heads": max(1, width // OPENAI_HEAD_WIDTH),
        "layers": _count(tensors, r"transformer\.resblocks\.(\d+)\."),
    }
    if "visual.proj" in tensors:
        patch = side("visual.conv1.weight", 3)
        cells = side("visual.positional_embedding", 0) - 1
        vision: dict[str, Any] = {
            "image_size": patch * _root(cells, source),
            "patch_size": patch,
            "width": side("visual.conv1.weight", 0),
            "layers": _count(tensors, r"visual\.transformer\.resblocks\.(\d+)\."),
            "head_width": OPENAI_HEAD_WIDTH,
        }
    else:
        cells = side("visual.attnpool.positional_embedding", 0) - 1
        vision = {
            "image_size": _RESIDUAL_REDUCTION * _root(cells, source),
            "width": side("visual.layer1.0.conv1.weight", 0),
            "layers": [
                _count(tensors, rf"visual\.layer{stage}\.(\d+)\.") for stage in _RESIDUAL_STAGES
            ],
        }
    return {
        "embed_dim": side("text_projection", 1),
        "quick_gelu": True,
        "vision_cfg": vision,
        "text_cfg": text,
    }


def _count(tensors: Mapping[str, Tensor], numbered: str) -> int:
    pattern = re.compile(numbered)
    return len({match[1] for name in tensors if (match := pattern.match(name))})


def _root(cells: int, source: str) -> int:
    side = round(max(cells, 0) ** 0.5)
    if not side or side * side != cells:
        raise CheckpointError(f"{source}: its image encoder reads {cells} patches, not a square")
    return side
