"""The text mapper of CF-CLIP: W+ codes and a text to edited W+ codes, in one pass.

Source: Yu et al., "Towards Counterfactual Image Manipulation via CLIP" (ACM MM 2022), text
embedding mapping. For the raw feature t of the bare prompt and each layer i of the generator:

    code_i = MappingNetwork_i(t)                        the text code of the layer
    h_i    = activation(linear([w_i; code_i]))          latent and text, fused
    w'_i   = w_i + strength * step_scale * delta_i      delta: the `LatentMapper` of all h

A mapping network begins with a pixel norm, so the length of t does not matter. Without text
networks (`text_layout` "none"), h is w: the mapper of StyleCLIP, which knows one edit.
"""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cfclip.editors.latent_mapper import LatentMapper, MappingNetwork
from cfclip.editors.mapper_config import TextMapperConfig
from cfclip.errors import CheckpointError, InputError
from cfclip.generators import EqualLinear, scaled_leaky_relu
from cfclip.io import (
    ModelFormat,
    build,
    build_with,
    facts_metadata,
    read_facts,
    read_model,
    save_model,
)
from cfclip.tensors import check_latents

__all__ = [
    "BEST",
    "LAST",
    "TextMapper",
    "TextMapperConfig",
    "load_text_mapper",
    "mapper_file",
    "mapper_runs",
    "save_text_mapper",
    "text_mapper_metadata",
]

FORMAT = ModelFormat("cfclip.text_mapper.v1", "text mapper")

BEST = "best.safetensors"
LAST = "last.safetensors"
"""The mappers in the folder of a training: of the best validation, and of the end."""

_ABOUT_KEY = "about"


class TextMapper(nn.Module):
    """W+ codes and a text to what an edit adds to the codes.

    Wherever a method takes a `text`, it takes one of

    - `(text_dim,)`: the raw feature of one prompt for all images, as `Embedder.text_features`
      gives it;
    - `(batch, text_dim)`: a prompt for each image;
    - `(1, num_ws, w_dim)` or `(batch, num_ws, w_dim)`: what `text_codes` made of either, so that
      many images need the text networks once.
    """

    def __init__(self, config: TextMapperConfig) -> None:
        super().__init__()
        self.config = config
        self.text_mappers = nn.ModuleDict(
            {str(layer): MappingNetwork(config.text_dim, config) for layer in config.text_layers}
        )
        if config.reads_text:
            self.fusion = EqualLinear(
                2 * config.w_dim, config.w_dim, lr_multiplier=config.lr_multiplier
            )
        self.mapper = LatentMapper(config)

    def text_codes(self, text: Tensor) -> Tensor:
        """Raw features `(text_dim,)` or `(prompts, text_dim)` to `(1 or prompts, num_ws, w_dim)`.

        Rows of layers without a text network are zero. Raises `InputError` for another shape.
        """
        if text.ndim not in (1, 2) or text.shape[-1] != self.config.text_dim:
            raise InputError(
                f"text has shape {tuple(text.shape)}, expected ({self.config.text_dim},) or "
                f"(batch, {self.config.text_dim})"
            )
        # A row of its own for the layer, as a mapping network expects.
        features = torch.atleast_2d(text).unsqueeze(1)
        nothing = features.new_zeros(len(features), 1, self.config.w_dim)
        codes = [nothing] * self.config.num_ws
        for layer, mapping in self.text_mappers.items():
            codes[int(layer)] = mapping(features)
        return torch.cat(codes, 1)

    def forward(self, ws: Tensor, text: Tensor) -> Tensor:
        """W+ codes `(batch, num_ws, w_dim)` to deltas of that shape, in units of `step_scale`.

        Rows of groups that are switched off are zero. Raises `InputError` for other shapes.
        """
        check_latents(ws, self.config.num_ws, self.config.w_dim)
        codes = text if text.ndim == ws.ndim else self.text_codes(text)
        if len(codes) not in (1, len(ws)) or codes.shape[1:] != ws.shape[1:]:
            raise InputError(
                f"text has shape {tuple(text.shape)} for latents {tuple(ws.shape)}, expected one "
                "text, or one for each image"
            )
        if not self.config.reads_text:
            return self.mapper(ws)
        fused = self.fusion(torch.cat([ws, codes.expand_as(ws)], -1))
        return self.mapper(scaled_leaky_relu(fused))

    def offset(self, ws: Tensor, text: Tensor) -> Tensor:
        """`step_scale * delta`, `(batch, num_ws, w_dim)`: what an edit adds at strength 1.

        Raises `InputError` for other shapes.
        """
        return self.config.step_scale * self(ws, text)

    def edit(self, ws: Tensor, text: Tensor, strength: float = 1.0) -> Tensor:
        """`ws + strength * step_scale * delta`, `(batch, num_ws, w_dim)`; differentiable.

        The one way from latents to edited latents: training and inference both use it. Raises
        `InputError` for other shapes.
        """
        return ws + strength * self.offset(ws, text)


def save_text_mapper(
    mapper: TextMapper,
    path: str | Path,
    metadata: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write weights and configuration to one safetensors file, atomically.

    Matrices are stored as `dtype`, of which float16 halves the file; biases stay float32.
    `metadata` says where the mapper belongs, such as its pack, the hash of its generator and the
    prompts it was trained on, in JSON values; `text_mapper_metadata` gives it back. Raises
    `InputError` for other values, `CheckpointError` when a weight is not finite as stored.
    """
    facts = facts_metadata(_ABOUT_KEY, metadata or {})
    save_model(mapper, asdict(mapper.config), FORMAT, path, facts, dtype)


def load_text_mapper(path: str | Path, device: str | torch.device = "cpu") -> TextMapper:
    """Read a mapper that `save_text_mapper` wrote: float32, eval mode, no gradients.

    Raises `CheckpointError`, naming the tensors, when the file is missing, damaged, of another
    kind, or holds unknown, missing, misshapen or non-finite tensors.
    """
    config, tensors = read_model(path, FORMAT, partial(build, TextMapperConfig))
    mapper = build_with(lambda: TextMapper(config), tensors, str(path))
    return mapper.eval().requires_grad_(False).to(device)


def text_mapper_metadata(path: str | Path) -> dict[str, Any]:
    """The `metadata` that `save_text_mapper` was given, without reading the weights.

    Raises `CheckpointError` when the file is missing, damaged or of another kind.
    """
    return read_facts(path, FORMAT, _ABOUT_KEY)


def mapper_file(run_or_file: str | Path) -> Path:
    """The file of a mapper: the one given, or the better one in the folder of a training.

    Raises `CheckpointError` when there is none.
    """
    path = Path(run_or_file)
    if not path.is_dir():
        if not path.is_file():
            raise CheckpointError(f"there is no mapper {path}; train one with cfclip train")
        return path
    found = _better_in(path)
    if found is None:
        raise CheckpointError(
            f"{path} has no mapper yet ({BEST}); train on, or give another folder"
        )
    return found


def mapper_runs(path: str | Path) -> list[Path]:
    """The trainings in a folder that is none itself, in the order of their names; else the path.

    Those that have no mapper yet are left out.
    """
    folder = Path(path)
    if not folder.is_dir() or _better_in(folder) is not None:
        return [folder]
    found = sorted({file.parent for name in (BEST, LAST) for file in folder.glob(f"*/{name}")})
    return found or [folder]


def _better_in(folder: Path) -> Path | None:
    """The better mapper in the folder of a training, if it has one."""
    return next((folder / name for name in (BEST, LAST) if (folder / name).is_file()), None)
