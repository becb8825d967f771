"""Pivotal tuning: a generator changed a little, so that it makes one picture of its latents.

Source: Roich et al., "Pivotal Tuning for Latent-based Editing of Real Images" (2021). What is new
to a generator (a person, a hat) its latents cannot say. The latents found for the picture, the
pivot, are kept, and the weights are optimised until the generator makes the picture there; around
the pivot it is held to what it made before, so that edits still work.

Differs: the distance is that of the projection, whose features are the pack's CLIP's instead of
LPIPS, and the other pictures lie at a share of the way to samples instead of at a distance in one
model's units.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from cfclip.embedders import Embedder
from cfclip.encoders.projection import feature_distance
from cfclip.encoders.projection_config import TuningConfig
from cfclip.errors import InputError
from cfclip.generators import Generator
from cfclip.optim import Callback, descend
from cfclip.tensors import check_images, check_latents

_SEED = 0
"""Of the samples that the generator is held at: the same for every picture."""


@dataclass(frozen=True)
class Tuned:
    """A generator tuned on one picture.

    Attributes:
        generator: a copy of the one given, eval mode, without gradients.
        history: the values of each unweighted term and of "total" at every step.
        steps: updates behind the weights.
        stop_reason: why the tuning ended, as `cfclip.optim.descent` names it.
    """

    generator: Generator
    history: Mapping[str, list[float]]
    steps: int
    stop_reason: str


def tune_generator(
    generator: Generator,
    embedder: Embedder,
    image: Tensor,
    pivot: Tensor,
    config: TuningConfig,
    callback: Callback | None = None,
) -> Tuned:
    """Tune a copy of a generator until it makes `image` of `pivot`.

    With `D(a, b) = l1 |a - b| + mse |a - b|^2 + perceptual d(a, b)` (means) minimises over the
    weights `v` of the synthesis network

        D(G(p; v), x) + locality D(G(r; v), G(r; v_0)),    r = p + share (w_z - p)

    with new `w_z = mapping(z)`, z standard normal, at every step, by Adam.

    Args:
        generator, embedder: on one device, in eval mode; not changed.
        image: image tensor `(1, 3, R, R)` in [-1, 1] at the generator's resolution.
        pivot: its latents, `(1, num_ws, w_dim)`.
        config: the settings, with at least one step.
        callback: called after each step; returning False ends the tuning with what it has.

    Raises:
        InputError: no steps, or an image or latents of a wrong shape.
    """
    if config.steps < 1:
        raise InputError("steps is 0, tuning a generator needs at least 1; 350 are the paper's")
    check_images(image, generator.resolution)
    check_latents(pivot, generator.num_ws, generator.w_dim)
    if len(image) != 1 or len(pivot) != 1:
        raise InputError(f"{len(image)} images, a generator is tuned on one; give them one by one")
    run = _Tuning(generator, embedder, image.to(pivot), pivot.detach(), config)
    found = descend(run.start, run.evaluate, config.descent(), callback)
    return Tuned(
        run.tuned(found.values[0]), found.history[0], found.steps[0], found.stop_reasons[0]
    )


class _Synthesis(nn.Module):
    """A generator's synthesis as a module, so that it can be called with other weights."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, ws: Tensor) -> Tensor:
        return self.generator.synthesis(ws)


class _Tuning:
    """One tuning. All weights of the synthesis are one row of numbers, as `descend` takes them.

    Attributes:
        start: that row `(1, numbers)` before the tuning.
    """

    def __init__(
        self,
        generator: Generator,
        embedder: Embedder,
        image: Tensor,
        pivot: Tensor,
        config: TuningConfig,
    ) -> None:
        self._generator = generator
        self._embedder = embedder
        self._image = image
        self._pivot = pivot
        self._config = config
        self._synthesis = _Synthesis(generator)
        self._weights = _used(self._synthesis, pivot)
        self._draws = torch.Generator().manual_seed(_SEED)
        self.start = torch.cat([weight.flatten() for weight in self._weights.values()])[None]
        with torch.no_grad():
            self._maps = self._feature_maps(image)

    def evaluate(self, values: Tensor, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective `(1,)` and its terms; `rows` can only be the one picture."""
        weights, config = self._split(values[0]), self._config
        made = functional_call(self._synthesis, weights, (self._pivot,))
        terms = self._distances(made, self._image, self._maps, "")
        total = self._weighted(terms, "")
        if config.locality_weight:
            with torch.no_grad():
                near = self._near()
                before = self._generator.synthesis(near)
                maps = self._feature_maps(before)
            now = functional_call(self._synthesis, weights, (near,))
            terms |= self._distances(now, before, maps, "local_")
            total = total + config.locality_weight * self._weighted(terms, "local_")
        return total, terms

    def tuned(self, values: Tensor) -> Generator:
        """A copy of the generator with the weights of a row `(numbers,)`."""
        copied = copy.deepcopy(self._synthesis)
        parameters = dict(copied.named_parameters())
        with torch.no_grad():
            for name, weight in self._split(values).items():
                parameters[name].copy_(weight)
        return copied.generator.eval().requires_grad_(False)

    def _split(self, values: Tensor) -> dict[str, Tensor]:
        shapes = {name: weight.shape for name, weight in self._weights.items()}
        parts = values.split([shape.numel() for shape in shapes.values()])
        return {
            name: part.view(shape)
            for (name, shape), part in zip(shapes.items(), parts, strict=True)
        }

    def _near(self) -> Tensor:
        """Latents between the pivot and a new sample's."""
        # Drawn on the CPU: the same on every device.
        z = torch.randn(1, self._generator.z_dim, generator=self._draws)
        sampled = self._generator.mapping(z.to(self._pivot))
        return torch.lerp(self._pivot, sampled, self._config.locality_share)

    def _feature_maps(self, images: Tensor) -> list[Tensor]:
        return self._embedder.image_feature_maps(images) if self._config.perceptual_weight else []

    def _distances(
        self, made: Tensor, wanted: Tensor, maps: list[Tensor], prefix: str
    ) -> dict[str, Tensor]:
        """The terms of one comparison, `(1,)` each."""
        error = (made - wanted).flatten(1)
        terms = {f"{prefix}l1": error.abs().mean(1), f"{prefix}mse": error.square().mean(1)}
        if maps:
            terms[f"{prefix}perceptual"] = feature_distance(self._feature_maps(made), maps)
        return terms

    def _weighted(self, terms: Mapping[str, Tensor], prefix: str) -> Tensor:
        config = self._config
        total = config.l1_weight * terms[f"{prefix}l1"] + config.mse_weight * terms[f"{prefix}mse"]
        if f"{prefix}perceptual" in terms:
            total = total + config.perceptual_weight * terms[f"{prefix}perceptual"]
        return total


def _used(synthesis: _Synthesis, ws: Tensor) -> dict[str, Tensor]:
    """The parameters that a rendering depends on: all but those of the mapping."""
    leaves = {
        name: weight.detach().clone().requires_grad_(True)
        for name, weight in synthesis.named_parameters()
    }
    with torch.enable_grad():
        made = functional_call(synthesis, leaves, (ws,)).sum()
    gradients = torch.autograd.grad(made, list(leaves.values()), allow_unused=True)
    pairs = zip(leaves.items(), gradients, strict=True)
    return {name: leaf.detach() for (name, leaf), gradient in pairs if gradient is not None}
