"""What every encoder gives: latents of images."""

from abc import ABC, abstractmethod

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
