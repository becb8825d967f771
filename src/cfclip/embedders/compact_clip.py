"""CLIPs of this project's own image towers, as open_clip builds them, without open_clip.

open_clip brings in PyTorch's compiler and models of other libraries, a second and a half in which
an edit could be half done. Names of weights and orders of sums are open_clip's, so that a CLIP
gives the same features whichever way it was built.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cfclip.embedders.clip_config import TOWERS
from cfclip.embedders.towers import make_tower

_TOWER = {"timm_pool": "", "timm_proj": ""}
_TEXT = {"context_length", "vocab_size", "width", "heads", "layers"}
_SCALE = math.log(1 / 0.07)


def is_compact(config: Mapping[str, Any]) -> bool:
    """Whether a checked `model_cfg` says no more than `CompactClip` understands."""
    vision, text = dict(config["vision_cfg"]), config["text_cfg"]
    if vision.pop("timm_model_name", None) not in TOWERS or "image_size" not in vision:
        return False
    del vision["image_size"]
    known = config.keys() == {"embed_dim", "vision_cfg", "text_cfg"} and text.keys() == _TEXT
    return known and vision == _TOWER and text["width"] % text["heads"] == 0


class CompactClip(nn.Module):
    """An image tower and a text transformer, of open_clip's interface as far as embedders use it.

    Its weights are to be loaded: what is made at random here is not fit to be trained.

    Args:
        config: a `model_cfg` that `is_compact`.
    """

    attn_mask: Tensor

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        dim, text, vision = config["embed_dim"], config["text_cfg"], config["vision_cfg"]
        length, width = text["context_length"], text["width"]
        self.positional_embedding = nn.Parameter(torch.empty(length, width))
        self.text_projection = nn.Parameter(torch.empty(width, dim))
        self.logit_scale = nn.Parameter(torch.full((), _SCALE))
        self.visual = _Visual(vision["timm_model_name"], dim, vision["image_size"])
        self.transformer = _Transformer(width, text["heads"], text["layers"])
        self.token_embedding = nn.Embedding(text["vocab_size"], width)
        self.ln_final = _LayerNorm(width)
        mask = torch.full((length, length), float("-inf")).triu_(1)
        self.register_buffer("attn_mask", mask, persistent=False)

    def encode_image(self, image: Tensor) -> Tensor:
        """Normalised images `(B, 3, side, side)` to features `(B, dim)`."""
        features: Tensor = self.visual(image)
        return features

    def encode_text(self, text: Tensor) -> Tensor:
        """Tokens `(N, length)` to features `(N, dim)`, read at the end mark, the highest token."""
        read = self.transformer(
            self.token_embedding(text) + self.positional_embedding, self.attn_mask
        )
        rows = torch.arange(len(text), device=text.device)
        ends: Tensor = self.ln_final(read)[rows, text.argmax(-1)]
        return ends @ self.text_projection


class _Visual(nn.Module):
    """A tower where open_clip has one of timm: `trunk`, with nothing behind it."""

    def __init__(self, name: str, dim: int, side: int) -> None:
        super().__init__()
        self.image_size = (side, side)
        self.trunk = make_tower(name, dim)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.trunk(images)
        return features

    def forward_intermediates(self, x: Tensor, **settings: Any) -> dict[str, Any]:
        """open_clip's interface to the maps alone; `settings` are those of the tower."""
        return {"image_intermediates": self.trunk.forward_intermediates(x, **settings)}


class _LayerNorm(nn.LayerNorm):
    """Gives the type that it was given, also in mixed precision."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).to(input.dtype)


class _Block(nn.Module):
    """Attention and a small network, each over what is normalised and added to it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1 = _LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_2 = _LayerNorm(width)
        self.mlp = nn.Sequential(
            OrderedDict(
                c_fc=nn.Linear(width, 4 * width), gelu=nn.GELU(), c_proj=nn.Linear(4 * width, width)
            )
        )

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        normed = self.ln_1(tokens)
        mask = mask.to(tokens.dtype)
        mixed, _ = self.attn(normed, normed, normed, need_weights=False, attn_mask=mask)
        tokens = tokens + mixed
        out: Tensor = tokens + self.mlp(self.ln_2(tokens))
        return out


class _Transformer(nn.Module):
    def __init__(self, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(_Block(width, heads) for _ in range(layers))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        for block in self.resblocks:
            tokens = block(tokens, mask)
        return tokens
