"""What every generator of cfclip offers: a mapping network, a synthesis network and StyleSpace."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from cfclip.generators.feature_maps import FeatureMaps

_FIRST_RESOLUTION = 4
"""That a synthesis network begins with."""

NoiseMode = Literal["const", "none", "random"]
"""`const` adds each layer's stored noise (the same image every time), `none` adds nothing,
`random` draws new noise for every image from torch's global random state."""

_MOST_AT_ONCE = 16
_PIXELS_AT_ONCE = 1 << 20
"""Of all pictures of a batch. The features of a megapixel take about a gigabyte in StyleGAN2, and
three times as much where gradients are taken."""


class Generator(nn.Module, ABC):
    """An image generator z -> W -> W+ -> image, steerable per layer (W+) and per channel (S).

    A *W+ code* is `(batch, num_ws, w_dim)`: one row per style input of the synthesis network. Its
    *StyleSpace* form is a list with one `(batch, channels)` tensor per modulated convolution, in
    the order of execution: convolution and to-RGB of 4x4, then two convolutions and to-RGB per
    resolution.
    """

    w_avg: Tensor
    """Mean of W, `(w_dim,)`: what truncation pulls towards."""

    @property
    @abstractmethod
    def resolution(self) -> int:
        """Side of the images in pixels."""

    @property
    def images_at_once(self) -> int:
        """How many images to render at a time, or to take gradients of, 16 or fewer: as many as are
        a megapixel, so that any number of them takes about the same memory at every resolution."""
        return max(1, min(_MOST_AT_ONCE, _PIXELS_AT_ONCE // self.resolution**2))

    def resolution_for(self, side: int) -> int:
        """The lowest resolution on the way to the whole picture that is at least `side`, or the
        whole one: what `stop_at` takes where no more than `side` pixels are looked at."""
        resolution = self.resolution
        while resolution // 2 >= max(side, _FIRST_RESOLUTION):
            resolution //= 2
        return resolution

    @property
    @abstractmethod
    def img_channels(self) -> int:
        """Channels of the images."""

    @property
    @abstractmethod
    def z_dim(self) -> int:
        """Length of z."""

    @property
    @abstractmethod
    def w_dim(self) -> int:
        """Length of one row of a W+ code."""

    @property
    @abstractmethod
    def num_ws(self) -> int:
        """Rows of a W+ code."""

    @abstractmethod
    def mapping(
        self, z: Tensor, truncation_psi: float = 1.0, truncation_cutoff: int | None = None
    ) -> Tensor:
        """z `(batch, z_dim)`, standard normal, to W+ codes `(batch, num_ws, w_dim)`.

        Rows before `truncation_cutoff` (all of them when None) are pulled towards `w_avg`:
        `w_avg + truncation_psi * (w - w_avg)`.
        """

    @abstractmethod
    def synthesis(
        self,
        ws: Tensor,
        noise_mode: NoiseMode = "const",
        stop_at: int | None = None,
        features: FeatureMaps | None = None,
    ) -> Tensor:
        """W+ codes `(batch, num_ws, w_dim)` to images `(batch, img_channels, side, side)`.

        The images are about [-1, 1] and not clamped. `side` is `resolution`, or `stop_at`: the
        image as it stands at that resolution; the layers above are not computed. `features` keeps
        those that it wants.
        """

    @abstractmethod
    def styles(self, ws: Tensor) -> list[Tensor]:
        """W+ codes `(batch, num_ws, w_dim)` to StyleSpace, `(batch, channels)` per convolution."""

    @abstractmethod
    def synthesis_from_styles(
        self,
        styles: Sequence[Tensor],
        noise_mode: NoiseMode = "const",
        stop_at: int | None = None,
        features: FeatureMaps | None = None,
    ) -> Tensor:
        """StyleSpace, as `styles` gives it, to images, as `synthesis` gives them."""

    def forward(self, z: Tensor, truncation_psi: float = 1.0) -> Tensor:
        """z `(batch, z_dim)` to images: `synthesis(mapping(z))`."""
        return self.synthesis(self.mapping(z, truncation_psi))
