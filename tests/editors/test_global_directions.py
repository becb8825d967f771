"""Global directions: by hand on linear models, and on a tiny StyleGAN2 and CLIP."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from linear_models import LinearEmbedder, LinearGenerator
from tiny_models import TEMPLATES, sample_latents, tiny_embedder, tiny_generator
from torch import Tensor

from cfclip.editors import (
    ChannelStatistics,
    ChannelStatisticsConfig,
    EditRequest,
    channel_directions,
    channel_report,
    load_channel_statistics,
    save_channel_statistics,
)
from cfclip.editors.global_config import ChannelFitConfig, GlobalDirectionsConfig
from cfclip.editors.global_directions import GlobalDirections, channel_moves
from cfclip.editors.spaces import style_widths
from cfclip.embedders.clip import ClipEmbedder
from cfclip.errors import CheckpointError, InputError
from cfclip.generators import StyleGAN2
from cfclip.optim import COMPLETED

# u(mean(E(t) - E(s))) is (-1, 0.6, 0, 0.8, 0) / sqrt(2): channel 0 of the features, 2 of the
# to-RGB layer.
TEXTS = {"source": (1.0, 0.0, 0.0, 0.0, 0.0), "target": (0.0, 0.6, 0.0, 0.8, 0.0)}
SPREAD = torch.tensor([0.5, 1.0, 2.0, 1.0])


@pytest.fixture
def linear() -> tuple[LinearGenerator, LinearEmbedder]:
    return LinearGenerator(), LinearEmbedder(TEXTS)


def statistics_of(
    spread: Tensor, directions: Tensor, models: dict[str, str] | None = None
) -> ChannelStatistics:
    made = ChannelStatistics(ChannelStatisticsConfig(*directions.shape, models or {}))
    made.spread.copy_(spread)
    made.directions.copy_(directions)
    return made


def linear_request(**changes: Any) -> EditRequest:
    latents = torch.tensor([[[0.1, 0.2], [0.3, 0.4]], [[0.0, 0.0], [0.0, 0.0]]])
    return EditRequest(
        **{
            **{"latents": latents, "prompts": ("target",), "source_text": "source"},
            **{"templates": ("{}",)},
            **changes,
        }
    )


def linear_editor(
    linear: tuple[LinearGenerator, LinearEmbedder], **settings: Any
) -> GlobalDirections:
    """Channel c leads along axis 1 + c, half as far as it could."""
    directions = 0.5 * torch.eye(4, 5).roll(1, 1)
    return GlobalDirections(
        *linear, statistics_of(SPREAD, directions), GlobalDirectionsConfig(**settings)
    )


# By hand


def test_a_channel_of_a_picture_without_others_leads_along_its_axis(
    linear: tuple[LinearGenerator, LinearEmbedder],
) -> None:
    found = channel_directions(*linear, torch.zeros(4), SPREAD, range(4))
    torch.testing.assert_close(found, torch.eye(4, 5).roll(1, 1), atol=1e-5, rtol=0.0)


def test_elsewhere_it_leads_across_the_bisector_of_both_sides(
    linear: tuple[LinearGenerator, LinearEmbedder],
) -> None:
    """With (1, a +- 5 sigma) at the angles up and down, the difference of their directions is at a
    right angle to the one between."""
    styles, spread = torch.tensor([0.0, 0.7, 0.0, 0.0]), torch.tensor([1.0, 0.3, 1.0, 1.0])
    up, down = math.atan(0.7 + 1.5), math.atan(0.7 - 1.5)
    between = (up + down) / 2
    (found,) = channel_directions(*linear, styles, spread, range(1, 2))
    expected = torch.tensor([-math.sin(between), 0.0, math.cos(between), 0.0, 0.0])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0.0)


def test_a_channel_without_effect_has_no_direction(
    linear: tuple[LinearGenerator, LinearEmbedder],
) -> None:
    found = channel_directions(*linear, torch.ones(4), torch.zeros(4), range(4))
    assert not found.any()


@pytest.mark.parametrize(
    ("settings", "channels"),
    [
        # cosines 0.6 / sqrt 2 = 0.42 and 0.8 / sqrt 2 = 0.57, of which the latter is of to-RGB
        ({}, [4 * 0.5 * 0.75, 0.0, 4 * 2.0, 0.0]),
        ({"beta": 0.5}, [0.0, 0.0, 4 * 2.0, 0.0]),
        ({"to_rgb": False}, [4 * 0.5, 0.0, 0.0, 0.0]),
        ({"to_rgb": False, "alpha": -1.0}, [-0.5, 0.0, 0.0, 0.0]),
    ],
)
def test_the_relevant_channels_move_by_their_cosines(
    linear: tuple[LinearGenerator, LinearEmbedder], settings: dict[str, Any], channels: list[float]
) -> None:
    request = linear_request()
    result = linear_editor(linear, **settings).edit(request)
    assert result.stop_reasons == (COMPLETED, COMPLETED)
    expected = torch.tensor([channels, channels])
    torch.testing.assert_close(result.offset, expected, atol=1e-5, rtol=1e-5)
    pixels = result.images[:, 0, 0, 1:5]
    torch.testing.assert_close(pixels, request.latents.flatten(1) + expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(result.layer_offsets[0], result.offset[:, :2])


def test_without_a_relevant_channel_nothing_changes_and_it_is_said(
    linear: tuple[LinearGenerator, LinearEmbedder],
) -> None:
    result = linear_editor(linear, beta=0.57).edit(linear_request())
    assert not result.offset.any()
    assert torch.equal(result.images, result.at_strength(0.0))
    assert set(result.stop_reasons) == {
        "no channel's cosine with the text is above beta 0.57, the largest is 0.566; lower beta"
    }


def test_several_prompts_have_the_direction_between(
    linear: tuple[LinearGenerator, LinearEmbedder],
) -> None:
    generator = linear[0]
    texts = {**TEXTS, "other": (0.0, 0.0, 1.0, 0.0, 0.0)}
    editor = linear_editor((generator, LinearEmbedder(texts)), beta=0.0)
    found = editor.read(linear_request(prompts=("target", "other")))[0]
    target, other = (torch.tensor([texts[name]]) for name in ("target", "other"))
    directions = [(each - torch.eye(1, 5))[0] / 2**0.5 for each in (target, other)]
    between = sum(directions, start=torch.zeros(5))
    between = between / between.norm()
    torch.testing.assert_close(found, between[1:])


def test_the_threshold_is_exclusive_and_the_sign_is_kept() -> None:
    cosines = torch.tensor([0.5, -0.25, 0.25])
    moves = channel_moves(cosines, torch.ones(3), alpha=2.0, beta=0.25)
    assert moves.tolist() == [2.0, 0.0, 0.0]
    assert channel_moves(cosines, torch.ones(3), 2.0, 0.2).tolist() == [2.0, -1.0, 1.0]


# On real models


@pytest.fixture(scope="module")
def generator() -> StyleGAN2:
    return tiny_generator()


@pytest.fixture
def embedder() -> ClipEmbedder:
    return tiny_embedder()


@pytest.fixture(scope="module")
def statistics(generator: StyleGAN2) -> ChannelStatistics:
    embedder = tiny_embedder()
    channels = sum(style_widths(generator))
    styles = torch.cat(generator.styles(sample_latents(generator, 200)), 1)
    spread = styles.std(0)
    found = channel_directions(generator, embedder, styles[0], spread, range(channels))
    return statistics_of(spread, found)


@pytest.fixture(scope="module")
def request_of_two(generator: StyleGAN2) -> EditRequest:
    return EditRequest(
        latents=sample_latents(generator, 2),
        prompts=("green hair",),
        source_text="avatar",
        templates=TEMPLATES,
    )


CONFIG = GlobalDirectionsConfig(alpha=3.0, beta=0.05)


def test_what_is_embedded(
    generator: StyleGAN2,
    embedder: ClipEmbedder,
    statistics: ChannelStatistics,
    request_of_two: EditRequest,
) -> None:
    editor = GlobalDirections(generator, embedder, statistics, CONFIG)
    result = editor.edit(request_of_two)
    assert (embedder.text_calls, embedder.image_calls) == (2 * len(TEMPLATES), 0)
    editor.edit(request_of_two)
    assert embedder.text_calls == 2 * len(TEMPLATES)
    assert bool(result.offset.any())
    assert result.steps == (0, 0)
    assert result.history == ({}, {})
    widths = style_widths(generator)
    channel_directions(generator, embedder, torch.zeros(sum(widths)), torch.ones(1), range(0))
    assert embedder.image_calls == 0
    styles = torch.cat(generator.styles(request_of_two.latents), 1)[0]
    channel_directions(generator, embedder, styles, statistics.spread, range(5))
    assert embedder.image_calls == 2 * 5


def test_channels_do_not_influence_each_other(
    generator: StyleGAN2, embedder: ClipEmbedder, statistics: ChannelStatistics
) -> None:
    styles = torch.cat(generator.styles(sample_latents(generator, 1)), 1)[0]
    together = channel_directions(generator, embedder, styles, statistics.spread, range(3, 9))
    for place, channel in enumerate(range(3, 9)):
        (alone,) = channel_directions(
            generator, embedder, styles, statistics.spread, range(channel, channel + 1)
        )
        torch.testing.assert_close(alone, together[place], atol=2e-3, rtol=1e-2)


def test_images_are_edited_alone_as_in_a_batch_at_any_strength(
    generator: StyleGAN2,
    embedder: ClipEmbedder,
    statistics: ChannelStatistics,
    request_of_two: EditRequest,
) -> None:
    editor = GlobalDirections(generator, embedder, statistics, replace(CONFIG, strength=0.5))
    together = editor.edit(request_of_two)
    for row in range(2):
        alone = editor.edit(replace(request_of_two, latents=request_of_two.latents[row : row + 1]))
        assert torch.equal(alone.offset[0], together.offset[row])
        torch.testing.assert_close(alone.images[0], together.images[row], atol=1e-4, rtol=1e-4)
    source = generator.synthesis(request_of_two.latents)
    torch.testing.assert_close(together.at_strength(0.0), source, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(together.at_strength(0.5), together.images)
    assert not torch.allclose(together.at_strength(1.0), together.images, atol=1e-2)


def test_a_mask_confines_it(
    generator: StyleGAN2,
    embedder: ClipEmbedder,
    statistics: ChannelStatistics,
    request_of_two: EditRequest,
) -> None:
    editor = GlobalDirections(generator, embedder, statistics, CONFIG)
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :8, :] = 1.0
    result = editor.edit(replace(request_of_two, mask=mask))
    assert torch.equal(result.images[..., 8:, :], result.source_images[..., 8:, :])
    assert not torch.equal(result.images[..., :8, :], result.source_images[..., :8, :])
    with pytest.raises(InputError, match="mask is 8x8, expected 16x16"):
        editor.edit(replace(request_of_two, mask=torch.ones(1, 1, 8, 8)))


# Errors and files


def test_statistics_of_other_models_are_refused(
    generator: StyleGAN2, embedder: ClipEmbedder, request_of_two: EditRequest
) -> None:
    editor = GlobalDirections(
        generator, embedder, statistics_of(torch.ones(4), torch.ones(4, 5)), CONFIG
    )
    channels = sum(style_widths(generator))
    with pytest.raises(InputError, match=f"4 channels in 5 numbers, .* have {channels} in 16"):
        editor.edit(request_of_two)


@pytest.mark.parametrize(
    ("config", "name", "value"),
    [
        (GlobalDirectionsConfig, "alpha", 1000.0),
        (GlobalDirectionsConfig, "alpha", float("nan")),
        (GlobalDirectionsConfig, "beta", 1.5),
        (GlobalDirectionsConfig, "beta", -0.1),
        (GlobalDirectionsConfig, "strength", float("inf")),
        (ChannelFitConfig, "images", 0),
        (ChannelFitConfig, "batch", 1),
        (ChannelFitConfig, "truncation", 0.0),
        (ChannelFitConfig, "seed", -1),
    ],
)
def test_values_outside_their_limits_are_named(config: type, name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{name} is {value!r}, "):
        config(**{name: value})


def test_saved_statistics_are_read_back(statistics: ChannelStatistics, tmp_path: Path) -> None:
    path = tmp_path / "channels.safetensors"
    save_channel_statistics(statistics, path, {"images": 3})
    read = load_channel_statistics(path)
    assert read.config == statistics.config
    assert torch.equal(read.spread, statistics.spread)
    assert torch.equal(read.directions, statistics.directions)
    assert channel_report(path) == {"images": 3}
    broken = statistics_of(statistics.spread, statistics.directions)
    broken.spread[0] = torch.nan
    with pytest.raises(CheckpointError, match="tensor spread is not finite"):
        save_channel_statistics(broken, path, {})
    assert channel_report(path) == {"images": 3}


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "channels.safetensors"
    with pytest.raises(CheckpointError, match="there is no channel statistics file"):
        load_channel_statistics(path)
    save_file({"spread": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="is not a channel statistics"):
        load_channel_statistics(path)
    good = {"format": "cfclip.channel_statistics.v1"}
    for config in ("{}", '{"channels": "2", "dim": 2}', '{"channels": 2, "dim": 0}', "no"):
        save_file({"spread": torch.zeros(1)}, path, {**good, "config": config})
        with pytest.raises(CheckpointError, match="no usable channel statistics configuration"):
            load_channel_statistics(path)
    save_file({"spread": torch.zeros(3)}, path, {**good, "config": '{"channels": 2, "dim": 2}'})
    with pytest.raises(CheckpointError, match=r"missing directions; spread has shape \(3,\)"):
        load_channel_statistics(path)
    with pytest.raises(CheckpointError, match="tells no usable facts about its channel statistics"):
        channel_report(path)
