import numpy as np
import pytest
import torch
from torch import Tensor

from cfclip_benchmark.avatars import (
    COLOURS,
    LONG_REAR_HAIR,
    SHAPES,
    TRAIN_SEED,
    AttributeTable,
    sample_table,
)
from recipes.avatars.latent_prior import COORDINATES, LatentPrior

COUNT = 20_000
NAMES = list(SHAPES)


@pytest.fixture(scope="module")
def table() -> AttributeTable:
    return sample_table(COUNT, "natural", TRAIN_SEED)


@pytest.fixture(scope="module")
def drawn(table: AttributeTable) -> tuple[Tensor, Tensor]:
    z = torch.randn(COUNT, 128, generator=torch.Generator().manual_seed(0))
    return LatentPrior(table).attributes(z)


def shares(codes: Tensor, size: int) -> Tensor:
    return torch.bincount(codes, minlength=size) / len(codes)


@pytest.mark.parametrize("name", NAMES)
def test_shapes_are_as_frequent_as_they_are_naturally(
    name: str, table: AttributeTable, drawn: tuple[Tensor, Tensor]
) -> None:
    size = len(SHAPES[name])
    found = shares(drawn[0][:, NAMES.index(name)], size)
    expected = shares(torch.from_numpy(table.codes[name].astype(np.int64)), size)
    # Dividing z by its own length narrows its coordinates' tails by very little.
    assert float((found - expected).abs().max()) < 5 * (0.5 / COUNT**0.5)


def test_excluded_pairs_never_come(drawn: tuple[Tensor, Tensor]) -> None:
    def is_one_of(name: str, *values: str) -> Tensor:
        wanted = torch.tensor([SHAPES[name].index(value) for value in values])
        return torch.isin(drawn[0][:, NAMES.index(name)], wanted)

    bearded = ~is_one_of("beard", "none")
    assert int(bearded.sum()) > 1000
    assert not bool((bearded & is_one_of("clothes", "dress")).any())
    assert not bool((bearded & is_one_of("rear_hair", *LONG_REAR_HAIR)).any())


def test_what_excludes_each_other_keeps_its_joint_frequencies(
    table: AttributeTable, drawn: tuple[Tensor, Tensor]
) -> None:
    def joint(codes: dict[str, Tensor]) -> Tensor:
        rear, beard = len(SHAPES["rear_hair"]), len(SHAPES["beard"])
        index = (codes["clothes"] * rear + codes["rear_hair"]) * beard + codes["beard"]
        return shares(index, len(SHAPES["clothes"]) * rear * beard)

    found = joint({name: drawn[0][:, i] for i, name in enumerate(NAMES)})
    expected = joint({n: torch.from_numpy(c.astype(np.int64)) for n, c in table.codes.items()})
    assert float(found[expected == 0].sum()) == 0.0
    assert bool(((found - expected).abs() <= 5 * (expected / COUNT).sqrt()).all())


@pytest.mark.parametrize("name", list(COLOURS))
def test_colours_have_their_natural_mean_and_spread(
    name: str, table: AttributeTable, drawn: tuple[Tensor, Tensor]
) -> None:
    found = (drawn[1][:, list(COLOURS).index(name)] + 1.0) * 127.5
    expected = torch.from_numpy(table.rgb[name].astype(np.float32))
    assert float((found.mean(0) - expected.mean(0)).abs().max()) < 4.0
    # Within a class the spread is cut short, so that no colour leaves its class by far.
    ratio = found.std(0) / expected.std(0)
    assert float(ratio.min()) > 0.85
    assert float(ratio.max()) < 1.05


def test_independent_attributes_are_uncorrelated(drawn: tuple[Tensor, Tensor]) -> None:
    hair = drawn[0][:, NAMES.index("hair")].float()
    brightness = drawn[1][:, list(COLOURS).index("background_colour")].sum(1)
    correlation = torch.corrcoef(torch.stack([hair, brightness]))[0, 1]
    assert abs(float(correlation)) < 5 / COUNT**0.5


def test_images_of_a_batch_are_independent(table: AttributeTable) -> None:
    prior = LatentPrior(table)
    z = torch.randn(6, COORDINATES, generator=torch.Generator().manual_seed(1))
    codes, rgb = prior.attributes(z)
    one_codes, one_rgb = prior.attributes(z[3:4])
    assert torch.equal(codes[3:4], one_codes)
    assert torch.equal(rgb[3:4], one_rgb)
    # Only the direction of z counts, as in the mapping network.
    scaled_codes, scaled_rgb = prior.attributes(3.0 * z)
    assert torch.equal(codes, scaled_codes)
    torch.testing.assert_close(rgb, scaled_rgb)


def test_a_colour_class_of_a_single_avatar(table: AttributeTable) -> None:
    prior = LatentPrior(table.take(slice(0, 12)))
    z = torch.randn(50, COORDINATES, generator=torch.Generator().manual_seed(2))
    _, rgb = prior.attributes(z)
    assert bool(torch.isfinite(rgb).all())
