"""The linear text map M: from the CLIP embedding of a text to the latent of a picture it describes.

An edit that starts from the text begins at an offset in W that is made of M(E(t)), with E the
unit-length embedding of the bare text, without templates, as captions are fitted. M leads to W, one
code for all layers, and not to W+: the codes of what a generator makes lie in W, a picture's own
deviations from it are no matter of its caption, and the same captions then fit a `num_ws`-th of the
numbers.

M(E("green hair")) describes a whole picture, average but for its green hair. Fusion is what takes
the rest of it away again; each of several texts adds its own offset, as in the objectives:

    add          M(E(t)) - w_avg
    difference   M(E(t)) - M(E(t0)), with t0 the text of the source: better where the fitted
                 pictures are not distributed like those of the generator, since their mean drops
                 out (on pairs with unnatural colours it moved avatars by 2.1 instead of 4.3)
    concatenate  P [w; M(E(t))], a linear map of the source's code and the mapped text. It is fitted
                 to the change of the code, not to the changed code: as ridge shrinks what it fits,
                 little data then means little change instead of a source drawn to the mean.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cfclip.editors.editor import EditRequest
from cfclip.editors.optimisation_config import Fusion
from cfclip.embedders import Embedder, check_prompt
from cfclip.errors import InputError
from cfclip.generators import Generator
from cfclip.io import ModelFormat, build, build_with, facts_metadata, read_model, save_model
from cfclip.settings import CheckedSettings, number

FORMAT = ModelFormat("cfclip.linear_text_map.v1", "linear text map")
_REPORT_KEY = "fit"


@dataclass(frozen=True)
class LinearTextMapConfig(CheckedSettings):
    """What a linear text map is for. Raises `InputError` for sizes that are none."""

    text_dim: int = number(low=1)
    """Width of the text embeddings."""
    w_dim: int = number(low=1)
    """Width of the generator's latents."""
    fuses: bool = False
    """Whether it has the projection of "concatenate"."""
    models: Mapping[str, str] = field(default_factory=dict)
    """File name to SHA-256 of the generator and embedder it was fitted for, see
    `Pack.mapped_models`."""


class LinearTextMap(nn.Module):
    """`M(e) = weight e + bias`, and the projection of concatenation if it was fitted.

    `forward` takes unit text embeddings `(texts, text_dim)` and gives latents `(texts, w_dim)`.
    A new one maps every text to zero and changes no source.
    """

    weight: Tensor
    bias: Tensor
    fusion_weight: Tensor
    fusion_bias: Tensor

    def __init__(self, config: LinearTextMapConfig) -> None:
        super().__init__()
        self.config = config
        w_dim = config.w_dim
        self.register_buffer("weight", torch.zeros(w_dim, config.text_dim))
        self.register_buffer("bias", torch.zeros(w_dim))
        if config.fuses:
            self.register_buffer("fusion_weight", torch.zeros(w_dim, 2 * w_dim))
            self.register_buffer("fusion_bias", torch.zeros(w_dim))

    def forward(self, texts: Tensor) -> Tensor:
        return functional.linear(texts, self.weight, self.bias)

    def added(self, texts: Tensor, centre: Tensor) -> Tensor:
        """Sum over texts `(texts, text_dim)` of `M(e) - centre`, `(w_dim,)` like `centre`.

        >>> text_map = LinearTextMap(LinearTextMapConfig(text_dim=2, w_dim=2))
        >>> text_map.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 3.0]])).shape
        torch.Size([2, 2])
        >>> text_map.added(torch.eye(2), centre=torch.ones(2))
        tensor([0., 1.])
        """
        return (self(texts) - centre).sum(0)

    def fused(self, texts: Tensor, w: Tensor) -> Tensor:
        """Sum over texts `(texts, text_dim)` of `P [w; M(e)]`, for codes `w` `(batch, w_dim)`.

        Raises `InputError` if the map was fitted without edited pictures.
        """
        self.check_fusion("concatenate")
        count = len(texts)
        pairs = torch.cat(
            [w[:, None].expand(-1, count, -1), self(texts)[None].expand(len(w), -1, -1)], 2
        )
        return functional.linear(pairs, self.fusion_weight, self.fusion_bias).sum(1)

    def check_fusion(self, fusion: Fusion) -> None:
        """Raise `InputError` for a fusion that this map cannot do."""
        if fusion == "concatenate" and not self.config.fuses:
            raise InputError(
                "this text map was fitted without pairs of a source and its edit, which fusion "
                "'concatenate' needs; use 'add', or fit one with them (a caption's \"source\")"
            )

    def check_fits(self, generator: Generator, embedder: Embedder) -> None:
        """Raise `InputError` unless the map leads from this embedder to this generator, by size."""
        found = (self.config.text_dim, self.config.w_dim)
        expected = (embedder.dim, generator.w_dim)
        if found != expected:
            raise InputError(
                f"the text map leads from {found[0]} to {found[1]} numbers, these models need one "
                f"from {expected[0]} to {expected[1]}; fit it for them (cfclip fit-text-map)"
            )


def fused_offset(
    text_map: LinearTextMap,
    fusion: Fusion,
    generator: Generator,
    embedder: Embedder,
    request: EditRequest,
) -> Tensor:
    """What the prompts of an edit add to the code of each source, `(batch, w_dim)`.

    A source in W+ enters concatenation with the mean code of its layers. Texts are embedded bare;
    the prompts' embeddings are kept by the embedder, like all others.

    Raises:
        InputError: a map that does not fit the models or cannot do this fusion.
    """
    text_map.check_fits(generator, embedder)
    prompts = [check_prompt(prompt) for prompt in request.prompts]
    texts = embedder.embed_texts(prompts)
    w = request.latents.mean(1)
    if fusion == "concatenate":
        return text_map.fused(texts, w)
    if fusion == "add":
        centre = generator.w_avg
    else:
        centre = text_map(embedder.embed_texts([check_prompt(request.source_text)]))[0]
    return text_map.added(texts, centre).expand_as(w)


def save_text_map(
    text_map: LinearTextMap, path: str | Path, report: Mapping[str, Any] | None = None
) -> None:
    """Write a map to one safetensors file, atomically, with a report of its fit (JSON values).

    Raises `CheckpointError` when a weight is not finite.
    """
    facts = facts_metadata(_REPORT_KEY, report) if report else None
    save_model(text_map, asdict(text_map.config), FORMAT, path, facts)


def load_text_map(path: str | Path) -> LinearTextMap:
    """Read a map that `save_text_map` wrote: float32, on the CPU, without gradients.

    Raises `CheckpointError`, naming the tensors, when the file is missing, damaged, of another
    kind, or holds unknown, missing, misshapen or non-finite tensors.
    """
    config, tensors = read_model(path, FORMAT, partial(build, LinearTextMapConfig))
    text_map = build_with(lambda: LinearTextMap(config), tensors, str(path))
    return text_map.eval()
