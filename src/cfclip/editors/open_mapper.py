"""The open mapper: a latent, what CLIP sees of its picture and any text to an offset, in one pass.

It goes on from the text embedding mapping of CF-CLIP (Yu et al., ACM MM 2022), whose text mapper
knows the texts that it was trained for. What differs, so that it takes any text:

- A text enters as the difference of its embedding to that of the source's text, at its length. The
  pixel norm of the text mapper throws that length away, which tells how much the text says.
- It begins with what a linear text map gives the text (`cfclip.editors.linear_text_map`), and
  learns what has to be added for this picture.
- It sees the picture as CLIP does, besides its latent: what the latent of an inverted picture is
  made of is not what it was trained on, what CLIP sees of it is.
- One offset moves all layers (space W), which keeps what the text does not speak of best.

For the latent w, CLIP's embedding v of its picture, the texts' embeddings t_i and that of the
source's text s, with k the root of the width of embeddings:

    d = sum_i (t_i - s),  g = sum_i M(t_i)
    c = MLP([k d; g])
    h = blocks(linear([w; g; k v; k d]), c)       residual, scaled and shifted by c
    offset = g * (1 + gate(h)) + out(h)

Gate, out and the blocks begin at zero: a new one does what the linear map does.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cfclip.embedders import Embedder
from cfclip.errors import InputError
from cfclip.generators import Generator
from cfclip.io import (
    ModelFormat,
    build,
    build_with,
    facts_metadata,
    read_facts,
    read_model,
    save_model,
)
from cfclip.settings import CheckedSettings, number

FORMAT = ModelFormat("cfclip.open_mapper.v1", "open mapper")
_ABOUT_KEY = "about"
_MOST_WIDTH = 8192
_MOST_BLOCKS = 64


@dataclass(frozen=True, kw_only=True)
class OpenMapperConfig(CheckedSettings):
    """Shape of an `OpenMapper`. Raises `InputError` naming a value outside its limits."""

    w_dim: int = number(low=1, high=_MOST_WIDTH)
    """Length of a latent in W."""

    text_dim: int = number(low=1, high=_MOST_WIDTH)
    """Width of CLIP's embeddings."""

    width: int = number(512, 1, _MOST_WIDTH)
    """Features of the blocks."""

    blocks: int = number(4, 1, _MOST_BLOCKS)
    """Residual blocks."""

    models: Mapping[str, str] = field(default_factory=dict)
    """File name to SHA-256 of the generator and embedder it was trained for, see
    `Pack.mapped_models`."""


class _Block(nn.Module):
    """A residual block that is scaled and shifted by what the text is; new ones change nothing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(width, 2 * width)
        self.first = nn.Linear(width, 2 * width)
        self.second = nn.Linear(2 * width, width)
        for layer in (self.modulation, self.second):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor, text: Tensor) -> Tensor:
        scale, shift = self.modulation(text).chunk(2, -1)
        normed = functional.layer_norm(features, features.shape[-1:])
        modulated = self.first(normed * (1.0 + scale) + shift)
        added: Tensor = self.second(functional.silu(modulated))
        return features + added


class OpenMapper(nn.Module):
    """A latent, what is seen of its picture and a text to what an edit adds to the latent."""

    centre: Tensor
    spread: Tensor

    def __init__(self, config: OpenMapperConfig) -> None:
        super().__init__()
        self.config = config
        w_dim, text_dim, width = config.w_dim, config.text_dim, config.width
        self.register_buffer("centre", torch.zeros(w_dim))
        self.register_buffer("spread", torch.ones(()))
        self.guess = nn.Linear(text_dim, w_dim)
        nn.init.zeros_(self.guess.weight)
        nn.init.zeros_(self.guess.bias)
        self.text = nn.Sequential(
            nn.Linear(text_dim + w_dim, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        self.entry = nn.Linear(2 * w_dim + 2 * text_dim, width)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(config.blocks))
        self.gate = nn.Linear(width, w_dim)
        self.out = nn.Linear(width, w_dim)
        for layer in (self.gate, self.out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    @torch.no_grad()
    def begin_with(
        self, latents: Tensor, text_map: tuple[Tensor, Tensor] | None = None
    ) -> "OpenMapper":
        """Take centre and spread of latents `(n, w_dim)`, and weight and bias of a linear map of
        texts to offsets in W as the guess, which else is none."""
        self.centre.copy_(latents.mean(0))
        self.spread.copy_(latents.std(0).mean())
        if text_map is not None:
            for own, given in zip((self.guess.weight, self.guess.bias), text_map, strict=True):
                own.copy_(given)
        return self

    def check_fits(self, generator: Generator, embedder: Embedder) -> None:
        """Raise `InputError` unless the mapper is for this generator and embedder, by size."""
        found = (self.config.w_dim, self.config.text_dim)
        expected = (generator.w_dim, embedder.dim)
        if found != expected:
            raise InputError(
                f"the open mapper has (w_dim, text_dim) {found}, these models need {expected}; "
                "train one for them (cfclip train --open)"
            )

    def codes(self, texts: Tensor, source: Tensor) -> Tensor:
        """What the texts of an edit are to `forward`, `(batch, text_dim + w_dim)`.

        Args:
            texts: unit embeddings `(batch, prompts, text_dim)`, which together make an edit.
            source: `(text_dim,)`, of the text of the source.
        """
        return torch.cat([(texts - source).sum(1), self.guess(texts).sum(1)], 1)

    def forward(self, w: Tensor, seen: Tensor, codes: Tensor) -> Tensor:
        """The offset `(batch, w_dim)` at strength 1.

        Args:
            w: `(batch, w_dim)`, of a code in W+ the mean of its rows.
            seen: unit embeddings `(batch, text_dim)` of the pictures.
            codes: of `codes`, `(1, ...)` for all pictures or `(batch, ...)`.

        Raises:
            InputError: other shapes.
        """
        sizes, found = self.config, (w.shape[-1], seen.shape[-1], codes.shape[-1])
        expected = (sizes.w_dim, sizes.text_dim, sizes.text_dim + sizes.w_dim)
        if found != expected or len(codes) not in (1, len(w)):
            raise InputError(
                f"latents, embeddings and codes have widths {found} ({len(codes)} codes for "
                f"{len(w)} latents), expected {expected}"
            )
        scale = sizes.text_dim**0.5
        said, guess = codes.expand(len(w), -1).split((sizes.text_dim, sizes.w_dim), 1)
        near, said = guess / self.spread, scale * said
        text = self.text(torch.cat([said, near], 1))
        place = (w - self.centre) / self.spread
        features = self.entry(torch.cat([place, near, scale * seen, said], 1))
        for block in self.blocks:
            features = block(features, text)
        moved: Tensor = guess * (1.0 + self.gate(features)) + self.spread * self.out(features)
        return moved


def save_open_mapper(
    mapper: OpenMapper,
    path: str | Path,
    metadata: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write weights and configuration to one safetensors file, atomically.

    Matrices are stored as `dtype`, of which float16 halves the file. `metadata` says where the
    mapper belongs, in JSON values. Raises `InputError` for other values, `CheckpointError` when a
    weight is not finite as stored.
    """
    facts = facts_metadata(_ABOUT_KEY, metadata or {})
    save_model(mapper, asdict(mapper.config), FORMAT, path, facts, dtype)


def load_open_mapper(path: str | Path, device: str | torch.device = "cpu") -> OpenMapper:
    """Read a mapper that `save_open_mapper` wrote: float32, eval mode, no gradients.

    Raises `CheckpointError`, naming the tensors, when the file is missing, damaged, of another
    kind, or holds unknown, missing, misshapen or non-finite tensors.
    """
    config, tensors = read_model(path, FORMAT, partial(build, OpenMapperConfig))
    mapper = build_with(lambda: OpenMapper(config), tensors, str(path))
    return mapper.eval().requires_grad_(False).to(device)


def open_mapper_metadata(path: str | Path) -> dict[str, Any]:
    """The `metadata` that `save_open_mapper` was given, without reading the weights.

    Raises `CheckpointError` when the file is missing, damaged or of another kind.
    """
    return read_facts(path, FORMAT, _ABOUT_KEY)
