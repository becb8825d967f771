"""Give W a scale of its own: other latents, the same pictures.

The regression leaves W as it fell out: one coordinate of it varied forty times as much as another,
and the directions that no attribute uses still led, through the random weights that the style
layers began with, to pictures like nothing the generator was shown. Optimisers of latents, which
step every coordinate alike and penalise them alike, need neither.

With `M` the linear map from attributes to w, the attributes' covariance (shapes as often as they
occur, colours even over RGB, so that no colour is nearer because it is more natural) makes W an
ellipsoid `C = U diag(l) U'`. The new latents are `v = level + Q diag(l)^(-1/2) U' (w - mean)`.
There Q maps the few dimensions that W uses onto all coordinates by a random frame: each coordinate
has unit variance, and a step that is even over coordinates favours no attribute. The style layers
take the inverse, so that they ignore whatever is not in W.

The level, the mean of every coordinate, is `W_LEVEL`, so that nearly all are positive: a mapping
network ends in a leaky ReLU, below whose bend W could not be a sum of attributes (see
`compile_mapping`).
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from cfclip.generators import EqualLinear, StyleGAN2
from recipes.avatars.attribute_latents import AttributeLatents

W_LEVEL = 3.0
_COLOUR_VARIANCE = 1.0 / 3.0  # of a number even over [-1, 1]
_FLAT = 1e-6  # directions with less than this share of the largest variance are not used


class Frame(NamedTuple):
    """`new = W_LEVEL + forth @ (old - mean)`, `old = mean + back @ (new - W_LEVEL)`.

    Both are matrices `(w_dim, w_dim)`.
    """

    forth: Tensor
    back: Tensor


@torch.no_grad()
def standardise(generator: StyleGAN2, latents: AttributeLatents, codes: Tensor, seed: int) -> None:
    """Change the latents of a generator and of its attribute embeddings in place.

    Args:
        generator: its mapping network is to be trained afterwards; it still makes the old W.
        latents: the attribute embeddings that it was trained with.
        codes: `(N, shapes)` shape codes, whose frequencies count.
        seed: of the random frame.
    """
    shapes = _shapes(latents)
    means = [e.weight[codes[:, i]].mean(0) for i, e in enumerate(shapes)]
    mean = latents.colours.bias + torch.stack(means).sum(0)
    frame = _frame(latents, codes, seed)
    for embedding, own in zip(shapes, means, strict=True):
        embedding.weight.copy_((embedding.weight - own) @ frame.forth.T)
    latents.colours.weight.copy_(frame.forth @ latents.colours.weight)
    latents.colours.bias.fill_(W_LEVEL)
    for layer in (*generator.convs, *generator.to_rgbs):
        affine = cast(EqualLinear, layer.affine)
        start = mean - W_LEVEL * frame.back.sum(1)
        affine.bias.add_(affine.weight @ start * (affine.gain / affine.lr_multiplier))
        affine.weight.copy_(affine.weight @ frame.back)


def _shapes(latents: AttributeLatents) -> list[nn.Embedding]:
    return [cast(nn.Embedding, embedding) for embedding in latents.shapes]


def _frame(latents: AttributeLatents, codes: Tensor, seed: int) -> Frame:
    spoken = torch.stack([e.weight[codes[:, i]] for i, e in enumerate(_shapes(latents))]).sum(0)
    colours = latents.colours.weight.double()
    covariance = torch.cov(spoken.double().T) + _COLOUR_VARIANCE * colours @ colours.T
    variances, axes = torch.linalg.eigh(covariance)
    used = variances > _FLAT * variances.max()
    variances, axes = variances[used], axes[:, used]
    width, rank = axes.shape
    draws = torch.randn(
        width, rank, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
    # Columns of unit length, each coordinate a share rank / width of them: scaled to variance 1.
    spread = torch.linalg.qr(draws).Q * (width / rank) ** 0.5
    forth = spread @ (axes / variances.sqrt()).T
    back = (axes * variances.sqrt()) @ spread.T * (rank / width)
    return Frame(forth.float(), back.float())
