"""A small residual network from an image to the W+ latents of a pack's generator.

It predicts one `w` for all layers and adds a delta per layer whose head starts at zero, as e4e does
(Tov et al., "Designing an Encoder for StyleGAN Image Manipulation", SIGGRAPH 2021): the codes start
in W, where edits behave, and leave it only as far as the training asks.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cfclip.encoders.encoder import Encoder
from cfclip.errors import InputError
from cfclip.io import ModelFormat
from cfclip.tensors import RGB_CHANNELS, check_images, resize_images

FORMAT = ModelFormat("cfclip.latent_encoder.v1", "encoder")

_LEAKY_SLOPE = 0.2
_MOST_LAYERS = 64
"""Far above any encoder: the sizes that a file claims are refused before a network is made."""


@dataclass(frozen=True)
class LatentEncoderConfig:
    """Shape of a `LatentEncoder`. Raises `InputError` for sizes that do not fit together.

    Attributes:
        image_size: side of the images the network looks at, in pixels; others are resized to it.
        num_ws: style inputs of the generator.
        w_dim: width of one style input.
        channels: feature channels after each halving of the image, the strided stem first. The
            defaults leave a 4x4 map of a 128 px image.
        blocks: residual blocks per resolution, the one that halves included (none for the stem).
        neck_channels: channels the last map is reduced to before it is flattened.
        hidden: width of the layer between the flattened map and the two heads.
    """

    image_size: int
    num_ws: int
    w_dim: int
    channels: tuple[int, ...] = (32, 64, 96, 128, 192)
    blocks: int = 2
    neck_channels: int = 48
    hidden: int = 512

    def __post_init__(self) -> None:
        for name in ("image_size", "num_ws", "w_dim", "blocks", "neck_channels", "hidden"):
            value = getattr(self, name)
            if value < 1:
                raise InputError(f"{name} is {value}, it must be at least 1")
        if max(self.num_ws, self.blocks, len(self.channels)) > _MOST_LAYERS:
            raise InputError(
                f"num_ws {self.num_ws}, blocks {self.blocks} or the {len(self.channels)} channels "
                f"are more than {_MOST_LAYERS}"
            )
        if not self.channels or min(self.channels) < 1:
            raise InputError(f"channels is {self.channels}, expected one or more positive numbers")
        if self.image_size % self.reduction:
            raise InputError(
                f"image_size is {self.image_size}, not a multiple of {self.reduction} "
                f"(the image is halved {len(self.channels)} times); give fewer channels"
            )

    @property
    def reduction(self) -> int:
        """Side of the input divided by the side of the last feature map."""
        return int(2 ** len(self.channels))


class _ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut; the first may halve the map."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        # A block that begins as its shortcut makes a deep network easy to train.
        nn.init.zeros_(self.norm2.weight)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            # Averaging instead of skipping pixels keeps thin lines (brows, lips) visible.
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride) if stride != 1 else nn.Identity(),
                nn.Conv2d(in_channels, out_channels, 1, bias=False),
                nn.BatchNorm2d(out_channels),
            )
        self.activation = nn.LeakyReLU(_LEAKY_SLOPE)

    def forward(self, maps: Tensor) -> Tensor:
        residual = self.activation(self.norm1(self.conv1(maps)))
        residual = self.norm2(self.conv2(residual))
        return self.activation(self.shortcut(maps) + residual)


class LatentEncoder(Encoder):
    """Images to W+: `w_avg + w_scale * (w(images) + deltas(images))`.

    Args:
        config: the sizes.
        w_avg: `(w_dim,)` mean of the generator's W, predicted around; zeros if not given.
        w_scale: `(w_dim,)` or scalar spread of W, so that the network predicts numbers of order 1;
            ones if not given.
    """

    w_avg: Tensor
    w_scale: Tensor

    def __init__(
        self,
        config: LatentEncoderConfig,
        w_avg: Tensor | None = None,
        w_scale: Tensor | float | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        average = torch.zeros(config.w_dim) if w_avg is None else w_avg.detach().float()
        if tuple(average.shape) != (config.w_dim,):
            raise InputError(f"w_avg has shape {tuple(average.shape)}, expected ({config.w_dim},)")
        scale = torch.as_tensor(1.0 if w_scale is None else w_scale).detach().float()
        self.register_buffer("w_avg", average.clone())
        self.register_buffer("w_scale", scale.expand(config.w_dim).clone())

        stem = config.channels[0]
        layers: list[nn.Module] = [
            nn.Conv2d(RGB_CHANNELS, stem, 3, 2, 1, bias=False),
            nn.BatchNorm2d(stem),
            nn.LeakyReLU(_LEAKY_SLOPE),
        ]
        channels = stem
        for out_channels in config.channels[1:]:
            layers.append(_ResidualBlock(channels, out_channels, stride=2))
            for _ in range(config.blocks - 1):
                layers.append(_ResidualBlock(out_channels, out_channels, stride=1))
            channels = out_channels
        side = config.image_size // config.reduction
        self.trunk = nn.Sequential(*layers)
        # The map is flattened, not averaged: where something is says what it is (lips, brows).
        self.neck = nn.Sequential(
            nn.Conv2d(channels, config.neck_channels, 1),
            nn.Flatten(),
            nn.Linear(config.neck_channels * side * side, config.hidden),
            nn.LeakyReLU(_LEAKY_SLOPE),
        )
        self.w_head = nn.Linear(config.hidden, config.w_dim)
        self.delta_head = nn.Linear(config.hidden, config.num_ws * config.w_dim)
        nn.init.zeros_(self.delta_head.weight)
        nn.init.zeros_(self.delta_head.bias)

    @property
    def num_ws(self) -> int:
        return self.config.num_ws

    @property
    def w_dim(self) -> int:
        return self.config.w_dim

    def predict(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Image tensor to `w` `(batch, w_dim)` and deltas `(batch, num_ws, w_dim)`.

        Both are in latent units, `w` with `w_avg` added; differentiable, for training. A loss on
        the deltas keeps the codes near W.
        """
        features = self.neck(self.trunk(images))
        w = self.w_avg + self.w_scale * self.w_head(features)
        deltas = self.delta_head(features).unflatten(1, (self.num_ws, self.w_dim))
        return w, self.w_scale * deltas

    def forward(self, images: Tensor) -> Tensor:
        """Image tensor `(batch, 3, image_size, image_size)` to latents, differentiable."""
        w, deltas = self.predict(images)
        return w.unsqueeze(1) + deltas

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        check_images(images)
        return self(resize_images(images.to(self.w_avg), self.config.image_size))
