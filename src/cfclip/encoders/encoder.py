"""What every encoder gives: latents of images, and how well they reproduce them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """A network from images to W+ latents of one generator."""

    @property
    @abstractmethod
    def num_ws(self) -> int:
        """Number of style inputs of the generator whose latents are predicted."""

    @property
    @abstractmethod
    def w_dim(self) -> int:
        """Width of one style input."""

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """Image tensor `(batch, 3, height, width)` in [-1, 1] to `(batch, num_ws, w_dim)`.

        No gradient is kept; in eval mode every image is independent of the rest of the batch.
        """


@dataclass(frozen=True)
class Inversion:
    """Latents found for a batch of images, and what the generator makes of them.

    Attributes:
        latents: `(batch, num_ws, w_dim)` float32.
        reconstruction: what the generator makes of them, image tensor `(batch, 3, R, R)` about
            [-1, 1].
        psnr: `(batch,)`, decibels against the given images.
        perceptual: `(batch,)`, distance in the embedder's feature maps, 0 (alike) to 4.
        warnings: per image one line for the user when it was poorly reproduced, else None.
        steps: optimisation steps behind each image's latents, 0 for the encoder alone.
        stop_reasons: per image why the optimisation ended.
    """

    latents: Tensor
    reconstruction: Tensor
    psnr: Tensor
    perceptual: Tensor
    warnings: tuple[str | None, ...]
    steps: tuple[int, ...]
    stop_reasons: tuple[str, ...]
