"""Measuring the channels of the tiny pack: the mean that it is, going on, refusing."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from linear_models import LinearGenerator
from tiny_training import PowerCut, cut_after, stop_after

from cfclip.editing import Session
from cfclip.editors import (
    ChannelFitConfig,
    ChannelStatistics,
    channel_directions,
    save_channel_statistics,
)
from cfclip.errors import CheckpointError
from cfclip.fitting.channels import (
    FittedChannels,
    fit_channels,
    image_styles,
    remove_checkpoints,
    style_spread,
)
from cfclip.optim import Progress
from cfclip.packs import GENERATOR_FILE
from cfclip.training import CHECKPOINT, LOG, logged_seconds

CONFIG = ChannelFitConfig(images=2, batch=40)


@pytest.fixture(scope="module")
def session(tiny_pack: Path) -> Session:
    return Session.open(tiny_pack)


@pytest.fixture(scope="module")
def whole(session: Session, tmp_path_factory: pytest.TempPathFactory) -> FittedChannels:
    return fit_channels(session, tmp_path_factory.mktemp("whole"), CONFIG)


def assert_same(found: FittedChannels, expected: FittedChannels) -> None:
    assert found.statistics is not None
    assert expected.statistics is not None
    assert torch.equal(found.statistics.spread, expected.statistics.spread)
    assert torch.equal(found.statistics.directions, expected.statistics.directions)


def test_it_is_the_mean_over_the_samples(session: Session, whole: FittedChannels) -> None:
    statistics = whole.statistics
    assert statistics is not None
    channels = len(statistics.spread)
    spread = style_spread(session.generator, CONFIG)
    assert torch.equal(statistics.spread, spread)
    assert statistics.config.models == session.pack.mapped_models
    statistics.check_fits(session.generator, session.embedder)
    styles = [image_styles(session.generator, CONFIG, image) for image in range(2)]
    assert not torch.equal(*styles)
    found = [
        channel_directions(session.generator, session.embedder, each, spread, range(channels))
        for each in styles
    ]
    expected = torch.stack(found).mean(0)
    torch.testing.assert_close(statistics.directions, expected, atol=5e-3, rtol=1e-2)
    assert float(statistics.directions.norm(dim=1).max()) <= 1.0
    assert whole.report["images"] == 2
    assert whole.report["seconds"] > 0


def test_the_spread_is_that_of_the_samples_styles(session: Session) -> None:
    spread = style_spread(session.generator, CONFIG)
    z = torch.randn(4000, session.generator.z_dim, generator=torch.Generator().manual_seed(99))
    styles = torch.cat(session.generator.styles(session.generator.mapping(z, 0.7)), 1)
    torch.testing.assert_close(spread, styles.std(0), rtol=0.06, atol=0.0)


def test_the_spread_of_a_linear_generator_is_that_of_its_noise() -> None:
    """Its styles are 0.5 z: each sample of 10,000 has a standard deviation of 0.5."""
    spread = style_spread(LinearGenerator(), ChannelFitConfig(truncation=0.5))
    torch.testing.assert_close(spread, torch.full((4,), 0.5), rtol=0.03, atol=0.0)
    assert torch.equal(spread[:2], spread[2:])  # both rows of W+ are the same z


def test_two_pictures_for_every_channel_of_every_sample(session: Session, tmp_path: Path) -> None:
    embedder = session.embedder
    images, texts = embedder.image_calls, embedder.text_calls
    seen: list[Progress] = []
    fitted = fit_channels(session, tmp_path, CONFIG, seen.append)
    assert fitted.statistics is not None
    assert embedder.image_calls - images == 2 * 2 * len(fitted.statistics.spread)
    assert embedder.text_calls == texts
    assert [each.step for each in seen] == list(range(1, fitted.steps + 1))
    assert seen[-1].seconds_left == 0.0
    assert seen[0].seconds_left > 0.0


@pytest.mark.parametrize("step", [1, 5, 9])
def test_stopped_and_gone_on_with_is_the_same_bit_for_bit(
    session: Session, whole: FittedChannels, tmp_path: Path, step: int
) -> None:
    stopped = fit_channels(session, tmp_path, CONFIG, stop_after(step))
    assert (stopped.step, stopped.statistics) == (step, None)
    images = session.embedder.image_calls
    assert_same(fit_channels(session, tmp_path, CONFIG), whole)
    assert session.embedder.image_calls - images < 4 * 136
    # Nothing is left to do.
    images = session.embedder.image_calls
    assert_same(fit_channels(session, tmp_path, CONFIG), whole)
    assert session.embedder.image_calls == images


def test_a_power_cut_costs_what_came_after_the_checkpoint(
    session: Session, whole: FittedChannels, tmp_path: Path
) -> None:
    with pytest.raises(PowerCut):
        fit_channels(session, tmp_path, CONFIG, cut_after(6), checkpoint_seconds=0.0)
    seen: list[Progress] = []
    assert_same(fit_channels(session, tmp_path, CONFIG, seen.append), whole)
    assert seen[0].step == 7


def test_the_batch_changes_the_last_bits_only(
    session: Session, whole: FittedChannels, tmp_path: Path
) -> None:
    fitted = fit_channels(session, tmp_path, ChannelFitConfig(images=2, batch=301))
    assert fitted.statistics is not None
    assert whole.statistics is not None
    torch.testing.assert_close(
        fitted.statistics.directions, whole.statistics.directions, atol=5e-3, rtol=1e-2
    )


def test_other_settings_and_models_are_refused_by_name(session: Session, tmp_path: Path) -> None:
    fit_channels(session, tmp_path, CONFIG, stop_after(1))
    other = ChannelFitConfig(images=3, batch=20)
    with pytest.raises(CheckpointError, match="images 2, now 3, batch 40, now 20"):
        fit_channels(session, tmp_path, other)
    (tmp_path / CHECKPOINT).write_bytes(b"x")
    with pytest.raises(CheckpointError, match="cannot be used"):
        fit_channels(session, tmp_path, CONFIG)


def test_a_pack_takes_those_of_its_models(
    session: Session, whole: FittedChannels, tmp_path: Path
) -> None:
    path = tmp_path / "channels.safetensors"
    assert whole.statistics is not None
    save_channel_statistics(whole.statistics, path, whole.report)
    read = session.pack.channel_statistics(path)
    assert torch.equal(read.directions, whole.statistics.directions)
    models = {**whole.statistics.config.models, GENERATOR_FILE: "0" * 64}
    other = ChannelStatistics(replace(whole.statistics.config, models=models))
    save_channel_statistics(other, path, whole.report)
    with pytest.raises(CheckpointError, match=r"other generator\.safetensors.*fit-global-dir"):
        session.pack.channel_statistics(path)


def test_removing_leaves_what_is_not_ours(session: Session, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    fit_channels(session, folder, CONFIG, stop_after(1))
    (folder / "mine").write_text("x")
    remove_checkpoints(folder)
    assert [path.name for path in folder.iterdir()] == ["mine"]
    (folder / "mine").unlink()
    remove_checkpoints(folder)
    assert not folder.exists()
    remove_checkpoints(folder)


def test_the_seconds_of_a_log(tmp_path: Path) -> None:
    assert logged_seconds(tmp_path) is None
    rows = (
        '{"step": 10, "steps_per_second": 2.0}\n{"step": 16, "steps_per_second": 3.0}\n'
        '{"step": 14, "steps_per_second": 1.0}\n{"step": 20, "steps_per_second": 2.0}\n'
    )
    (tmp_path / LOG).write_text(rows)  # the third line is of a run that was cut off
    assert logged_seconds(tmp_path) == 5.0 + 2.0 + 0.0 + 3.0
    (tmp_path / LOG).write_text(rows + "{")
    assert logged_seconds(tmp_path) is None
