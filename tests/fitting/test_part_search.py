"""Parts are found without labels: what goes together by hand, and in a tiny generator."""

import pytest
import torch
from tiny_models import tiny_embedder, tiny_generator

from cfclip.fitting.part_aspects import named_parts
from cfclip.fitting.part_search import (
    SEARCH_STEPS,
    SampledPictures,
    find_parts,
    joined_by_colour,
    kmeans,
)
from cfclip.regions import PartsFitConfig

FEW = PartsFitConfig(images=16)


def test_clusters_whose_colours_go_together_are_one_part() -> None:
    draws = torch.Generator().manual_seed(0)
    hair, skin = torch.rand(2, 40, 3, generator=draws)
    colours = torch.stack([skin, hair, hair + 0.02, 0.9 * skin + 0.05], 1)
    pixels = torch.tensor([30.0, 10.0, 5.0, 2.0]).expand(40, 4).clone()
    # The last one has a colour of its own where it is seen, which is hardly anywhere.
    pixels[1:, 3] = 0.0
    owners = joined_by_colour(pixels, colours * pixels[..., None])
    assert owners == [0, 1, 1, 2]
    pixels[:, 3] = 6.0
    assert joined_by_colour(pixels, colours * pixels[..., None]) == [0, 1, 1, 0]


def test_kmeans_finds_directions_that_lie_apart() -> None:
    draws = torch.Generator().manual_seed(0)
    centres = torch.eye(5)[:4]
    points = centres.repeat(25, 1) + 0.05 * torch.randn(100, 5, generator=draws)
    found = kmeans(torch.nn.functional.normalize(points, dim=1), 4, seed=3)
    assert (found @ centres.T).max(0).values.min() > 0.99
    torch.testing.assert_close(found.norm(dim=1), torch.ones(4))


def test_parts_of_a_generator_are_found_and_named_the_same_again() -> None:
    generator, embedder = tiny_generator(), tiny_embedder()
    aspects = {"hair_colour": ("red hair", "blue hair"), "mouth": ("a smile", "a frown")}
    found = []
    for _ in range(2):
        calls: list[int] = []
        samples = SampledPictures(generator, FEW)
        parts = find_parts(samples, 0, lambda calls=calls: calls.append(1)).parts
        assert len(calls) == SEARCH_STEPS
        found.append(named_parts(parts, samples, embedder, aspects, lambda: None))
    one, other = found
    assert one.config == other.config
    assert torch.equal(one.centroids, other.centroids)
    assert set(one.config.aspects) == set(aspects)
    sizes = [0] * len(one.names)
    for _, _, features in SampledPictures(generator, FEW).batches():
        for part, count in enumerate(torch.bincount(one.label(features).flatten()).tolist()):
            sizes[part] += count
    assert sizes == sorted(sizes, reverse=True)


def test_without_aspects_parts_have_numbers() -> None:
    generator = tiny_generator()
    samples = SampledPictures(generator, FEW)
    parts = find_parts(samples, 0, lambda: None).parts
    assert named_parts(parts, samples, tiny_embedder(), {}, lambda: None) is parts
    assert parts.names[:2] == ("part 1", "part 2")


@pytest.mark.parametrize("seed", [0, 1])
def test_samples_are_those_of_the_seed(seed: int) -> None:
    generator = tiny_generator()
    rows = torch.tensor([3])
    config = PartsFitConfig(images=16, seed=seed)
    one, other = (SampledPictures(generator, config).render(rows, 16)[0] for _ in range(2))
    assert torch.equal(one, other)
    others = SampledPictures(generator, PartsFitConfig(images=16, seed=seed + 1))
    assert not torch.equal(one, others.render(rows, 16)[0])
