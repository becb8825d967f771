"""A small residual network from an image to the W+ latents of a pack's generator.

It predicts one `w` for all layers and adds a delta per layer whose head starts at zero, as e4e does
(Tov et al., "Designing an Encoder for StyleGAN Image Manipulation", SIGGRAPH 2021): the codes start
in W, where edits behave, and leave it only as far as the training asks.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from cfclip.encoders.base import Encoder
from cfclip.errors import CheckpointError, InputError
from cfclip.files import atomic_write
from cfclip.tensors import RGB_CHANNELS, check_images, resize_images

_LEAKY_SLOPE = 0.2
_CONFIG_KEY = "config"
_FORMAT_KEY = "format"
_FORMAT = "cfclip.latent_encoder.v1"


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


def save_encoder(
    encoder: LatentEncoder,
    path: str | Path,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write weights and configuration to one safetensors file, atomically.

    Matrices and kernels are stored as `dtype`, of which float16 halves the file; vectors (biases,
    norms and their running statistics) stay float32, since half precision would lose small
    variances. Raises `CheckpointError` when a weight is not finite as stored.
    """
    tensors: dict[str, Tensor] = {}
    for name, value in encoder.state_dict().items():
        stored = value.detach().cpu()
        if stored.ndim > 1:
            stored = stored.to(dtype)
        if not bool(torch.isfinite(stored).all()):
            raise CheckpointError(
                f"encoder tensor {name} is not finite as {stored.dtype}; nothing was written"
            )
        tensors[name] = stored.contiguous()
    header = dict(metadata or {})
    header[_FORMAT_KEY] = _FORMAT
    header[_CONFIG_KEY] = json.dumps(asdict(encoder.config))
    with atomic_write(path) as temporary:
        save_file(tensors, temporary, metadata=header)


def load_encoder(path: str | Path, device: str | torch.device = "cpu") -> LatentEncoder:
    """Read an encoder that `save_encoder` wrote: float32, eval mode, no gradients.

    Raises `CheckpointError`, naming the tensors, when the file is missing, damaged, of another
    kind, or holds unknown, missing or misshapen tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no encoder file at {path}")
    try:
        with safe_open(path, framework="pt") as handle:
            header = handle.metadata() or {}
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a readable safetensors file: {error}") from error
    if header.get(_FORMAT_KEY) != _FORMAT:
        raise CheckpointError(
            f"{path} is not an encoder: its format is {header.get(_FORMAT_KEY)!r}, "
            f"expected {_FORMAT!r}"
        )
    encoder = LatentEncoder(_config_from_header(header, path))
    _load_strictly(encoder, tensors, path)
    return encoder.eval().requires_grad_(False).to(device)


def _config_from_header(header: Mapping[str, str], path: Path) -> LatentEncoderConfig:
    try:
        values: dict[str, Any] = json.loads(header[_CONFIG_KEY])
        values["channels"] = tuple(values["channels"])
        return LatentEncoderConfig(**values)
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise CheckpointError(f"{path} has no usable encoder configuration: {error}") from error


def _load_strictly(encoder: LatentEncoder, tensors: Mapping[str, Tensor], path: Path) -> None:
    expected = encoder.state_dict()
    problems = [f"missing {name}" for name in expected if name not in tensors]
    problems += [f"unknown {name}" for name in tensors if name not in expected]
    problems += [
        f"{name} has shape {tuple(tensors[name].shape)}, expected {tuple(value.shape)}"
        for name, value in expected.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    problems += [
        f"{name} holds values that are not finite"
        for name, value in tensors.items()
        if not bool(torch.isfinite(value).all())
    ]
    if problems:
        raise CheckpointError(f"{path} does not fit its configuration: {'; '.join(problems)}")
    encoder.load_state_dict(
        {name: value.to(expected[name].dtype) for name, value in tensors.items()}
    )
