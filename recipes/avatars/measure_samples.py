"""Measures of the pictures that the pack's generator makes from z, beside those of real avatars.

What a sample shows is read back from its pixels (`read_back`), so that it can be asked what no
distance between pictures tells: whether it is an avatar at all, whether every kind comes as often
as it should, and whether any comes that should not.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cfclip.errors import InputError
from cfclip.tensors import signed_from_uint8
from cfclip_benchmark import evaluate_in_batches
from cfclip_benchmark.avatars import (
    COLOURS,
    LONG_REAR_HAIR,
    NATURAL_WORDS,
    SHAPES,
    Readings,
    colours,
    read_back,
    render,
    sample_table,
    visibility,
)
from recipes.avatars.evaluation import Bench, pixels
from recipes.avatars.grids import save_grid
from recipes.avatars.labels import Targets, readable_targets
from recipes.avatars.measure_paths import draw_samples, measure_paths

CONFIDENT = 0.8
"""Probability that every probe must give to one class for an attribute to count as read."""
EXPECTED_PAIRS = 10.0
"""A pair of values that is expected this often is missed by chance once in 20,000 times."""
NEIGHBOURS = 3
"""k of improved precision and recall, as in the paper."""
_REFERENCE_AVATARS = 20_000
_REFERENCE_SEED = 404  # of no split
_GRID_ROWS, _GRID_COLUMNS = 3, 8
_BATCH = 100
_CHUNK = 500  # rows of a distance matrix at a time


def measure_samples(bench: Bench, count: int) -> dict[str, Any]:
    """Read samples at psi 1 and real natural avatars, compare them, walk from sample to sample.

    Samples are made as a session makes them: stored noise, 8 bit. Writes `samples.png` and
    `interpolation.png` to the bench's folder.

    Args:
        bench: its natural avatars, at most `count` of them, are the real ones.
        count: samples, and pairs of codes for the path lengths.

    Returns:
        `count`; what `figures_of` tells of the samples; `precision` and `recall` of as many of
        them as there are real ones, in the features of the first probe; `real`, all of these for
        the real avatars, which no generator can be expected to beat: the precision and recall are
        those of avatars rendered afresh; `path_length` and `largest_step`, by latent space.

    Raises:
        InputError: too few samples or real avatars to have `NEIGHBOURS` neighbours.
    """
    generator, probes = bench.pack.generator(), [*bench.probes.values()]
    natural = sample_table(_REFERENCE_AVATARS, "natural", _REFERENCE_SEED)
    reference = readable_targets(natural, visibility(natural))
    samples = draw_samples(generator, count, bench.seed)
    real = pixels(bench.natural, np.arange(min(count, len(bench.natural))))
    rendered = [render(natural.record(row), real.shape[-1]) for row in range(len(real))]
    fresh = signed_from_uint8(torch.from_numpy(np.stack(rendered)))

    def features(images: Tensor) -> Tensor:
        return evaluate_in_batches(probes[0].features, images, _BATCH)

    def figures(images: Tensor, compared: Tensor) -> dict[str, Any]:
        shown = figures_of(read_back(images, probes), reference)
        return {"count": len(images), **shown, **precision_recall(seen, features(compared))}

    seen = features(real)
    grid = draw_samples(generator, _GRID_ROWS * _GRID_COLUMNS, bench.seed)
    save_grid(grid.split(_GRID_COLUMNS), bench.out / "samples.png")
    return {
        **figures(samples, samples[: len(real)]),
        "real": figures(real, fresh),
        **measure_paths(bench, count, features),
    }


def figures_of(readings: Readings, reference: Targets) -> dict[str, Any]:
    """What can be told of pictures from their readings alone.

    Only what is visible counts and, but for `ambiguous`, no ambiguous colour, here as in
    `reference`.

    Args:
        readings: of the pictures.
        reference: readable classes of a large natural table, as it is and not as it is read. Real
            avatars are read almost without error, so reading them adds next to nothing to a
            distance; few enough of them to be rendered would add 0.04 by chance (12 classes, 1,000
            avatars). What reading and chance do add, the same figures of real avatars tell.

    Returns:
        `read`: by attribute, share of pictures on which every probe is `CONFIDENT` of one class.
        `all_read`: share of pictures on which that is so for every attribute.
        `ambiguous`: by colour, share of pictures on which no word is certain of it.
        `marginals`: by attribute, total variation distance of the classes from the reference.
        `pairs_covered`: of the pairs of values of two attributes that are expected at least
        `EXPECTED_PAIRS` times in as many natural avatars, the share that the pictures show.
        `unnatural`: by kind, share of pictures that show what no natural avatar shows.
    """
    table, seen = readings.table, readings.visibility
    found = readable_targets(table, seen)
    known = {name: codes >= 0 for name, (codes, _) in found.items()}
    sure = {name: readings.confidence[name] >= CONFIDENT for name in found}
    size = len(next(iter(reference.values()))[0])
    expected = pair_counts(reference) * (len(readings) / size)
    return {
        "read": {name: _share(sure[name][known[name]]) for name in found},
        "all_read": _share(np.all([sure[name] | ~known[name] for name in found], axis=0)),
        "ambiguous": {name: _share(table.classes[name][seen[name]] < 0) for name in COLOURS},
        "marginals": {name: total_variation(*found[name], reference[name][0]) for name in found},
        "pairs_covered": _share(pair_counts(found)[expected >= EXPECTED_PAIRS] > 0),
        "unnatural": {kind: _share(flags) for kind, flags in unnatural(readings).items()},
    }


def _share(flags: NDArray[np.bool_]) -> float:
    """Share of flags that are set; of none, 0."""
    return float(flags.mean()) if flags.size else 0.0


def total_variation(codes: NDArray[np.integer], size: int, reference: NDArray[np.integer]) -> float:
    """Half the sum of the differences between the shares of `size` classes: 0 (alike) to 1.

    Codes below 0 are left out of both; where nothing is left, the distance is 1.

    >>> total_variation(np.array([0, 0, 0, 1, -1]), 2, np.array([0, 1]))
    0.25
    """
    counts = [np.bincount(each[each >= 0], minlength=size) for each in (codes, reference)]
    if not all(count.any() for count in counts):
        return 1.0
    first, second = (count / count.sum() for count in counts)
    return float(np.abs(first - second).sum() / 2)


def pair_counts(targets: Targets) -> NDArray[np.float64]:
    """How often two values can be read off one avatar: (values, values), attribute by attribute.

    Symmetric; 0 for two values of the same attribute.
    """
    shown = [codes[:, None] == np.arange(size) for codes, size in targets.values()]
    owner = np.repeat(np.arange(len(shown)), [flags.shape[1] for flags in shown])
    flags = np.concatenate(shown, axis=1).astype(np.float64)
    return np.where(owner[:, None] == owner, 0.0, flags.T @ flags)


def unnatural(readings: Readings) -> dict[str, NDArray[np.bool_]]:
    """By kind, and for `any` of them, which of N pictures show what no natural avatar does: (N,).

    A colour counts if it is visible and certain: some word is true of it and every natural word of
    its part is false; words that are kin, as orange and ginger are, leave each other undecided. Of
    a beard with a dress or with long rear hair, both must be visible and read with confidence.
    """
    table, seen = readings.table, readings.visibility
    kinds = {}
    for name, part in COLOURS.items():
        if part in NATURAL_WORDS:
            truth = colours.truth_table(colours.lab_from_rgb(table.rgb[name]), part)
            natural = np.isin(colours.colour_words(part), NATURAL_WORDS[part])
            other = (truth[:, ~natural] == 1).any(1) & (truth[:, natural] == 0).all(1)
            kinds[name] = seen[name] & other

    def shows(name: str, values: tuple[str, ...]) -> NDArray[np.bool_]:
        sure = seen[name] & (readings.confidence[name] >= CONFIDENT)
        return sure & np.isin(table.codes[name], [SHAPES[name].index(value) for value in values])

    bearded = shows("beard", tuple(value for value in SHAPES["beard"] if value != "none"))
    kinds["beard_with_dress"] = bearded & shows("clothes", ("dress",))
    kinds["beard_with_long_hair"] = bearded & shows("rear_hair", LONG_REAR_HAIR)
    return {**kinds, "any": np.any([*kinds.values()], axis=0)}


def precision_recall(
    real: Tensor, fake: Tensor, k: int = NEIGHBOURS, chunk: int = _CHUNK
) -> dict[str, float]:
    """Improved precision and recall of Kynkäänniemi et al. (NeurIPS 2019).

    A set covers a point that is no farther from one of the set's points than that one's k-th
    nearest neighbour in the set. `precision` is the share of `fake` that `real` covers, `recall`
    the share of `real` that `fake` covers. Distances are Euclidean, of the features as they are.

    Args:
        real, fake: (N, d) and (M, d) features, more than `k` of each.
        k: neighbours.
        chunk: rows of distances that are held at a time; nothing else depends on it.

    Raises:
        InputError: too few points.

    >>> real, fake = torch.tensor([[0.0], [1.0], [10.0], [11.0]]), torch.tensor([[0.5], [1.5]])
    >>> precision_recall(real, fake, k=1)
    {'precision': 1.0, 'recall': 0.5}
    """
    if min(len(real), len(fake)) <= k:
        raise InputError(
            f"{len(real)} real and {len(fake)} made pictures are too few for {k} neighbours of "
            f"each; give at least {k + 1}"
        )

    def distances(rows: Tensor, points: Tensor) -> Tensor:
        # Exact: a point is at 0 from itself, and as far from another as that one from it.
        return torch.cdist(rows, points, compute_mode="donot_use_mm_for_euclid_dist")

    def covered(points: Tensor, by: Tensor) -> float:
        # The nearest point is each one itself.
        radii = torch.cat([distances(c, by).kthvalue(k + 1).values for c in by.split(chunk)])
        inside = torch.cat([(distances(c, by) <= radii).any(1) for c in points.split(chunk)])
        return float(inside.numpy().mean())

    return {"precision": covered(fake, real), "recall": covered(real, fake)}
