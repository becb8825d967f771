"""StyleCLIP's global directions: move the StyleSpace channels that lead where the text does.

Source: Patashnik et al., "StyleCLIP" (ICCV 2021), section 6. With d_c and sigma_c of
`cfclip.editors.channel_statistics`, and t the direction of the text:

    t       = u( mean_k( E(t_k) - E(s_k) ) )
    cos_c   = d_c . t / |d_c|
    edit_c  = alpha * sigma_c * cos_c / max_c |cos_c|      where |cos_c| > beta, else 0

The edit is the same for every picture. It takes one rendering and no gradient.
"""

import torch
from torch import Tensor

from cfclip.editors.channel_statistics import ChannelStatistics
from cfclip.editors.editor import EditTexts, OnePassEditor
from cfclip.editors.global_config import GlobalDirectionsConfig
from cfclip.editors.spaces import StyleSpace, is_to_rgb, style_widths
from cfclip.embedders import Embedder
from cfclip.generators import Generator
from cfclip.losses import direction
from cfclip.optim import COMPLETED

__all__ = ["GlobalDirections", "GlobalDirectionsConfig", "channel_moves"]


def channel_moves(cosines: Tensor, spread: Tensor, alpha: float, beta: float) -> Tensor:
    """`alpha * spread * cosines / max |cosines|` where `|cosines| > beta`, else 0.

    Args:
        cosines: `(..., channels)` of each channel's direction with the text's.
        spread: `(channels,)`, standard deviations.
        alpha: standard deviations that the most relevant channel moves by.
        beta: threshold; no channel above it gives zeros.

    >>> channel_moves(
    ...     torch.tensor([0.6, -0.3, 0.1]), torch.tensor([1.0, 2.0, 4.0]), alpha=2.0, beta=0.2
    ... )
    tensor([ 2., -2.,  0.])
    """
    relevant = torch.where(cosines.abs() > beta, cosines, 0.0)
    largest = relevant.abs().amax(-1, keepdim=True)
    return alpha * spread * relevant / torch.where(largest > 0, largest, 1.0)


class GlobalDirections(OnePassEditor):
    """Edits by global directions in StyleSpace.

    Args:
        generator, embedder: on one device, in eval mode; never changed.
        statistics: of these models, on the same device.
        config: the settings, the defaults if not given.
    """

    space = StyleSpace
    config: GlobalDirectionsConfig

    def __init__(
        self,
        generator: Generator,
        embedder: Embedder,
        statistics: ChannelStatistics,
        config: GlobalDirectionsConfig | None = None,
    ) -> None:
        self.generator = generator
        self.embedder = embedder
        self.statistics = statistics
        self.config = config or GlobalDirectionsConfig()

    @torch.no_grad()
    def read(self, texts: EditTexts) -> Tensor:
        """Cosine of each channel's direction with that of the prompts, `(1, channels)`.

        Several prompts have the direction of the mean of theirs. The channels of to-RGB layers
        have 0 unless the configuration moves them. Raises `InputError` for statistics of other
        models, or a prompt that the embedder cannot read.
        """
        self.statistics.check_fits(self.generator, self.embedder)
        source = self.embedder.embed_prompt(texts.templates, texts.source_text)
        directions = [
            direction((self.embedder.embed_prompt(texts.templates, prompt) - source).mean(0))
            for prompt in texts.prompts
        ]
        text = direction(torch.stack(directions).mean(0))
        cosines = direction(self.statistics.directions) @ text
        return (cosines if self.config.to_rgb else cosines * self._features(cosines))[None]

    def offset(self, latents: Tensor, codes: Tensor) -> Tensor:
        """The moves of the relevant channels, `(batch, channels)`; zero without a relevant one."""
        moves = channel_moves(codes, self.statistics.spread, self.config.alpha, self.config.beta)
        return moves.expand(len(latents), -1).clone()

    def stop_reason(self, codes: Tensor) -> str:
        """Tells that there was no relevant channel, so that nothing changed."""
        if bool((codes.abs() > self.config.beta).any()):
            return COMPLETED
        return (
            f"no channel's cosine with the text is above beta {self.config.beta:g}, the largest is "
            f"{float(codes.abs().max()):.3f}; lower beta"
        )

    def _features(self, like: Tensor) -> Tensor:
        """1 for the channels of convolutions on features, 0 for those of to-RGB layers."""
        return torch.cat(
            [
                like.new_full((width,), float(not is_to_rgb(style)))
                for style, width in enumerate(style_widths(self.generator))
            ]
        )
