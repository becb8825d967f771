import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from tiny_pack import RESOLUTION
from torch import Tensor

from cfclip.editing import Session
from cfclip.editors import LatentOptimisationConfig
from cfclip.encoders import ProjectionConfig
from cfclip.errors import InputError
from cfclip.tensors import uint8_from_signed
from cfclip_benchmark import ARCHITECTURES, Probe
from cfclip_benchmark.avatars import Readings, read_back, visibility
from cfclip_benchmark.avatars.attributes import (
    ATTRIBUTES,
    COLOURS,
    TEST_SEED,
    AttributeTable,
    AvatarRecord,
    changed,
    classes,
    sample_table,
)
from recipes.avatars import measure_paths
from recipes.avatars import measure_samples as module
from recipes.avatars.dataset import load_dataset, render_dataset
from recipes.avatars.evaluation import Bench, pixels
from recipes.avatars.labels import Targets, readable_targets
from recipes.avatars.measure_paths import draw_samples
from recipes.avatars.measure_samples import (
    figures_of,
    measure_samples,
    pair_counts,
    precision_recall,
    total_variation,
    unnatural,
)

COUNT, REAL = 12, 10
PLAIN = AvatarRecord(
    hair="side_combed",
    rear_hair="none",
    beard="full",
    brows="neutral",
    eyes="happy",
    mouth="smile",
    clothes="t_shirt",
    hair_colour=(106, 68, 36),
    brow_colour=(30, 30, 30),
    lip_colour=(208, 128, 128),
    skin_colour=(241, 199, 171),
    clothes_colour=(30, 80, 208),
    background_colour=(240, 220, 60),
)


def read_perfectly(table: AttributeTable, confidence: float = 1.0) -> Readings:
    sure = {name: np.full(len(table), confidence, dtype=np.float32) for name in ATTRIBUTES}
    return Readings(table, sure, visibility(table))


def targets(table: AttributeTable) -> Targets:
    return readable_targets(table, visibility(table))


@pytest.fixture(scope="module")
def natural() -> AttributeTable:
    return sample_table(4000, "natural", TEST_SEED)


def points(count: int, seed: int, shift: float = 0.0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(count, 5, generator=draw) + shift


# Precision and recall


def test_a_set_covers_itself() -> None:
    real = points(40, 0)
    assert precision_recall(real, real) == {"precision": 1.0, "recall": 1.0}


def test_sets_far_apart_do_not_cover_each_other() -> None:
    assert precision_recall(points(40, 0), points(30, 1, shift=100.0)) == {
        "precision": 0.0,
        "recall": 0.0,
    }


def test_a_collapsed_set_is_precise_and_covers_little() -> None:
    real = points(200, 0)
    collapsed = real[:1] + 1e-3 * points(50, 1)
    found = precision_recall(real, collapsed)
    assert found["precision"] == 1.0
    assert found["recall"] <= 0.01


def test_precision_and_recall_follow_their_definition() -> None:
    real, fake, k = points(50, 0).double(), points(30, 1, shift=0.7).double(), 3

    def share(these: Tensor, by: Tensor) -> float:
        inside = []
        for point in these:
            covered = False
            for centre in by:
                apart = sorted(float((centre - other).norm()) for other in by)
                covered |= float((point - centre).norm()) <= apart[k]
            inside.append(covered)
        return float(np.mean(inside))

    found = precision_recall(real, fake, k)
    assert found == pytest.approx({"precision": share(fake, real), "recall": share(real, fake)})
    assert all(0.0 < share < 1.0 for share in found.values())


@pytest.mark.parametrize("chunk", [1, 7, 50])
def test_chunks_change_nothing(chunk: int) -> None:
    real, fake = points(50, 0), points(30, 1, shift=0.7)
    assert precision_recall(real, fake, chunk=chunk) == precision_recall(real, fake)


@pytest.mark.parametrize(("reals", "fakes"), [(3, 9), (9, 3)])
def test_too_few_points_have_no_neighbours(reals: int, fakes: int) -> None:
    with pytest.raises(InputError, match="too few for 3 neighbours of each; give at least 4"):
        precision_recall(points(reals, 0), points(fakes, 1))


# What readings tell


def codes(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def test_total_variation_by_hand() -> None:
    assert total_variation(codes(0, 1, 1, 2), 3, codes(1, 0, 2, 1)) == 0.0
    assert total_variation(codes(0, 0), 3, codes(1, 2)) == 1.0
    assert total_variation(codes(0, 1), 2, codes(0, 0, 0, 1)) == 0.25
    assert total_variation(codes(-1, -1), 2, codes(0, 1)) == 1.0


def test_pairs_are_counted_where_both_values_are_readable() -> None:
    found = pair_counts({"a": (codes(0, 0, 1, -1), 2), "b": (codes(2, 2, 0, 1), 3)})
    # Columns: a0 a1 b0 b1 b2.
    assert found.tolist() == [
        [0, 0, 0, 0, 2],
        [0, 0, 1, 0, 0],
        [0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [2, 0, 0, 0, 0],
    ]


def test_natural_avatars_are_as_good_as_can_be(natural: AttributeTable) -> None:
    figures = figures_of(read_perfectly(natural.take(slice(0, 2000))), targets(natural))
    assert figures["all_read"] == 1.0
    assert set(figures["read"]) == set(ATTRIBUTES)
    assert set(figures["read"].values()) == {1.0}
    assert max(figures["marginals"].values()) < 0.05
    assert figures["pairs_covered"] == 1.0
    assert set(figures["unnatural"].values()) == {0.0}
    # Natural colours are certain; clothes and background have colours between two words.
    free = {"clothes_colour", "background_colour"}
    assert {name for name, share in figures["ambiguous"].items() if share} == free


def test_one_avatar_over_and_over_is_not_the_natural_distribution(natural: AttributeTable) -> None:
    same = AttributeTable.from_records([PLAIN] * 1000)
    figures = figures_of(read_perfectly(same), targets(natural))
    assert figures["all_read"] == 1.0
    assert min(figures["marginals"].values()) > 0.3
    assert figures["pairs_covered"] < 0.1


def test_one_attribute_that_is_not_sure_spoils_the_whole(natural: AttributeTable) -> None:
    hidden = changed(PLAIN, lip_colour=PLAIN.skin_colour)
    readings = read_perfectly(AttributeTable.from_records([PLAIN, PLAIN, hidden, hidden]))
    readings.confidence["lip_colour"][::2] = 0.5
    figures = figures_of(readings, targets(natural))
    assert figures["read"]["lip_colour"] == 0.5
    assert figures["read"]["hair"] == 1.0
    # What is hidden need not be read.
    assert figures["all_read"] == 0.75


def test_nothing_readable_gives_numbers(natural: AttributeTable) -> None:
    grey = dict.fromkeys(COLOURS, (128, 128, 128))
    table = AttributeTable.from_records([changed(PLAIN, mouth="smile", **grey)] * 3)
    figures = figures_of(read_perfectly(table, 0.0), targets(natural))
    assert figures["read"]["hair_colour"] == 0.0
    assert figures["marginals"]["hair_colour"] == 1.0


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, set()),
        ({"hair_colour": "green"}, {"hair_colour"}),
        ({"skin_colour": "blue", "lip_colour": "purple"}, {"skin_colour", "lip_colour"}),
        ({"brow_colour": "turquoise"}, {"brow_colour"}),
        # Between green and turquoise, but mint for certain.
        ({"hair_colour": "mint"}, {"hair_colour"}),
        ({"clothes": "dress"}, {"beard_with_dress"}),
        ({"rear_hair": "long_wavy"}, {"beard_with_long_hair"}),
        # Kin: orange hair may pass for ginger, pink lips for rosy ones.
        ({"hair_colour": "orange", "lip_colour": "pink"}, set()),
        # Clothes and background have every colour.
        ({"clothes_colour": "green", "background_colour": "purple"}, set()),
        # Not to be told from the skin.
        ({"brow_colour": "green", "skin_colour": "green"}, {"skin_colour"}),
        ({"beard": "none", "clothes": "dress"}, set()),
    ],
)
def test_what_no_natural_avatar_shows_is_named(changes: dict[str, str], kinds: set[str]) -> None:
    found = unnatural(
        read_perfectly(AttributeTable.from_records([PLAIN, changed(PLAIN, **changes)]))
    )
    assert {kind for kind, flags in found.items() if flags[1]} - {"any"} == kinds
    assert bool(found["any"][1]) == bool(kinds)
    assert not any(flags[0] for flags in found.values())


def test_a_beard_that_is_not_sure_is_no_excluded_pair() -> None:
    table = AttributeTable.from_records([changed(PLAIN, clothes="dress")])
    readings = read_perfectly(table)
    readings.confidence["beard"][:] = 0.5
    assert not unnatural(readings)["any"].any()


def test_most_open_avatars_are_unnatural() -> None:
    table = sample_table(500, "open", TEST_SEED)
    assert unnatural(read_perfectly(table))["any"].mean() > 0.9


# All of it


@pytest.fixture
def bench(tiny_pack: Path, tmp_path: Path) -> Bench:
    data = load_dataset(
        render_dataset("natural", REAL, TEST_SEED, tmp_path / "natural", RESOLUTION)
    )
    sizes = {name: len(classes(name)) for name in ATTRIBUTES}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        probes = {name: Probe(sizes, name).eval() for name in ARCHITECTURES}
    return Bench(
        Session.open(tiny_pack),
        probes,
        data,
        data,
        LatentOptimisationConfig(),
        ProjectionConfig(),
        tmp_path,
        seed=0,
    )


def test_samples_of_a_pack_are_measured(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REFERENCE_AVATARS", 200)
    monkeypatch.setattr(measure_paths, "_PATHS", 2)
    figures = measure_samples(bench, COUNT)
    assert figures == measure_samples(bench, COUNT)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert (figures["count"], figures["real"]["count"]) == (COUNT, REAL)
    spaces = {"path_length", "largest_step"}
    assert set(figures["real"]) == set(figures) - {"real"} - spaces
    for name in spaces:
        assert set(figures[name]) == {"w", "w_plus"}
        assert min(figures[name].values()) > 0.0
    probes = list(bench.probes.values())
    real = pixels(bench.natural, np.arange(REAL))
    samples = draw_samples(bench.pack.generator(), COUNT, bench.seed)
    for images, found in ((samples, figures), (real, figures["real"])):
        expected = figures_of(read_back(images, probes), targets(bench.natural.table))
        # The rest depends on the reference.
        for name in ("read", "all_read", "ambiguous", "unnatural"):
            assert found[name] == expected[name]
    side = RESOLUTION
    with Image.open(bench.out / "samples.png") as grid:
        assert grid.size == (8 * side, 3 * side)
        first = np.asarray(grid)[:side, :side]
    assert np.abs(first.astype(int) - uint8_from_signed(samples)[0].numpy()).max() <= 1
    with Image.open(bench.out / "interpolation.png") as grid:
        assert grid.size == (8 * side, 4 * side)
