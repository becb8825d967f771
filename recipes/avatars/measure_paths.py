"""Samples of the pack's generator, and walks between their latents: how even they are."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from cfclip.generators import Generator
from cfclip.tensors import signed_from_uint8, uint8_from_signed, unit
from cfclip_benchmark import evaluate_in_batches
from recipes.avatars.evaluation import Bench
from recipes.avatars.grids import save_grid

Features = Callable[[Tensor], Tensor]

PATH_STEP = 1e-3
"""epsilon of the path length. In float32 a pair is off by 0.02 % of itself at 1e-3 and by 0.2 % at
the papers' 1e-4; the mean over pairs is within 0.3 % of its limit at 1e-3, within 1 % at 1e-2."""
PATH_STEPS = 20
"""Equal steps in which a path is walked to tell how even it is."""

_PATHS = 50
_GRID_COLUMNS, _PATH_ROWS = 8, 4
_BATCH = 100
_FEATURE_EPS = 1e-6  # features that are all zero stay finite
_DRAWS = 2  # second number of every seed here, so that no other stage draws the same
_SAMPLES, _PATH_ENDS = 1, {"w": 2, "w_plus": 3}  # third number


def draw_codes(
    generator: Generator, count: int, rng: np.random.Generator, mixed: bool = False
) -> Tensor:
    """`(count, num_ws, w_dim)`: the w of a z in every row or, if `mixed`, of another z in each."""
    rows = generator.num_ws if mixed else 1
    z = rng.standard_normal((count * rows, generator.z_dim), dtype=np.float32)
    w = evaluate_in_batches(lambda z: generator.mapping(z)[:, 0], torch.from_numpy(z), _BATCH)
    return w.unflatten(0, (count, rows)).expand(-1, generator.num_ws, -1)


def draw_samples(generator: Generator, count: int, seed: int) -> Tensor:
    """The first `count` samples of a seed at psi 1: an image tensor of 8-bit pictures."""
    ws = draw_codes(generator, count, np.random.default_rng((seed, _DRAWS, _SAMPLES)))
    return signed_from_uint8(uint8_from_signed(_pictures(generator, ws)))


def _pictures(generator: Generator, ws: Tensor) -> Tensor:
    """Image tensor of W+ codes, clamped: what one sees."""
    return evaluate_in_batches(lambda ws: generator.synthesis(ws).clamp(-1.0, 1.0), ws, _BATCH)


def measure_paths(bench: Bench, count: int, features: Features) -> dict[str, dict[str, float]]:
    """Path length and evenness by latent space; writes `interpolation.png`."""
    generator = bench.pack.generator()
    figures: dict[str, dict[str, float]] = {"path_length": {}, "largest_step": {}}
    for space, stream in _PATH_ENDS.items():
        rng = np.random.default_rng((bench.seed, _DRAWS, stream))
        start, end = draw_codes(generator, 2 * count, rng, mixed=space == "w_plus").chunk(2)
        at = torch.from_numpy(rng.random((count, 1, 1), dtype=np.float32))
        lengths = probe_path_length(generator, features, start, end, at)
        figures["path_length"][space] = lengths.mean().item()
        ends = list(zip(start, end, strict=True))
        steps = [largest_step(walk(generator, *each, PATH_STEPS + 1)) for each in ends[:_PATHS]]
        figures["largest_step"][space] = float(np.mean(steps))
        if space == "w":
            rows = [walk(generator, *each, _GRID_COLUMNS) for each in ends[:_PATH_ROWS]]
            save_grid(rows, bench.out / "interpolation.png")
    return figures


def probe_path_length(
    generator: Generator, features: Features, start: Tensor, end: Tensor, at: Tensor
) -> Tensor:
    """Path length of Karras et al. (CVPR 2019 and 2020) in a probe's features: `(batch,)`.

    `d(G(lerp(w1, w2, t)), G(lerp(w1, w2, t + e))) / e^2` with e = `PATH_STEP`. The papers' d is
    LPIPS in VGG16; this d is the squared distance of a probe's features at unit length, quadratic
    in small steps too. So these lengths compare with each other and not with published ones.

    Args:
        generator: makes the pictures.
        features: image tensor to (batch, d).
        start, end: w1 and w2, `(batch, num_ws, w_dim)`.
        at: t, `(batch, 1, 1)` in [0, 1].
    """

    def place(t: Tensor) -> Tensor:
        return unit(features(_pictures(generator, torch.lerp(start, end, t))), _FEATURE_EPS)

    return (place(at) - place(at + PATH_STEP)).square().sum(1) / PATH_STEP**2


def walk(generator: Generator, start: Tensor, end: Tensor, count: int) -> Tensor:
    """Image tensor of `count` pictures from `start` to `end`, both `(num_ws, w_dim)`, evenly."""
    return _pictures(generator, torch.lerp(start, end, torch.linspace(0, 1, count)[:, None, None]))


def largest_step(images: Tensor) -> float:
    """The largest change from one picture of a walk to the next, as a multiple of the mean one.

    1 if the picture changes evenly; the number of steps if all of it happens in one; 0 if nothing
    changes. A change is the root mean square over pixels.

    >>> largest_step(torch.tensor([0.0, 0.125, 0.25, 0.75]).reshape(4, 1, 1, 1))
    2.0
    """
    changes = images.diff(dim=0).square().flatten(1).mean(1).sqrt()
    return (changes.max() / changes.mean().clamp_min(torch.finfo(changes.dtype).tiny)).item()
