"""Random weights by the names that other programs give them, of the sizes of published models.

The names and shapes of the generators are written down here, not asked from the code that reads
them; those of the other networks are their own. The numbers are random, of such a size that values
stay of the order of one through each network.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cfclip.encoders import StyleEncoder, StyleEncoderConfig
from cfclip.features import EXPANSION, IdentityNetwork
from recipes.rehearsal.forms import State

_SPREAD = 0.05
"""Of numbers that are about a constant: biases, norms, noise."""


@dataclass(frozen=True)
class Sizes:
    """How large the models are; the defaults are those of the published ones for faces."""

    resolution: int = 1024
    """Side of the generator's pictures: config-f of StyleGAN2 up to 1024."""
    width: int = 64
    """Channels of IR-SE50's first layer; latents are 8 times as wide."""
    image_size: int = 224
    """Side of the pictures that CLIP sees; by default the sizes of ViT-B/32."""
    patch: int = 32
    vision_width: int = 768
    text_width: int = 512
    layers: int = 12

    @property
    def latent(self) -> int:
        """Length of a row of W+, and the most channels of the generator."""
        return self.width * EXPANSION

    @property
    def rows(self) -> int:
        """Rows of W+."""
        return 2 * len(self.sides)

    @property
    def sides(self) -> list[int]:
        """4, 8, ..., `resolution`."""
        return [1 << power for power in range(2, self.resolution.bit_length())]

    def channels(self, side: int) -> int:
        """Of the generator's features: config-f, cut to `latent`."""
        return min(self.latent, 32_768 // side)


REDUCED = Sizes(
    resolution=64, width=16, image_size=64, patch=16, vision_width=64, text_width=64, layers=2
)
"""The same layers, small: what a test can afford."""


def rosinality_weights(sizes: Sizes, draw: torch.Generator) -> State:
    """`g_ema` of rosinality's stylegan2-pytorch, filters included."""
    state: State = {}
    for index in range(1, 9):
        state |= _mapping(f"style.{index}", sizes.latent, draw)
    state["input.input"] = _normal(draw, 1, sizes.channels(4), 4, 4)
    convolutions = _convolutions(sizes)
    for index, (before, width, side) in enumerate(convolutions):
        name = f"convs.{index - 1}" if index else "conv1"
        state |= _modulated(f"{name}.conv", (1, width, before, 3, 3), sizes, draw)
        state[f"{name}.noise.weight"] = _normal(draw, 1) * _SPREAD
        state[f"{name}.activate.bias"] = _normal(draw, width) * _SPREAD
        state[f"noises.noise_{index}"] = _normal(draw, 1, 1, side, side)
        if index % 2:  # the first of two at a side, which doubles it
            state[f"{name}.conv.blur.kernel"] = 4.0 * _filter()
        else:
            place = index // 2
            rgb = f"to_rgbs.{place - 1}" if place else "to_rgb1"
            state |= _modulated(f"{rgb}.conv", (1, 3, width, 1, 1), sizes, draw)
            state[f"{rgb}.bias"] = _normal(draw, 1, 3, 1, 1) * _SPREAD
            if place:
                state[f"{rgb}.upsample.kernel"] = 4.0 * _filter()
    return state


def nvidia_weights(sizes: Sizes, draw: torch.Generator) -> State:
    """The state dict of `G_ema` of NVIDIA's stylegan2-ada-pytorch, filters included."""
    state: State = {"mapping.w_avg": _normal(draw, sizes.latent) * _SPREAD}
    for index in range(8):
        state |= _mapping(f"mapping.fc{index}", sizes.latent, draw)
    state["synthesis.b4.const"] = _normal(draw, sizes.channels(4), 4, 4)
    for index, (before, width, side) in enumerate(_convolutions(sizes)):
        block, second = f"synthesis.b{side}", index % 2 == 0
        name = f"{block}.conv{1 if second else 0}"
        state |= _affine(name, before, sizes, draw)
        state[f"{name}.weight"] = _normal(draw, width, before, 3, 3)
        state[f"{name}.bias"] = _normal(draw, width) * _SPREAD
        state[f"{name}.noise_strength"] = _normal(draw) * _SPREAD
        state[f"{name}.noise_const"] = _normal(draw, side, side)
        state[f"{name}.resample_filter"] = _filter()
        if second:
            state |= _affine(f"{block}.torgb", width, sizes, draw)
            state[f"{block}.torgb.weight"] = _normal(draw, 3, width, 1, 1)
            state[f"{block}.torgb.bias"] = _normal(draw, 3) * _SPREAD
            state[f"{block}.resample_filter"] = _filter()
    return state


def encoder_weights(sizes: Sizes, draw: torch.Generator) -> State:
    """The encoder of e4e, by the names it has behind `encoder.`, counters included."""
    with torch.device("meta"):
        encoder = StyleEncoder(StyleEncoderConfig("e4e", sizes.rows, sizes.width))
    return _filled({n: v for n, v in encoder.state_dict().items() if n != "latent_avg"}, draw)


def identity_weights(sizes: Sizes, draw: torch.Generator) -> State:
    """`model_ir_se50.pth`."""
    with torch.device("meta"):
        network = IdentityNetwork(sizes.width, sizes.latent)
    return _filled(network.state_dict(), draw)


def clip_weights(sizes: Sizes, draw: torch.Generator) -> State:
    """A vision transformer of OpenAI's: matrices in half precision, as its archives have them."""
    from cfclip.embedders import build_clip_model

    config: dict[str, Any] = {
        "embed_dim": sizes.text_width,
        "quick_gelu": True,
        "vision_cfg": {
            "image_size": sizes.image_size,
            "layers": sizes.layers,
            "width": sizes.vision_width,
            "patch_size": sizes.patch,
        },
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49_408,
            "width": sizes.text_width,
            "heads": sizes.text_width // 64,
            "layers": sizes.layers,
        },
    }
    with torch.device("meta"):
        model = build_clip_model(config)
    state = _filled(model.state_dict(), draw)
    kept = ("token_embedding.weight", "positional_embedding", "visual.positional_embedding")
    return {
        name: value.half() if value.ndim > 1 and name not in kept else value
        for name, value in state.items()
    }


def _convolutions(sizes: Sizes) -> list[tuple[int, int, int]]:
    """Channels before and after each 3x3 convolution, and the side that it gives."""
    found = [(sizes.channels(4), sizes.channels(4), 4)]
    for side in sizes.sides[1:]:
        width = sizes.channels(side)
        found += [(sizes.channels(side // 2), width, side), (width, width, side)]
    return found


def _mapping(name: str, width: int, draw: torch.Generator) -> State:
    """A layer of the mapping network, whose learning rate is multiplied by 0.01."""
    weight = _normal(draw, width, width) * 100.0
    return {f"{name}.weight": weight, f"{name}.bias": _normal(draw, width) * _SPREAD}


def _modulated(
    name: str, shape: tuple[int, ...], sizes: Sizes, draw: torch.Generator
) -> dict[str, Tensor]:
    return {
        f"{name}.weight": _normal(draw, *shape),
        f"{name}.modulation.weight": _normal(draw, shape[2], sizes.latent),
        f"{name}.modulation.bias": 1.0 + _normal(draw, shape[2]) * _SPREAD,
    }


def _affine(name: str, width: int, sizes: Sizes, draw: torch.Generator) -> State:
    return {
        f"{name}.affine.weight": _normal(draw, width, sizes.latent),
        f"{name}.affine.bias": 1.0 + _normal(draw, width) * _SPREAD,
    }


def _filled(shapes: State, draw: torch.Generator) -> State:
    """Numbers for the tensors of a network, by what their names say they are."""
    state: State = {}
    for name, like in shapes.items():
        shape = tuple(like.shape)
        if not like.is_floating_point():
            state[name] = torch.zeros(shape, dtype=like.dtype)
        elif "styles." in name and "linear.weight" in name:  # of equalised learning rate
            state[name] = _normal(draw, *shape)
        elif len(shape) > 1:
            state[name] = _normal(draw, *shape) / math.sqrt(math.prod(shape[1:]))
        else:
            about = 1.0 if name.endswith(("weight", "running_var")) else 0.0
            state[name] = about + _normal(draw, *shape).abs() * _SPREAD
    return state


def _normal(draw: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=draw)


def _filter() -> Tensor:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return torch.outer(taps, taps) / taps.sum().square()
