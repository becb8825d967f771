"""Settings that Python gives are laid over those of a pack, wherever a `config` is taken."""

import copy
import pickle
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from captioned import write_captioned_folder
from tiny_training import tiny_config

from cfclip.editing import Session, edit_settings, make_config, training_settings
from cfclip.editors import LatentOptimisationConfig, text_mapper_metadata
from cfclip.encoders import ProjectionConfig
from cfclip.fitting import (
    check_training,
    find_latents,
    fit_captioned_folder,
    read_captioned_folder,
    train_mapper,
)
from cfclip.packs import PackDefaults, assemble_pack
from cfclip.settings import all_given
from cfclip.training import TRAINING_PRESETS, TrainingConfig

PROMPT = "green hair"
DEFAULTS = PackDefaults(
    edit={"steps": 2, "latent_l2": 0.25, "patience": 7},
    projection={"steps": 2, "l1_weight": 0.5, "warn_below_psnr": 1.0},
    training={"average": 0.5, "latent_l2": 0.25, "samples": 9},
)


@pytest.fixture
def session(tiny_pack_copy: Path) -> Session:
    """Of a pack with defaults that are not those of the classes."""
    manifest = Session.open(tiny_pack_copy).pack.manifest
    assemble_pack(tiny_pack_copy, replace(manifest, defaults=DEFAULTS))
    return Session.open(tiny_pack_copy)


def settings_of(session: Session, **given: Any) -> dict[str, Any]:
    settings: dict[str, Any] = session.edit("sample:1", PROMPT, **given).record["settings"]
    return settings


def test_an_edit(session: Session) -> None:
    plain = settings_of(session)
    assert plain == asdict(LatentOptimisationConfig(**DEFAULTS.edit))
    assert settings_of(session, config=LatentOptimisationConfig()) == plain
    assert settings_of(session, config=LatentOptimisationConfig(lr=0.02)) == {**plain, "lr": 0.02}
    # Single fields go over both.
    config = LatentOptimisationConfig(lr=0.02, steps=1)
    assert settings_of(session, config=config, lr=0.03) == {**plain, "steps": 1, "lr": 0.03}


def test_a_value_that_is_given_counts_also_where_it_is_the_default_of_the_class(
    session: Session,
) -> None:
    usual = LatentOptimisationConfig().latent_l2
    assert usual != DEFAULTS.edit["latent_l2"]
    assert settings_of(session, config=LatentOptimisationConfig(latent_l2=usual)) == {
        **settings_of(session),
        "latent_l2": usual,
    }
    # By its place as well as by its name.
    positional = LatentOptimisationConfig("clip_nce", "w")
    assert positional.given == {"objective", "space"}


def test_inversions(session: Session, tmp_path: Path) -> None:
    session.sample(1)[0].image.save(tmp_path / "a.png")
    picture = tmp_path / "a.png"
    given = ProjectionConfig(lr=0.01)
    wanted = asdict(ProjectionConfig(lr=0.01, **DEFAULTS.projection))
    records = (
        session.invert(picture, given).inversion,
        session.edit(picture, PROMPT, projection=given).record["inversion"],
    )
    for found in records:
        assert found is not None
        assert found["settings"] == wanted


def test_a_training(session: Session, tmp_path: Path) -> None:
    config = tiny_config(samples=20, steps=2)  # gives samples, but not average and latent_l2
    latents = find_latents(session, config)
    assert len(latents.sets.training) == 20
    check_training(session, [PROMPT], tmp_path, config)
    trained = train_mapper(session, [PROMPT], latents.sets, tmp_path, config)
    settings = text_mapper_metadata(trained.file)["settings"]
    assert (settings["average"], settings["latent_l2"], settings["steps"]) == (0.5, 0.25, 2)
    assert len(find_latents(session, TrainingConfig(validation=2)).sets.training) == 9


def test_a_published_training_stays_as_it_was_published(session: Session) -> None:
    manifest = session.pack.manifest
    for name in ("cfclip", "styleclip-mapper", "directional-mapper"):
        assert training_settings(manifest, config=TRAINING_PRESETS[name]) == TRAINING_PRESETS[name]  # type: ignore[index]
    assert training_settings(manifest, config=TrainingConfig()).average == 0.5


def test_fitting_a_text_map(session: Session, tmp_path: Path) -> None:
    write_captioned_folder(tmp_path / "in", session.pack.folder, 20)
    folder = read_captioned_folder(tmp_path / "in")
    kept = tmp_path / "kept"
    fit_captioned_folder(session, folder, kept, None, ProjectionConfig(steps=0))
    # Kept inversions are those of the pack's settings with no steps: the same are not made again.
    chosen = ProjectionConfig(**{**DEFAULTS.projection, "steps": 0})
    before = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    fit_captioned_folder(session, folder, kept, None, chosen)
    assert {path: path.stat().st_mtime_ns for path in kept.iterdir()} == before


def test_what_is_complete_is_taken_as_it_is(session: Session) -> None:
    recorded = make_config(LatentOptimisationConfig, {"steps": 1})
    assert edit_settings(session.pack.manifest, recorded) == LatentOptimisationConfig(steps=1)
    whole = all_given(LatentOptimisationConfig(steps=1))
    assert edit_settings(session.pack.manifest, whole) == LatentOptimisationConfig(steps=1)
    # What is changed by `replace` keeps all that it was.
    own = edit_settings(session.pack.manifest)
    assert settings_of(session, config=replace(own, lr=0.02)) == {**asdict(own), "lr": 0.02}


def test_copies_know_what_was_given() -> None:
    config = ProjectionConfig(steps=3)
    for each in (copy.copy(config), copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert (each, each.given) == (config, {"steps"})
    assert ProjectionConfig(steps=120) == ProjectionConfig()
