"""The encoders pSp and e4e: an IR-SE50 body, a feature pyramid, and a head for every style input.

Sources: Richardson et al., "Encoding in Style" (CVPR 2021), section 3; Tov et al., "Designing an
Encoder for StyleGAN Image Manipulation" (SIGGRAPH 2021), section 5. Head i sees the coarsest map
for i < 3, the middle one for i < 7, else the finest. For the codes c_i that the heads give,

    pSp:  w_i = w_avg_i + c_i
    e4e:  w_0 = w_avg_0 + c_0,  w_i = w_avg_i + c_0 + c_i
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from cfclip.encoders.encoder import Encoder
from cfclip.errors import CheckpointError, InputError
from cfclip.features import EXPANSION, LAST_UNITS, load_normed, stem_of, units_of, width_of
from cfclip.foreign import network_of, options_of, part_of, state_dict_of, value_in
from cfclip.io import ModelFormat
from cfclip.settings import check_choice, check_number
from cfclip.tensors import check_images, resize_images

FORMAT = ModelFormat("cfclip.style_encoder.v1", "encoder")

StyleEncoderKind: TypeAlias = Literal["e4e", "psp"]

IMAGE_SIZE = 256
"""Side of the images that both were trained on."""

_MAP_SIDES = (16, 32, 64)
_FIRST_HEADS = (0, 3, 7)
"""Side of each map of the pyramid, coarse to fine, and the first head that sees it."""

_KINDS: Mapping[str, StyleEncoderKind] = {
    "Encoder4Editing": "e4e",
    "GradualStyleEncoder": "psp",
}
"""What the options of a checkpoint call them."""

_MOST_HEADS = 64
"""Far above any encoder: the sizes that a file claims are refused before a network is made."""

_ENCODER = "encoder."
_AVERAGE = "latent_avg"
_HEAD = re.compile(r"styles\.(\d+)\.")
_LEAKY_SLOPE = 0.01


@dataclass(frozen=True)
class StyleEncoderConfig:
    """Shape of a `StyleEncoder`. Raises `InputError` naming a value outside its limits.

    Attributes:
        kind: how codes become latents.
        num_ws: style inputs of the generator, a head for each.
        width: channels of the first layer, 64 in shared weights; `w_dim` is 8 times that.
    """

    kind: StyleEncoderKind
    num_ws: int
    width: int = 64

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, get_args(StyleEncoderKind))
        check_number("num_ws", self.num_ws, 1, _MOST_HEADS)
        check_number("width", self.width, 1)


class _Head(nn.Module):
    """A map to one code: halved until a single position is left, then a scaled linear layer."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(int(math.log2(side))):
            layers += [nn.Conv2d(channels, channels, 3, 2, 1), nn.LeakyReLU(_LEAKY_SLOPE)]
        self.convs = nn.Sequential(*layers)
        self.linear = nn.Linear(channels, channels)

    def forward(self, maps: Tensor) -> Tensor:
        features = self.convs(maps).flatten(1)
        # Equalised learning rate, as in StyleGAN.
        weight = self.linear.weight / math.sqrt(self.linear.in_features)
        return functional.linear(features, weight, self.linear.bias)


class StyleEncoder(Encoder):
    """Images to W+, as pSp or e4e do it; the tensors are named as in their checkpoints."""

    latent_avg: Tensor

    def __init__(self, config: StyleEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.input_layer = stem_of(config.width)
        self.body = units_of(config.width)
        width = config.width * EXPANSION
        sides = [
            side
            for side, first, end in zip(
                _MAP_SIDES, _FIRST_HEADS, (*_FIRST_HEADS[1:], config.num_ws), strict=True
            )
            for _ in range(first, min(end, config.num_ws))
        ]
        self.styles = nn.ModuleList(_Head(width, side) for side in sides)
        self.latlayer1 = nn.Conv2d(width // 2, width, 1)
        self.latlayer2 = nn.Conv2d(width // 4, width, 1)
        self.register_buffer(_AVERAGE, torch.zeros(config.num_ws, self.w_dim))

    @property
    def num_ws(self) -> int:
        return self.config.num_ws

    @property
    def w_dim(self) -> int:
        return self.config.width * EXPANSION

    def forward(self, images: Tensor) -> Tensor:
        """Image tensor `(batch, 3, 256, 256)` to latents `(batch, num_ws, w_dim)`, differentiable.

        Raises `InputError` for images of another shape.
        """
        check_images(images, IMAGE_SIZE)
        pyramid = self._pyramid(images)
        codes = torch.stack(
            [
                head(pyramid[sum(index >= first for first in _FIRST_HEADS) - 1])
                for index, head in enumerate(self.styles)
            ],
            1,
        )
        if self.config.kind == "e4e":
            codes = torch.cat([codes[:, :1], codes[:, :1] + codes[:, 1:]], 1)
        return self.latent_avg + codes

    def _pyramid(self, images: Tensor) -> list[Tensor]:
        """Three maps of `w_dim` channels, coarse to fine."""
        maps, taps = self.input_layer(images), []
        for index, unit in enumerate(self.body):
            maps = unit(maps)
            if index in LAST_UNITS[1:]:
                taps.append(maps)
        fine, middle, coarse = taps
        middle = _enlarged(coarse, middle) + self.latlayer1(middle)
        return [coarse, middle, _enlarged(middle, fine) + self.latlayer2(fine)]

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        check_images(images)
        return self(resize_images(images.to(self.latent_avg), IMAGE_SIZE))


def _enlarged(maps: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(maps, like.shape[-2:], mode="bilinear", align_corners=True)


def style_encoder_from_released(
    checkpoint: Mapping[str, object], source: str, kind: StyleEncoderKind | None = None
) -> StyleEncoder:
    """The encoder in a pSp or e4e checkpoint: `state_dict`, `latent_avg` and `opts`.

    Its sizes are read from names and shapes; the two kinds have the same tensors, so that `opts`
    tells them apart, or `kind` where there are none. The decoder beside it is not read. Returns a
    float32 encoder in eval mode without gradients. Raises `CheckpointError` that starts with
    `source` and names what is missing, unknown, misshapen or not finite.
    """
    options = options_of(checkpoint, source)
    kind = kind or _kind(options, source)
    tensors = part_of(network_of(checkpoint, source), _ENCODER)
    if _AVERAGE in tensors:
        raise CheckpointError(f"{source} has an unknown tensor {_ENCODER}{_AVERAGE}; remove it")
    width = width_of(tensors, source)
    # Counted, not taken from the highest number: a gap then shows as a missing tensor.
    heads = len({match[1] for name in tensors if (match := _HEAD.match(name))})
    try:
        config = StyleEncoderConfig(kind, heads, width)
    except InputError as error:
        raise CheckpointError(f"{source} is not a usable encoder: {error}") from error
    average = torch.zeros(heads, width * EXPANSION)
    if options.get("start_from_latent_avg", True):
        average = _average(checkpoint, average, source)
    return build_style_encoder(config, tensors | {_AVERAGE: average}, source)


def build_style_encoder(
    config: StyleEncoderConfig, tensors: Mapping[str, Tensor], source: str
) -> StyleEncoder:
    """A `StyleEncoder` with these tensors, by its own names: float32, eval mode, no gradients.

    Raises `CheckpointError` that starts with `source` as `load_normed` does.
    """
    return load_normed(lambda: StyleEncoder(config), tensors, source)


def _kind(options: Mapping[str, object], source: str) -> StyleEncoderKind:
    found = options.get("encoder_type")
    if found not in _KINDS:
        raise CheckpointError(
            f"{source} says encoder_type {found!r}, known are {', '.join(_KINDS)}; if it is one of "
            f"them, say which (kind, --encoder-kind: {' or '.join(_KINDS.values())})"
        )
    return _KINDS[str(found)]


def _average(checkpoint: Mapping[str, object], like: Tensor, source: str) -> Tensor:
    """The mean latent, one row or a row for each style input, in the shape of `like`."""
    found = value_in(checkpoint, _AVERAGE)
    if found is None:
        raise CheckpointError(f"{source} has no {_AVERAGE}; give the checkpoint of a training")
    average = state_dict_of({_AVERAGE: found}, source)[_AVERAGE]
    if tuple(average.shape) not in {like.shape[1:], (1, *like.shape[1:]), tuple(like.shape)}:
        raise CheckpointError(
            f"{source}: {_AVERAGE} has shape {tuple(average.shape)}, expected "
            f"{tuple(like.shape)} or {tuple(like.shape[1:])}"
        )
    return average.expand_as(like)
