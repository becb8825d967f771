"""A generator and an embedder that are linear, so that their results can be derived by hand."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from cfclip.embedders import Embedder
from cfclip.generators import FeatureMaps
from cfclip.generators.generator import Generator, NoiseMode

SIDE = 8
CHANNELS = 4
DIM = 1 + CHANNELS


class LinearGenerator(Generator):
    """Two rows of W+ are two styles of two channels; the second one is that of a to-RGB layer.

    Each channel is the value of a pixel, and one pixel is always 1. w is z.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("w_avg", torch.zeros(self.w_dim))

    @property
    def resolution(self) -> int:
        return SIDE

    @property
    def img_channels(self) -> int:
        return 3

    @property
    def z_dim(self) -> int:
        return 2

    @property
    def w_dim(self) -> int:
        return 2

    @property
    def num_ws(self) -> int:
        return 2

    def mapping(
        self, z: Tensor, truncation_psi: float = 1.0, truncation_cutoff: int | None = None
    ) -> Tensor:
        return truncation_psi * z[:, None].expand(-1, self.num_ws, -1)

    def synthesis(
        self,
        ws: Tensor,
        noise_mode: NoiseMode = "const",
        stop_at: int | None = None,
        features: FeatureMaps | None = None,
    ) -> Tensor:
        return self.synthesis_from_styles(self.styles(ws), features=features)

    def styles(self, ws: Tensor) -> list[Tensor]:
        return [ws[:, 0], ws[:, 1]]

    def synthesis_from_styles(
        self,
        styles: Sequence[Tensor],
        noise_mode: NoiseMode = "const",
        stop_at: int | None = None,
        features: FeatureMaps | None = None,
    ) -> Tensor:
        channels = torch.cat(list(styles), 1)
        row = torch.cat([torch.ones(len(channels), 1), channels], 1)
        images = torch.zeros(len(row), self.img_channels, SIDE, SIDE)
        images[:, 0, 0, :DIM] = row
        if features is not None:
            features.keep(images)
        return images


class LinearEmbedder(Embedder):
    """The features of a `LinearGenerator`'s images are (1, channel 0, ..., channel 3)."""

    def __init__(self, texts: Mapping[str, Sequence[float]]) -> None:
        super().__init__(DIM, SIDE)
        self.known = texts

    def encode_images(self, images: Tensor) -> Tensor:
        return images[:, 0, 0, :DIM]

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return torch.tensor([self.known[text] for text in texts])

    def encode_image_maps(self, images: Tensor) -> list[Tensor]:
        return [images]
