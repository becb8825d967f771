"""The latent spaces that an edit moves in: W, W+ and StyleSpace."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from cfclip.errors import InputError
from cfclip.generators import FeatureMaps, Generator
from cfclip.tensors import check_latents

_STYLES_PER_BLOCK = 3
_WS_PER_BLOCK = 2


class LatentSpace(ABC):
    """Latents of a batch of images, and how an offset changes them.

    Args:
        generator: what renders.
        latents: `(batch, num_ws, w_dim)` before the edit.
        layers: indices of the style inputs that an offset may change; the rest of it is ignored.

    Raises:
        InputError: latents of another shape, or a layer that the generator does not have.
    """

    def __init__(self, generator: Generator, latents: Tensor, layers: tuple[int, ...]) -> None:
        check_latents(latents, generator.num_ws, generator.w_dim)
        if not layers or min(layers) < 0 or max(layers) >= generator.num_ws:
            raise InputError(f"layers are {layers}, expected some of 0 to {generator.num_ws - 1}")
        self.generator = generator
        self.latents = latents.detach()
        self.layers = layers

    @abstractmethod
    def zero_offset(self) -> Tensor:
        """The offset `(batch, ...)` that changes nothing."""

    @abstractmethod
    def offset_of(self, moved: Tensor) -> Tensor:
        """The offset `(batch, ...)` that adds `moved` `(batch, w_dim)` to the codes of the layers.

        Every space reaches it exactly: it is one offset for all layers, and styles are functions
        of the codes.
        """

    @abstractmethod
    def render(
        self,
        offset: Tensor,
        rows: Tensor | None = None,
        stop_at: int | None = None,
        features: FeatureMaps | None = None,
    ) -> Tensor:
        """Image tensor of the images `rows` (all if None) moved by `offset` `(len(rows), ...)`.

        `stop_at` and `features` are as in `Generator.synthesis`.
        """

    @abstractmethod
    def per_layer(self, offset: Tensor) -> tuple[Tensor, ...]:
        """The offset as one tensor `(batch, width)` per layer that it moves."""


class WPlusSpace(LatentSpace):
    """Offsets `(batch, num_ws, w_dim)` on the codes of the layers."""

    def __init__(self, generator: Generator, latents: Tensor, layers: tuple[int, ...]) -> None:
        super().__init__(generator, latents, layers)
        self._chosen = torch.zeros(generator.num_ws, 1, device=latents.device)
        self._chosen[list(layers)] = 1.0

    def zero_offset(self) -> Tensor:
        return torch.zeros_like(self.latents)

    def offset_of(self, moved: Tensor) -> Tensor:
        return moved[:, None] * self._chosen

    def render(
        self,
        offset: Tensor,
        rows: Tensor | None = None,
        stop_at: int | None = None,
        features: FeatureMaps | None = None,
    ) -> Tensor:
        latents = self.latents if rows is None else self.latents[rows]
        moved = latents + offset * self._chosen
        return self.generator.synthesis(moved, stop_at=stop_at, features=features)

    def per_layer(self, offset: Tensor) -> tuple[Tensor, ...]:
        """One `(batch, w_dim)` for each of the `num_ws` style inputs."""
        return offset.unbind(1)


class WSpace(WPlusSpace):
    """Offsets `(batch, 1, w_dim)`, the same one on the codes of all the layers.

    Layers that move together can only make what the generator makes of some w; apart, they also
    reach pictures that no w gives, which CLIP may like and people do not.
    """

    def zero_offset(self) -> Tensor:
        return torch.zeros_like(self.latents[:, :1])

    def offset_of(self, moved: Tensor) -> Tensor:
        return moved[:, None]

    def per_layer(self, offset: Tensor) -> tuple[Tensor, ...]:
        """The `(batch, w_dim)` offset for each of the `num_ws` style inputs, zero if unmoved."""
        return (offset * self._chosen).unbind(1)


class StyleSpace(LatentSpace):
    """Offsets `(batch, channels of all layers)` on the styles, concatenated in execution order.

    StyleSpace (Wu et al., CVPR 2021): the per-channel scales after each layer's affine map. The
    layers that turn features into RGB belong to it like any other.
    """

    def __init__(self, generator: Generator, latents: Tensor, layers: tuple[int, ...]) -> None:
        super().__init__(generator, latents, layers)
        with torch.no_grad():
            styles = generator.styles(self.latents)
        self._widths = [style.shape[1] for style in styles]
        self._styles = torch.cat(styles, 1)
        chosen = [
            torch.full((width,), float(style_input(index) in layers))
            for index, width in enumerate(self._widths)
        ]
        self._chosen = torch.cat(chosen).to(self._styles)

    def zero_offset(self) -> Tensor:
        return torch.zeros_like(self._styles)

    @torch.no_grad()
    def offset_of(self, moved: Tensor) -> Tensor:
        styles = torch.cat(self.generator.styles(self.latents + moved[:, None]), 1)
        return (styles - self._styles) * self._chosen

    def render(
        self,
        offset: Tensor,
        rows: Tensor | None = None,
        stop_at: int | None = None,
        features: FeatureMaps | None = None,
    ) -> Tensor:
        styles = self._styles if rows is None else self._styles[rows]
        moved = self.per_layer(styles + offset * self._chosen)
        return self.generator.synthesis_from_styles(list(moved), stop_at=stop_at, features=features)

    def per_layer(self, offset: Tensor) -> tuple[Tensor, ...]:
        """One `(batch, channels)` for each modulated convolution, in execution order."""
        return offset.split(self._widths, 1)


def style_input(style: int) -> int:
    """Which of the `num_ws` style inputs feeds the modulated convolution at place `style`.

    The convolutions run as conv, to-RGB at 4x4 and conv, conv, to-RGB at each further resolution;
    a block's to-RGB shares its input with the first convolution of the next block.

    >>> [style_input(style) for style in range(8)]
    [0, 1, 1, 2, 3, 3, 4, 5]
    """
    # As if the first block had a first convolution too, which would have input -1.
    block, place = divmod(style + 1, _STYLES_PER_BLOCK)
    return _WS_PER_BLOCK * block - 1 + place


def is_to_rgb(style: int) -> bool:
    """Whether the modulated convolution at place `style` turns features into RGB.

    >>> [style for style in range(8) if is_to_rgb(style)]
    [1, 4, 7]
    """
    return (style + 1) % _STYLES_PER_BLOCK == _STYLES_PER_BLOCK - 1


def style_widths(generator: Generator) -> list[int]:
    """Channels of each modulated convolution of a generator, in execution order."""
    with torch.no_grad():
        mean = generator.w_avg.expand(1, generator.num_ws, -1)
        return [each.shape[1] for each in generator.styles(mean)]


SPACES: dict[str, type[LatentSpace]] = {
    "w": WSpace,
    "w_plus": WPlusSpace,
    "style_space": StyleSpace,
}
