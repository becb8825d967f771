"""The latent mapper of StyleCLIP: small networks that move the W+ code of an image.

Source: Patashnik et al., "StyleCLIP" (ICCV 2021), section 5. One mapper knows one edit; the mapper
of CF-CLIP, `cfclip.editors.text_mapper`, gives these networks latents fused with a text.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from cfclip.editors.mapper_config import GROUP_LAYERS, GROUPS, LatentMapperConfig
from cfclip.generators import EqualLinear, normalise_second_moment, scaled_leaky_relu
from cfclip.tensors import check_latents


class MappingNetwork(nn.Module):
    """Pixel norm and fully connected layers, each with a scaled leaky ReLU, the last included.

    Args:
        in_features: channels of the input.
        config: the number of layers, their width `w_dim`, their learning rate, the pixel norm.
    """

    def __init__(self, in_features: int, config: LatentMapperConfig) -> None:
        super().__init__()
        widths = [in_features, *[config.w_dim] * config.mapping_layers]
        self.layers = nn.ModuleList(
            EqualLinear(before, after, lr_multiplier=config.lr_multiplier)
            for before, after in pairwise(widths)
        )
        self.legacy_pixel_norm = config.legacy_pixel_norm

    def forward(self, rows: Tensor) -> Tensor:
        """`(batch, rows, in_features)` to `(batch, rows, w_dim)`."""
        if self.legacy_pixel_norm:
            # Over the rows: a single one becomes hardly more than its signs.
            rows = normalise_second_moment(rows.mT).mT
        else:
            rows = normalise_second_moment(rows)
        for layer in self.layers:
            rows = scaled_leaky_relu(layer(rows))
        return rows


class LatentMapper(nn.Module):
    """W+ codes to what an edit adds to them: one `MappingNetwork` per group of layers.

    Groups that are switched off, or that the generator has no layers for, have no network.
    """

    def __init__(self, config: LatentMapperConfig) -> None:
        super().__init__()
        self.config = config
        self.groups = nn.ModuleDict(
            {group: MappingNetwork(config.w_dim, config) for group in config.active_groups}
        )

    def forward(self, ws: Tensor) -> Tensor:
        """W+ codes `(batch, num_ws, w_dim)` to deltas of that shape, in units of `step_scale`.

        Rows of groups that are switched off are zero. Raises `InputError` for another shape.
        """
        check_latents(ws, self.config.num_ws, self.config.w_dim)
        deltas = []
        for group in GROUPS:
            rows = ws[:, GROUP_LAYERS[group]]
            switched_on = group in self.groups
            deltas.append(self.groups[group](rows) if switched_on else torch.zeros_like(rows))
        return torch.cat(deltas, 1)

    def offset(self, ws: Tensor) -> Tensor:
        """`step_scale * delta`, `(batch, num_ws, w_dim)`: what an edit adds at strength 1.

        Raises `InputError` for latents of another shape.
        """
        return self.config.step_scale * self(ws)

    def edit(self, ws: Tensor, strength: float = 1.0) -> Tensor:
        """`ws + strength * step_scale * delta`, `(batch, num_ws, w_dim)`; differentiable.

        Raises `InputError` for latents of another shape.
        """
        return ws + strength * self.offset(ws)
