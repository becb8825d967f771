"""Parts: likeness by hand, what they are made for, their file."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_models import sample_latents, tiny_embedder, tiny_generator
from tiny_parts import NAMES, tiny_parts

from cfclip.errors import CheckpointError, InputError
from cfclip.generators import FeatureMaps
from cfclip.regions import Parts, PartsConfig, load_parts, parts_mask, save_parts

CONFIG = PartsConfig((2, 4), (2, 1), ("sky", "ground"), (0, 1, 1))


def by_hand() -> tuple[Parts, FeatureMaps]:
    """Three clusters; features of one picture, sky above and ground below."""
    parts = Parts(CONFIG)
    parts.centroids.copy_(torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, -1.0], [-1.0, 0.0, -1.0]]))
    features = parts.wanted()
    coarse = torch.zeros(1, 2, 2, 2)
    coarse[:, 0, 0] = 5.0  # any length: directions count
    coarse[:, 1, 1] = 0.5
    fine = torch.ones(1, 1, 4, 4)
    fine[:, :, 2:] = -1.0
    features.keep(coarse)
    features.keep(fine)
    features.keep(torch.zeros(1, 7, 8, 8))  # a side that nobody asked for
    return parts, features


def test_a_pixel_is_of_the_part_whose_cluster_it_is_most_like() -> None:
    parts, features = by_hand()
    likeness = parts.likeness(features)
    assert likeness.shape == (1, 2, 4, 4)
    # The second cluster is as unlike on both sides: cosines of 0 and -1.
    assert likeness[0, 1, 0].tolist() == pytest.approx([-0.5] * 4)
    assert likeness[0, 0, 0].tolist() == pytest.approx([1.0] * 4)
    assert likeness[0, 1, 3].tolist() == pytest.approx([1.0] * 4)
    assert parts.label(features)[0].tolist() == [[0] * 4] * 2 + [[1] * 4] * 2


def test_a_region_has_the_outlines_of_its_parts_and_fades() -> None:
    lead = torch.tensor([0.5, 0.0, -0.35, -0.7])
    likeness = torch.stack([lead, torch.zeros(4)])[None, :, None].expand(1, 2, 4, 4)
    mask = parts_mask(likeness, torch.tensor([True, False]), 4)
    assert mask.shape == (1, 1, 4, 4)
    assert mask[0, 0, 0].tolist() == pytest.approx([1.0, 1.0, 0.5, 0.0], abs=2e-3)
    assert float(parts_mask(likeness, torch.tensor([True, True]), 8).min()) == 1.0
    assert float(parts_mask(likeness, torch.tensor([False, False]), 8).max()) == 0.0


def test_a_picture_is_labelled_alike_alone_and_in_a_batch() -> None:
    generator = tiny_generator()
    parts, latents = tiny_parts(generator), sample_latents(generator, 3)

    def likeness(ws: torch.Tensor) -> torch.Tensor:
        features = parts.wanted()
        generator.synthesis(ws, features=features)
        return parts.likeness(features)

    together = likeness(latents)
    assert len(together.argmax(1).unique()) == len(NAMES)
    torch.testing.assert_close(together, torch.cat([likeness(each[None]) for each in latents]))


def test_features_of_more_pictures_than_are_rendered_at_once_are_kept() -> None:
    generator = tiny_generator()
    latents = sample_latents(generator, generator.images_at_once + 1)
    features = FeatureMaps((8,))
    generator.synthesis(latents, stop_at=8, features=features)
    assert features.at(8).shape == (len(latents), features.width(8), 8, 8)
    assert not features.at(8).requires_grad


def test_names_choose_parts() -> None:
    parts = tiny_parts(tiny_generator())
    assert parts.chosen(["skin", "hair"]).tolist() == [True, True, False]
    with pytest.raises(InputError, match="there is no part 'nose'; this pack has hair, skin"):
        parts.chosen(["nose"])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"widths": (2,)}, "widths is"),
        ({"widths": (2, 0)}, "widths is"),
        ({"sides": (4, 2)}, "expected rising numbers of pixels"),
        ({"names": ("sky", "sky")}, "each once"),
        ({"clusters": (0, 0, 0)}, "expected every number from 0 to 1"),
        ({"clusters": (0, 1, 2)}, "expected every number from 0 to 1"),
        ({"aspects": {"weather": ("rain",)}}, "aspects.weather names"),
    ],
)
def test_what_does_not_fit_together_is_refused(change: dict[str, object], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        replace(CONFIG, **change)


def test_parts_of_another_generator_are_refused() -> None:
    generator, embedder = tiny_generator(), tiny_embedder()
    tiny_parts(generator).check_fits(generator, embedder)
    with pytest.raises(InputError, match="found in 2 features of 2 px, this generator has 0"):
        Parts(CONFIG).check_fits(generator, embedder)


def test_a_file_gives_the_parts_that_were_saved(tmp_path: Path) -> None:
    parts = tiny_parts(tiny_generator(), {"colour": ("hair",)}, {"generator": "abc"})
    save_parts(parts, tmp_path / "parts.safetensors", {"images": 3})
    read = load_parts(tmp_path / "parts.safetensors")
    assert read.config == parts.config
    assert torch.equal(read.centroids, parts.centroids)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "parts.safetensors"
    save_parts(tiny_parts(tiny_generator()), path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CheckpointError, match=r"parts\.safetensors"):
        load_parts(path)
