from collections.abc import Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from cfclip.errors import InputError
from cfclip.tensors import signed_from_uint8
from cfclip_benchmark import ARCHITECTURES, Probe
from cfclip_benchmark.avatars import load_probes
from cfclip_benchmark.avatars import readings as module
from cfclip_benchmark.avatars.attributes import (
    ATTRIBUTES,
    COLOURS,
    DISTRIBUTIONS,
    SHAPES,
    TEST_SEED,
    AttributeTable,
    classes,
    sample_records,
)
from cfclip_benchmark.avatars.colours import delta_e, lab_from_rgb
from cfclip_benchmark.avatars.readings import Readings, colour_masks, read_back
from cfclip_benchmark.avatars.renderer import PART_COLOURS, render, render_masks, visibility

EACH = 32
SMALL_SIDE = 16  # so small that brows and lips have no pixel of their own
NEAR = 3.0  # Delta-E that one hardly sees

Visible = Mapping[str, NDArray[np.bool_]]


def random_probes() -> list[Probe]:
    sizes = {name: len(classes(name)) for name in ATTRIBUTES}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return [Probe(sizes, architecture).eval() for architecture in ARCHITECTURES]


@pytest.fixture(scope="module")
def probes() -> list[Probe]:
    return list(load_probes().values())


@pytest.fixture(scope="module")
def truth() -> AttributeTable:
    records = [r for name in DISTRIBUTIONS for r in sample_records(EACH, name, TEST_SEED)]
    return AttributeTable.from_records(records)


@pytest.fixture(scope="module")
def images(truth: AttributeTable) -> Tensor:
    pictures = [render(truth.record(row)) for row in range(len(truth))]
    return signed_from_uint8(torch.from_numpy(np.stack(pictures)))


@pytest.fixture(scope="module")
def readings(images: Tensor, probes: list[Probe]) -> Readings:
    return read_back(images, probes)


def errors(found: Readings, truth: AttributeTable, name: str) -> NDArray[np.float64]:
    """Delta-E of the colour that was read, where it is visible."""
    read, true = (lab_from_rgb(table.rgb[name]) for table in (found.table, truth))
    return delta_e(read, true)[visibility(truth)[name]]


@pytest.mark.parametrize("name", list(SHAPES))
def test_visible_shapes_are_read_right(
    name: str, readings: Readings, truth: AttributeTable
) -> None:
    right = readings.table.codes[name] == truth.codes[name]
    assert right[visibility(truth)[name]].mean() > 0.95


@pytest.mark.parametrize("name", list(COLOURS))
def test_visible_colours_are_read_right(
    name: str, readings: Readings, truth: AttributeTable
) -> None:
    assert (errors(readings, truth, name) < NEAR).mean() > 0.95


def test_an_avatar_as_read_shows_what_the_avatar_shows(
    readings: Readings, truth: AttributeTable
) -> None:
    assert len(readings) == len(truth)
    for name, seen in visibility(truth).items():
        assert (readings.visibility[name] == seen).mean() > 0.9, name


def test_a_shifted_outline_does_not_change_a_colour(
    images: Tensor, probes: list[Probe], truth: AttributeTable
) -> None:
    shifted = read_back(images.roll(1, dims=-1), probes)
    for name in COLOURS:
        assert (errors(shifted, truth, name) < NEAR).mean() > 0.95, name


def test_confidence_is_that_of_the_less_sure_probe(
    images: Tensor, probes: list[Probe], readings: Readings
) -> None:
    with torch.no_grad():
        logits = [probe(images) for probe in probes]
    for name in ATTRIBUTES:
        first, second = (each[name].softmax(1).max(1) for each in logits)
        agreed = first.indices == second.indices
        expected = torch.minimum(first.values, second.values) * agreed
        assert readings.confidence[name].dtype == np.float32
        np.testing.assert_allclose(readings.confidence[name], expected, atol=1e-5)
        if name in SHAPES:
            read = torch.from_numpy(readings.table.codes[name].astype(np.int64))
            assert torch.equal(read[agreed], first.indices[agreed])


def test_probes_of_two_minds_are_not_sure_and_their_order_does_not_matter(images: Tensor) -> None:
    first, second = random_probes()
    found, turned = read_back(images, [first, second]), read_back(images, [second, first])
    one, other = first.read(images), second.read(images)
    disagreed = {name: (one[name] != other[name]).numpy() for name in ATTRIBUTES}
    assert np.any(list(disagreed.values()))
    for name in ATTRIBUTES:
        assert ((found.confidence[name] == 0.0) == disagreed[name]).all()
        assert (found.confidence[name] == turned.confidence[name]).all()
        assert (found.table.labels(name) == turned.table.labels(name)).all()


def test_one_probe_is_enough(images: Tensor, probes: list[Probe]) -> None:
    found = read_back(images[:4], probes[:1])
    for name in SHAPES:
        assert found.table.codes[name].tolist() == probes[0].read(images[:4])[name].tolist()
        assert (found.confidence[name] > 1.0 / len(classes(name))).all()


def test_pictures_are_read_independently(
    images: Tensor, probes: list[Probe], readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH", 3)
    found = read_back(images[5:12], probes)
    for row in range(len(found)):
        assert found.table.record(row) == readings.table.record(row + 5)
    for name in ATTRIBUTES:
        assert (found.visibility[name] == readings.visibility[name][5:12]).all()
        np.testing.assert_allclose(
            found.confidence[name], readings.confidence[name][5:12], atol=1e-5
        )


def test_a_colour_without_a_pixel_is_not_readable() -> None:
    records = sample_records(8, "natural", TEST_SEED)
    small = np.stack([render(record, SMALL_SIDE) for record in records])
    found = read_back(signed_from_uint8(torch.from_numpy(small)), random_probes())
    shown = np.array(
        [
            colour_masks(found.table.record(row), SMALL_SIDE)["brow_colour"].any()
            for row in range(len(found))
        ]
    )
    assert not shown.all()
    assert not found.visibility["brow_colour"][~shown].any()
    # What cannot be read still is some colour of the picture, between its darkest and lightest.
    darkest, lightest = small.min((1, 2)), small.max((1, 2))
    for rgb in found.table.rgb.values():
        assert ((darkest <= rgb) & (rgb <= lightest)).all()


def test_what_is_out_of_range_is_clamped(images: Tensor) -> None:
    blazing = read_back(images[:2] + 3.0, random_probes())
    assert all((rgb == 255).all() for rgb in blazing.table.rgb.values())


def test_masks_of_a_colour_are_all_parts_that_show_it() -> None:
    for record in sample_records(6, "open", TEST_SEED):
        parts, masks = render_masks(record, 64), colour_masks(record, 64)
        assert tuple(masks) == tuple(COLOURS)
        hairy = [parts[part] for part, name in PART_COLOURS.items() if name == "hair_colour"]
        assert len(hairy) == 3
        assert (masks["hair_colour"] == np.any(hairy, axis=0)).all()
        assert (masks["lip_colour"] == parts["lips"]).all()
        assert np.sum(list(masks.values()), axis=0).max() == 1


def test_unusable_inputs_are_refused(images: Tensor) -> None:
    probes = random_probes()
    with pytest.raises(InputError, match="no probes; give at least one"):
        read_back(images[:1], [])
    with pytest.raises(InputError, match="expected 128x128"):
        read_back(images[:1, :, :64], probes)
    with pytest.raises(InputError, match="expected \\(batch, 3, height, width\\)"):
        read_back(images[0], probes)
