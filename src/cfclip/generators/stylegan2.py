"""StyleGAN2, the one definition that every checkpoint format is loaded into.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (2020): modulated
convolutions with demodulation, the `skip` architecture (each resolution adds to an up-sampled RGB
image), equalised learning rates. Nothing is computed per sample that can be shared: the style
multiplies the activations before a shared convolution, the demodulation those after it.

On disk a generator is one safetensors file that holds the tensors and the sizes they fit.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import cast, get_args

import torch
from torch import Tensor, nn

from cfclip.errors import CheckpointError, InputError
from cfclip.generators.feature_maps import FeatureMaps
from cfclip.generators.generator import Generator, NoiseMode
from cfclip.generators.ops import (
    EqualLinear,
    StyledConv,
    ToRGB,
    full_precision,
    normalise_second_moment,
    scaled_leaky_relu,
    upsample_image,
)
from cfclip.io import ModelFormat, build, build_with, read_config, read_model, save_model
from cfclip.tensors import RGB_CHANNELS, check_latents

FORMAT = ModelFormat("cfclip.stylegan2.v1", "generator")
START_RESOLUTION = 4
MIN_RESOLUTION = 8
MAX_RESOLUTION = 1024
MAX_WIDTH = 1 << 14
MAX_MAPPING_LAYERS = 64
"""Far above any model: sizes that a damaged file claims are refused before memory is asked for."""
MAPPING_LR_MULTIPLIER = 0.01
"""The mapping network's learning-rate multiplier, in the paper and in every released model."""

_STYLES_AT_START = 2
_STYLES_PER_DOUBLING = 3


@dataclass(frozen=True)
class StyleGAN2Config:
    """The sizes that define a StyleGAN2. Raises `InputError` for sizes that cannot work."""

    resolution: int
    """Side of the images in pixels: a power of two, 8 to 1024."""
    channels: tuple[int, ...]
    """Feature channels, one number per resolution 4, 8, ..., `resolution`."""
    z_dim: int = 512
    """Length of z."""
    w_dim: int = 512
    """Length of w."""
    mapping_layers: int = 8
    """Fully connected layers from z to w."""
    mapping_lr_multiplier: float = MAPPING_LR_MULTIPLIER
    """Learning-rate multiplier of the mapping network."""
    img_channels: int = RGB_CHANNELS
    """Channels of the images."""

    def __post_init__(self) -> None:
        power_of_two = self.resolution > 0 and self.resolution & (self.resolution - 1) == 0
        if not power_of_two or not MIN_RESOLUTION <= self.resolution <= MAX_RESOLUTION:
            raise InputError(
                f"resolution is {self.resolution}, expected a power of two from {MIN_RESOLUTION} "
                f"to {MAX_RESOLUTION}"
            )
        if len(self.channels) != len(self.resolutions):
            raise InputError(
                f"channels has {len(self.channels)} numbers, expected {len(self.resolutions)}: one "
                f"for each of the resolutions {', '.join(map(str, self.resolutions))}"
            )
        sizes = (*self.channels, self.z_dim, self.w_dim, self.mapping_layers, self.img_channels)
        if not all(type(size) is int and 1 <= size <= MAX_WIDTH for size in sizes):
            raise InputError(
                f"channels {self.channels}, z_dim {self.z_dim}, w_dim {self.w_dim}, mapping_layers "
                f"{self.mapping_layers}, img_channels {self.img_channels}: all must be whole "
                f"numbers from 1 to {MAX_WIDTH}"
            )
        if self.mapping_layers > MAX_MAPPING_LAYERS:
            raise InputError(
                f"mapping_layers is {self.mapping_layers}, expected {MAX_MAPPING_LAYERS} at most"
            )
        if not 0 < self.mapping_lr_multiplier < math.inf:
            raise InputError(
                f"mapping_lr_multiplier is {self.mapping_lr_multiplier}, expected a number above 0"
            )

    @property
    def resolutions(self) -> tuple[int, ...]:
        """4, 8, ..., `resolution`."""
        levels = int(math.log2(self.resolution / START_RESOLUTION)) + 1
        return tuple(START_RESOLUTION << level for level in range(levels))

    @property
    def num_ws(self) -> int:
        """Rows of a W+ code: one per convolution, and one for the last to-RGB."""
        return 2 * len(self.resolutions)


class StyleGAN2(Generator):
    """StyleGAN2 of any resolution and channel schedule; see `Generator` for its methods.

    On a CPU the features are kept in the channels-last layout, which is the faster one there.
    Under autocast the convolutions run in its precision; mapping, styles, demodulation and the
    RGB image stay in the precision of the weights.
    """

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.config = config
        channels, w_dim = config.channels, config.w_dim
        self.mapping_layers = nn.ModuleList(
            EqualLinear(
                w_dim if index else config.z_dim, w_dim, lr_multiplier=config.mapping_lr_multiplier
            )
            for index in range(config.mapping_layers)
        )
        self.register_buffer("w_avg", torch.zeros(w_dim))
        self.const = nn.Parameter(torch.randn(channels[0], START_RESOLUTION, START_RESOLUTION))
        self.convs = nn.ModuleList()
        self.to_rgbs = nn.ModuleList()
        for level, resolution in enumerate(config.resolutions):
            width = channels[level]
            if level:
                self.convs.append(StyledConv(channels[level - 1], width, w_dim, resolution, True))
            self.convs.append(StyledConv(width, width, w_dim, resolution, False))
            self.to_rgbs.append(ToRGB(width, config.img_channels, w_dim))

    @property
    def resolution(self) -> int:
        return self.config.resolution

    @property
    def img_channels(self) -> int:
        return self.config.img_channels

    @property
    def z_dim(self) -> int:
        return self.config.z_dim

    @property
    def w_dim(self) -> int:
        return self.config.w_dim

    @property
    def num_ws(self) -> int:
        return self.config.num_ws

    def mapping(
        self, z: Tensor, truncation_psi: float = 1.0, truncation_cutoff: int | None = None
    ) -> Tensor:
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise InputError(f"z has shape {tuple(z.shape)}, expected (batch, {self.z_dim})")
        with full_precision(z.device):
            w = normalise_second_moment(z.to(self.w_avg.dtype))
            for layer in self.mapping_layers:
                w = scaled_leaky_relu(layer(w))
            ws = w.unsqueeze(1).expand(-1, self.num_ws, -1)
            if truncation_psi == 1.0:
                return ws.clone()
            truncated = torch.lerp(self.w_avg, ws, truncation_psi)
            cutoff = self.num_ws if truncation_cutoff is None else truncation_cutoff
            return torch.cat([truncated[:, :cutoff], ws[:, cutoff:]], dim=1)

    def styles(self, ws: Tensor) -> list[Tensor]:
        return self._styles(ws, len(self.config.resolutions))

    def synthesis(
        self,
        ws: Tensor,
        noise_mode: NoiseMode = "const",
        stop_at: int | None = None,
        features: FeatureMaps | None = None,
    ) -> Tensor:
        styles = self._styles(ws, self._levels(stop_at))
        return self.synthesis_from_styles(styles, noise_mode, stop_at, features)

    def synthesis_from_styles(
        self,
        styles: Sequence[Tensor],
        noise_mode: NoiseMode = "const",
        stop_at: int | None = None,
        features: FeatureMaps | None = None,
    ) -> Tensor:
        """See `Generator`. With `stop_at` the styles of the layers above may be left out.

        More images than `images_at_once` are rendered one part after another.

        Raises `InputError` for a wrong number of styles, a wrong width, or an unknown mode.
        """
        levels = self._levels(stop_at)
        self._check_styles(styles, levels)
        if noise_mode not in get_args(NoiseMode):
            raise InputError(f"noise_mode is {noise_mode!r}, expected {get_args(NoiseMode)}")
        split = [style.split(self.images_at_once) for style in styles]
        kept = features or FeatureMaps(())
        images = [self._images(part, levels, noise_mode, kept) for part in zip(*split, strict=True)]
        return images[0] if len(images) == 1 else torch.cat(images)

    def _images(
        self, styles: Sequence[Tensor], levels: int, noise_mode: NoiseMode, kept: FeatureMaps
    ) -> Tensor:
        remaining = iter(styles)
        features = self.const.expand(len(styles[0]), -1, -1, -1)
        if features.device.type == "cpu":
            features = features.contiguous(memory_format=torch.channels_last)
        features = self.convs[0](features, next(remaining), noise_mode)
        kept.keep(features)
        image: Tensor = self.to_rgbs[0](features, next(remaining))
        for level in range(1, levels):
            for conv in (self.convs[2 * level - 1], self.convs[2 * level]):
                features = conv(features, next(remaining), noise_mode)
            kept.keep(features)
            image = upsample_image(image) + self.to_rgbs[level](features, next(remaining))
        return image

    def _levels(self, stop_at: int | None) -> int:
        """How many resolutions to compute."""
        resolutions = self.config.resolutions
        if stop_at is None:
            return len(resolutions)
        if stop_at not in resolutions:
            raise InputError(
                f"stop_at is {stop_at}, expected one of {', '.join(map(str, resolutions))}"
            )
        return resolutions.index(stop_at) + 1

    def _affines(self, levels: int) -> list[tuple[EqualLinear, int]]:
        """The style layer of each modulated convolution with the row of W+ that it reads.

        A to-RGB reads the row after its resolution's last convolution, which is also the row of
        the next resolution's first convolution.
        """
        affines: list[tuple[nn.Module, int]] = []
        for level in range(levels):
            for index in range(max(0, 2 * level - 1), 2 * level + 1):
                affines.append((self.convs[index], index))
            affines.append((self.to_rgbs[level], 2 * level + 1))
        return [(cast(EqualLinear, layer.affine), row) for layer, row in affines]

    def _styles(self, ws: Tensor, levels: int) -> list[Tensor]:
        check_latents(ws, self.num_ws, self.w_dim)
        with full_precision(ws.device):
            return [affine(ws[:, row]) for affine, row in self._affines(levels)]

    def _check_styles(self, styles: Sequence[Tensor], levels: int) -> None:
        needed = _STYLES_AT_START + _STYLES_PER_DOUBLING * (levels - 1)
        affines = self._affines(len(self.config.resolutions))
        if len(styles) not in (needed, len(affines)):
            raise InputError(f"{len(styles)} styles given, expected {needed}")
        for index, (style, (affine, _)) in enumerate(zip(styles, affines, strict=False)):
            width = len(affine.bias)
            if style.ndim != 2 or style.shape[1] != width:
                raise InputError(
                    f"style {index} has shape {tuple(style.shape)}, expected (batch, {width})"
                )


def save_generator(
    generator: StyleGAN2,
    path: str | Path,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write weights and configuration to one safetensors file, atomically.

    Matrices and kernels are stored as `dtype`, of which float16 halves the file; vectors and
    scalars stay as they are. `metadata` is kept beside them for whoever reads the file.
    Raises `InputError` for a reserved metadata key, `CheckpointError` when a weight is not finite
    as stored.
    """
    save_model(generator, asdict(generator.config), FORMAT, path, metadata, dtype)


def load_generator_file(path: str | Path, device: str | torch.device = "cpu") -> StyleGAN2:
    """Read a generator that `save_generator` wrote, as packs hold it: float32, eval mode, frozen.

    Raises `CheckpointError` when the file is missing, damaged, of another kind, or holds unknown,
    missing, misshapen or non-finite tensors (it names them).
    """
    config, tensors = read_model(path, FORMAT, partial(build, StyleGAN2Config))
    return build_generator(config, tensors, str(path)).to(device)


def read_generator_config(path: str | Path) -> StyleGAN2Config:
    """The sizes in a file of `save_generator`, without reading the tensors.

    Raises `CheckpointError` when it is missing, damaged or of another kind.
    """
    return read_config(path, FORMAT, partial(build, StyleGAN2Config))


def build_generator(
    config: StyleGAN2Config, tensors: Mapping[str, Tensor], source: str
) -> StyleGAN2:
    """A `StyleGAN2` with these tensors, by its own names: float32, eval mode, no gradients.

    Raises `CheckpointError` that starts with `source` unless names and shapes match exactly and
    all values are finite.
    """
    generator = build_with(lambda: StyleGAN2(config), tensors, source)
    if whole := [name for name, value in tensors.items() if not value.is_floating_point()]:
        raise CheckpointError(
            f"{source} holds {tensors[whole[0]].dtype} in {whole[0]}, expected floating point "
            "numbers; save it anew"
        )
    return generator.eval().requires_grad_(False)
