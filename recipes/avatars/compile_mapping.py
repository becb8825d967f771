"""A mapping network that makes the natural distribution, put together instead of trained.

What `LatentPrior` says of z is made of cuts, and a network of leaky ReLUs `h` can be given it layer
by layer. The first layer makes two hinges at every cut, the second their difference, a step of
width d at c: `h((x - c) / d + 1/2) - h((x - c) / d - 1/2)`. The third gates: `h(value + reach *
(switch - 1))` is the value where the switch is 1 and a leak of known slope where it is 0, for rear
hair by the dress, beards by what excludes them, tints by the class of their colour. Further layers
pass all of it on, and the last is fitted to W by least squares.

Training from random weights does not find such steps: the same network had 7 % of the variance of
W unexplained after 50,000 batches of 128, nearly all of it blends of two values.
"""

from typing import cast

import torch
from torch import Tensor

from cfclip.generators import (
    ACTIVATION_GAIN,
    LEAK,
    EqualLinear,
    StyleGAN2,
    normalise_second_moment,
    scaled_leaky_relu,
)
from cfclip_benchmark.avatars import COLOURS
from recipes.avatars.attribute_latents import AttributeLatents
from recipes.avatars.latent_prior import DRESS, LONG, REAR_HAIR_OF_DRESS, LatentPrior

STEP_WIDTH = 0.002
"""How far, in standard deviations of z, it is from one value to the next. About twenty cuts of
density 1 lie in the way of a z, so that one sample in twenty-five is a blend of something."""
_LEVEL = 5.0
"""Added to tints, so that they stay positive and no leak bends them."""
_REACH = 2.0 * _LEVEL
_FITTED_SAMPLES = 20_000
_RIDGE = 1e-6
_LAYERS = 4


@torch.no_grad()
def compile_mapping(
    generator: StyleGAN2, latents: AttributeLatents, prior: LatentPrior, seed: int
) -> float:
    """Set the mapping network of `generator` so that z gives the attributes that `prior` says.

    W must be positive for all but a few coordinates, since the network ends in a leaky ReLU (see
    `standardise`).

    Args:
        generator: at least 4 mapping layers, wide enough for all hinges and gates.
        latents: the attribute embeddings that W is made of.
        prior: attributes of z.
        seed: of the samples that the last layer is fitted to.

    Returns:
        The share of the variance of W that is left unexplained.

    Raises:
        ValueError: too few or too narrow layers.
    """
    layers = [cast(EqualLinear, layer) for layer in generator.mapping_layers]
    steps = _Steps(prior)
    gates, biases = steps.gates()
    needed = max(2 * steps.count, steps.count + len(gates))
    if len(layers) < _LAYERS or generator.w_dim < needed:
        raise ValueError(
            f"the mapping network has {len(layers)} layers of {generator.w_dim}; this distribution "
            f"takes {_LAYERS} of {needed}"
        )
    _set(layers[0], *steps.hinges())
    _set(layers[1], *steps.differences())
    same = torch.eye(steps.count)
    _set(layers[2], torch.cat([same, gates]), torch.cat([torch.zeros(steps.count), biases]))
    for layer in layers[3:-1]:
        _set(layer, torch.eye(needed), torch.zeros(needed))

    draws = torch.Generator().manual_seed(seed)
    z = torch.randn(_FITTED_SAMPLES, generator.z_dim, generator=draws)
    features = normalise_second_moment(z)
    for layer in layers[:-1]:
        features = scaled_leaky_relu(layer(features))
    known = torch.cat([features, torch.ones(len(features), 1)], 1).double()
    target = latents(*prior.attributes(z))
    gram = known.T @ known + _RIDGE * len(known) * torch.eye(known.shape[1], dtype=known.dtype)
    fitted = torch.linalg.solve(gram, known.T @ target.double()).float()
    layers[-1].weight.copy_(fitted[:-1].T / (layers[-1].gain * ACTIVATION_GAIN))
    layers[-1].bias.copy_(fitted[-1] / (layers[-1].lr_multiplier * ACTIVATION_GAIN))
    error = generator.mapping(z)[:, 0] - target
    return float(error.square().mean() / target.var(0).mean())


class _Steps:
    """The features of the second layer: a step, 0 or 1, at every cut; then tints plus `_LEVEL`."""

    def __init__(self, prior: LatentPrior) -> None:
        self._prior = prior
        self._first: dict[str, int] = {}
        self._cuts: list[tuple[int, float]] = []
        for name, cuts in prior.cuts.items():
            self._first[name] = len(self._cuts)
            self._cuts += [(cuts.column, float(value)) for value in cuts.values]
        self._tints = [column for name in COLOURS for column in prior.tint_columns(name)]
        self.count = len(self._cuts) + len(self._tints)

    def hinges(self) -> tuple[Tensor, Tensor]:
        """Weight `(2 count, coordinates)` and bias of the first layer, for normalised z."""
        columns = [column for column, _ in self._cuts] + self._tints
        weight, bias = torch.zeros(2 * self.count, max(columns) + 1), torch.zeros(2 * self.count)
        for i, (column, cut) in enumerate(self._cuts):
            weight[2 * i : 2 * i + 2, column] = 1.0 / STEP_WIDTH
            bias[2 * i : 2 * i + 2] = torch.tensor([0.5, -0.5]) - cut / STEP_WIDTH
        for i, column in enumerate(self._tints, len(self._cuts)):
            weight[2 * i, column], weight[2 * i + 1, column] = 1.0, -1.0
        return weight, bias

    def differences(self) -> tuple[Tensor, Tensor]:
        """Weight `(count, 2 count)` and bias of the second layer."""
        weight, bias = torch.zeros(self.count, 2 * self.count), torch.zeros(self.count)
        for i in range(self.count):
            # The difference of two hinges runs from LEAK to 1; a tint is that of a line and its
            # mirror image, of slope 1 + LEAK.
            is_step = i < len(self._cuts)
            scale = 1.0 / ((1.0 - LEAK) if is_step else (1.0 + LEAK))
            weight[i, 2 * i], weight[i, 2 * i + 1] = scale, -scale
            bias[i] = -LEAK / (1.0 - LEAK) if is_step else _LEVEL
        return weight, bias

    def _is(self, name: str, value: int) -> tuple[Tensor, float]:
        """`row @ features + constant` is 1 where the attribute has that value, and else 0."""
        row, constant = torch.zeros(self.count), 0.0
        if value == 0:
            constant = 1.0
        else:
            row[self._first[name] + value - 1] = 1.0
        if value < len(self._prior.cuts[name].values):
            row[self._first[name] + value] -= 1.0
        return row, constant

    def gates(self) -> tuple[Tensor, Tensor]:
        """Weight `(gates, count)` and bias of the gates of the third layer."""
        dress, is_dress = self._is("clothes", DRESS)
        longs = [self._is("rear_hair", value) for value in LONG]
        excluded = dress + torch.stack([row for row, _ in longs]).sum(0)
        is_excluded = is_dress + sum(constant for _, constant in longs)
        # What a step is gated by: rear hair of a dress needs one, the other must not have one, and
        # a beard neither dress nor long rear hair.
        switches = {
            REAR_HAIR_OF_DRESS: (dress, is_dress - 1.0),
            "rear_hair": (-dress, -is_dress),
            "beard": (-excluded, -is_excluded),
        }
        rows: list[Tensor] = []
        biases: list[float] = []
        units = torch.eye(self.count)
        for name, (switch, constant) in switches.items():
            for i in range(len(self._prior.cuts[name].values)):
                rows.append(units[self._first[name] + i] + switch)
                biases.append(constant)
        for name in COLOURS:
            for value in range(len(self._prior.cuts[name].values) + 1):
                switch, constant = self._is(name, value)
                for column in self._prior.tint_columns(name):
                    tint = units[len(self._cuts) + self._tints.index(column)]
                    rows.append(tint + _REACH * switch)
                    biases.append(_REACH * (constant - 1.0))
        return torch.stack(rows), torch.tensor(biases)


def _set(layer: EqualLinear, weight: Tensor, bias: Tensor) -> None:
    """Give the first outputs of a layer these weights of its first inputs, and nothing to others.

    The gain of the activation behind it is taken out.
    """
    outputs, inputs = weight.shape
    layer.weight.zero_()
    layer.bias.zero_()
    layer.weight[:outputs, :inputs] = weight / (layer.gain * ACTIVATION_GAIN)
    layer.bias[:outputs] = bias / (layer.lr_multiplier * ACTIVATION_GAIN)
