"""Projection: optimise W+ latents until the generator reproduces given images."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from cfclip.embedders import Embedder
from cfclip.encoders.projection_config import ProjectionConfig
from cfclip.errors import InputError
from cfclip.generators import Generator
from cfclip.optim import INTERRUPTED, STOPPED, Callback, DescentStep, descend
from cfclip.tensors import check_images, check_latents, mixed_precision, psnr

ENCODED = "not optimised"
"""Stop reason of latents that were taken as they are."""

_COARSE_SIDE, _COARSE_FACTOR = 64, 4
"""Coarse steps are on a quarter of the side, but no less than this: of pictures of 128 px, a
quarter lost 0.4 dB of 34.4, a half nothing."""
CORRECTION_STEPS = 10
"""Coarse steps between two looks at the whole picture."""


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


def feature_distance(maps: list[Tensor], reference: list[Tensor]) -> Tensor:
    """Perceptual distance per image, `(batch,)`, 0 to 4.

    Mean over the maps of the mean over positions of `|a - b|^2`, with `a` and `b` the feature
    vectors of unit length at a position: LPIPS (Zhang et al., CVPR 2018) without learned weights.

    Args:
        maps, reference: as `Embedder.image_feature_maps` gives them, each `(batch, channels,
            height, width)`.
    """
    distances = [
        (one - other).square().sum(1).flatten(1).mean(1)
        for one, other in zip(maps, reference, strict=True)
    ]
    return torch.stack(distances).mean(0)


def project(
    generator: Generator,
    embedder: Embedder,
    images: Tensor,
    start: Tensor,
    config: ProjectionConfig | None = None,
    callback: Callback | None = None,
) -> Inversion:
    """Find latents that reproduce each image, beginning at `start`.

    The first `config.coarse` of the steps go down on smaller pictures, see `_Coarse`. Minimises per
    image `l1 |G(w) - x| + mse |G(w) - x|^2 + perceptual d(G(w), x) +
    start |w - w_start|^2` (means), with Adam. The images do not influence each other. The latents
    with the lowest loss seen are kept.

    Args:
        generator, embedder: on one device, in eval mode.
        images: image tensor `(batch, 3, R, R)` in [-1, 1] at the generator's resolution.
        start: `(batch, num_ws, w_dim)`, an encoder's code of the images.
        config: the settings, the defaults if not given.
        callback: called after each step; returning False ends the projection with what it has.

    Raises:
        InputError: images or latents of a wrong shape, or not finite.
    """
    config = config or ProjectionConfig()
    _check(generator, images, start)
    images, start = images.to(start), start.detach()
    if config.steps == 0:
        return measure_inversion(generator, embedder, images, start, config.warn_below_psnr)
    first, began = start, (0,) * len(start)
    if config.coarse_steps:
        coarse = _Coarse(generator, images, start, config)
        heard = None if callback is None else _counting_on(callback, 0, config.steps)
        found = descend(start, coarse.evaluate, config.coarse_descent(), heard)
        first, began = found.values, found.steps
        if {STOPPED, INTERRUPTED}.intersection(found.stop_reasons):
            return measure_inversion(
                generator,
                embedder,
                images,
                first,
                config.warn_below_psnr,
                steps=began,
                stop_reasons=found.stop_reasons,
            )
    with torch.no_grad():
        reference = embedder.image_feature_maps(images) if config.perceptual_weight else []

    def evaluate(latents: Tensor, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        with mixed_precision(latents.device, config.precision):
            made = generator.synthesis(latents).float()
            maps = embedder.image_feature_maps(made) if reference else []
        total, terms = _pixel_terms(made, images[rows], latents, start[rows], config)
        if reference:
            terms["perceptual"] = feature_distance(maps, [one[rows] for one in reference])
            total = total + config.perceptual_weight * terms["perceptual"]
        return total, terms

    after = None if callback is None else _counting_on(callback, max(began), config.steps)
    found = descend(first, evaluate, config.descent(), after)
    return measure_inversion(
        generator,
        embedder,
        images,
        found.values,
        config.warn_below_psnr,
        steps=tuple(map(sum, zip(began, found.steps, strict=True))),
        stop_reasons=found.stop_reasons,
    )


class _Coarse:
    """The objective on pictures of a lower resolution, by their pixels alone.

    What the generator has at a lower resolution is no smaller picture of what it makes in the end:
    the layers above change brightness too. It is corrected by how the two differ where the latents
    are, which is measured anew every few steps, so that the error there is that of the whole
    picture, scaled (the full approximation scheme of multigrid methods; Brandt 1977).
    """

    def __init__(
        self, generator: Generator, images: Tensor, start: Tensor, config: ProjectionConfig
    ) -> None:
        self._generator = generator
        self._start = start
        self._config = config
        least = max(_COARSE_SIDE, generator.resolution // _COARSE_FACTOR)
        self._side = generator.resolution_for(least)
        self._images = adaptive_avg_pool2d(images, self._side)
        self._difference = torch.zeros_like(self._images)
        self._evaluations = 0

    def evaluate(self, latents: Tensor, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """As `cfclip.optim.descent.Evaluate`."""
        with mixed_precision(latents.device, self._config.precision):
            made = self._generator.synthesis(latents, stop_at=self._side).float()
            if self._evaluations % CORRECTION_STEPS == 0:
                with torch.no_grad():
                    whole = self._generator.synthesis(latents).float()
                    self._difference[rows] = adaptive_avg_pool2d(whole, self._side) - made
        self._evaluations += 1
        corrected = made + self._difference[rows]
        return _pixel_terms(corrected, self._images[rows], latents, self._start[rows], self._config)


def _pixel_terms(
    made: Tensor, images: Tensor, latents: Tensor, start: Tensor, config: ProjectionConfig
) -> tuple[Tensor, dict[str, Tensor]]:
    error = made - images
    terms = {
        "l1": error.abs().flatten(1).mean(1),
        "mse": error.square().flatten(1).mean(1),
        "start": (latents - start).square().flatten(1).mean(1),
    }
    total = (
        config.l1_weight * terms["l1"]
        + config.mse_weight * terms["mse"]
        + config.start_weight * terms["start"]
    )
    return total, terms


def _counting_on(callback: Callback, done: int, steps: int) -> Callback:
    """A callback that is told of steps before, and of those in all."""

    def told(step: DescentStep) -> bool | None:
        return callback(replace(step, step=done + step.step, steps=steps))

    return told


@torch.no_grad()
def measure_inversion(
    generator: Generator,
    embedder: Embedder,
    images: Tensor,
    latents: Tensor,
    warn_below_psnr: float,
    steps: tuple[int, ...] | None = None,
    stop_reasons: tuple[str, ...] | None = None,
) -> Inversion:
    """Render latents and compare them with the images they stand for.

    Shapes as in `project`; `steps` and `stop_reasons` say how the latents were found, if they were
    optimised. Raises `InputError` like `project`.
    """
    _check(generator, images, latents)
    made = generator.synthesis(latents)
    quality = psnr(made, images)
    distance = feature_distance(
        embedder.image_feature_maps(made), embedder.image_feature_maps(images)
    )
    return Inversion(
        latents=latents,
        reconstruction=made,
        psnr=quality,
        perceptual=distance,
        warnings=tuple(reproduction_warning(value, warn_below_psnr) for value in quality.tolist()),
        steps=steps or (0,) * len(latents),
        stop_reasons=stop_reasons or (ENCODED,) * len(latents),
    )


def reproduction_warning(decibels: float, expected: float) -> str | None:
    """A line for the user if a reproduction has fewer decibels than expected, else None."""
    # Written so that a PSNR that is not a number warns too.
    if decibels >= expected:
        return None
    return (
        f"the picture could not be reproduced (PSNR {decibels:.1f} dB, at least {expected:g} "
        "expected): it is probably not of the kind this model makes; edits will change more than "
        "you ask"
    )


def _check(generator: Generator, images: Tensor, latents: Tensor) -> None:
    check_images(images, generator.resolution)
    check_latents(latents, generator.num_ws, generator.w_dim)
    if len(images) != len(latents):
        raise InputError(f"{len(images)} images for {len(latents)} latents, expected one for each")
    for name, tensor in (("images", images), ("latents", latents)):
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(f"the {name} hold values that are not finite")
