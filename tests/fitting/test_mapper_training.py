"""Training a mapper with the tiny pack: from prompts and latents to pictures."""

from pathlib import Path

import pytest
import torch
from tiny_training import stop_after, tiny_config

from cfclip.editing import Session
from cfclip.editors import load_text_mapper, text_mapper_metadata
from cfclip.encoders import ProjectionConfig
from cfclip.errors import CheckpointError, InputError
from cfclip.fitting import (
    TrainedMapper,
    check_training,
    find_latents,
    train_mapper,
)
from cfclip.optim import Progress
from cfclip.packs import assemble_pack
from cfclip.training import RunCallback, TrainingConfig

PROMPTS = ("green hair", "blue skin")
PROJECTION = ProjectionConfig(steps=0, warn_below_psnr=0.0)


@pytest.fixture(scope="module")
def session(tiny_pack: Path) -> Session:
    return Session.open(tiny_pack)


@pytest.fixture
def pictures(session: Session, tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for source in session.sample(6):
        source.image.save(folder / f"{source.name}.png")
    return folder


def train(
    session: Session,
    out: Path,
    prompts: tuple[str, ...] = PROMPTS,
    config: TrainingConfig | None = None,
    callback: RunCallback | None = None,
    **options: object,
) -> TrainedMapper:
    config = config or tiny_config()
    latents = find_latents(session, config).sets
    return train_mapper(session, prompts, latents, out, config, callback=callback, **options)  # type: ignore[arg-type]


def test_from_prompts_to_pictures(session: Session, tmp_path: Path) -> None:
    trained = train(session, tmp_path)
    assert trained.outcome.finished
    assert trained.warnings == ()
    about = text_mapper_metadata(trained.file)
    assert about["prompts"] == list(PROMPTS)
    assert (about["pack"], about["pack_version"]) == ("tiny", "1")
    assert about["models"] == session.pack.mapped_models
    assert about["settings"]["lr"] == 0.5
    results = session.apply(tmp_path, ["sample:1", "sample:2"], "blue skin")
    assert len(results) == 2
    # With one prompt it need not be named.
    train(session, tmp_path / "one", PROMPTS[:1])
    (result,) = session.apply(tmp_path / "one", "sample:1")
    assert result.prompts == PROMPTS[:1]


def test_unknown_words_are_a_warning(session: Session, tmp_path: Path) -> None:
    (warning,) = train(session, tmp_path, ("grean hair",)).warnings
    assert "'grean' (nearest: green" in warning


# Going on


def test_a_run_is_resumed_only_on_request(session: Session, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no training in .* to resume"):
        train(session, tmp_path, resume=True)
    stopped = train(session, tmp_path, callback=stop_after(2))
    assert (stopped.outcome.step, stopped.outcome.finished) == (2, False)
    with pytest.raises(InputError, match=r"holds a training already; go on with it \(--resume\)"):
        train(session, tmp_path)
    assert train(session, tmp_path, resume=True).outcome.finished


def test_resuming_tells_what_differs(
    session: Session, tmp_path: Path, tiny_pack_copy: Path
) -> None:
    train(session, tmp_path / "run", callback=stop_after(2))
    manifest = tiny_pack_copy / "pack.toml"
    manifest.write_text(manifest.read_text().replace('version = "1"', 'version = "2"'))
    newer = Session.open(tiny_pack_copy)
    latents = tmp_path / "latents.pt"
    torch.save(torch.stack([source.latents for source in session.sample(6)]), latents)
    config = tiny_config()
    for changes, message in (
        ({"config": tiny_config(lr=0.1, batch=2)}, "(batch 3, now 2, lr 0.5, now 0.1)"),
        ({"prompts": ("green hair",)}, "(prompts ['green hair', 'blue skin'], now ['green hair'])"),
        ({"session": newer}, "(pack_version 1, now 2)"),
    ):
        with pytest.raises(CheckpointError) as caught:
            train(**{"session": session, "out": tmp_path / "run", "resume": True, **changes})  # type: ignore[arg-type]
        assert message in str(caught.value)
    found = find_latents(session, config, latents).sets
    with pytest.raises(CheckpointError, match=r"\(latents sampled, now latents.pt \("):
        train_mapper(session, PROMPTS, found, tmp_path / "run", config, resume=True)


def test_prompts_can_be_added_to_a_mapper(session: Session, tmp_path: Path) -> None:
    old = train(session, tmp_path / "old")
    more = train(session, tmp_path / "new", (*PROMPTS, "a smile"), start=tmp_path / "old")
    assert more.warnings == ()
    about = text_mapper_metadata(more.file)
    assert about["prompts"] == [*PROMPTS, "a smile"]
    first = load_text_mapper(old.file).state_dict()["fusion.weight"]
    now = load_text_mapper(more.file).state_dict()["fusion.weight"]
    fresh = load_text_mapper(train(session, tmp_path / "anew", (*PROMPTS, "a smile")).file)
    assert (now - first).norm() < (now - fresh.state_dict()["fusion.weight"]).norm() + 1e-9
    (warning,) = train(session, tmp_path / "less", ("a smile",), start=old.file).warnings
    assert "2 prompts of the mapper to start from are not trained any more" in warning


def test_a_start_for_other_models_is_refused(
    session: Session, tmp_path: Path, tiny_pack_copy: Path
) -> None:
    old = train(session, tmp_path / "old")
    config = tiny_pack_copy / "clip" / "open_clip_config.json"
    config.write_text(config.read_text() + "\n")
    assemble_pack(tiny_pack_copy, session.pack.manifest)
    with pytest.raises(CheckpointError, match="made for other models"):
        train(Session.open(tiny_pack_copy), tmp_path / "new", start=old.file)


# Latents


def test_a_folder_of_pictures_is_inverted_once(
    session: Session, pictures: Path, tmp_path: Path
) -> None:
    seen: list[Progress] = []
    config = tiny_config()
    kept = tmp_path / "kept"
    found = find_latents(session, config, pictures, kept, PROJECTION, seen.append)
    assert (len(found.sets.training), len(found.sets.validation)) == (5, 1)
    assert (found.pictures, found.failures) == (6, ())
    assert [each.step for each in seen] == list(range(1, 7))
    calls = session.embedder.image_calls
    again = find_latents(session, config, pictures, kept, PROJECTION)
    assert session.embedder.image_calls == calls
    assert torch.equal(again.sets.training, found.sets.training)
    assert again.sets.origin == found.sets.origin
    trained = train_mapper(session, PROMPTS, found.sets, tmp_path / "run", config)
    assert trained.outcome.finished


def test_pictures_that_fail_are_named_and_left_out(
    session: Session, pictures: Path, tmp_path: Path
) -> None:
    (pictures / "bad.png").write_bytes(b"no picture")
    found = find_latents(session, tiny_config(), pictures, tmp_path / "kept", PROJECTION)
    assert found.pictures == 7
    (failure,) = found.failures
    assert "bad.png is not a picture" in failure
    assert len(found.sets.training) == 5


def test_poor_pictures_are_a_warning(session: Session, pictures: Path, tmp_path: Path) -> None:
    projection = ProjectionConfig(steps=0, warn_below_psnr=100.0)
    found = find_latents(session, tiny_config(), pictures, tmp_path / "kept", projection)
    assert found.warnings == ("6 of 6 pictures could not be reproduced well",)


def test_folders_without_usable_pictures_are_refused(
    session: Session, pictures: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="has no pictures"):
        find_latents(session, tiny_config(), empty, tmp_path / "kept", PROJECTION)
    for path in list(pictures.iterdir())[1:]:
        path.write_bytes(b"")
    with pytest.raises(InputError, match=r"1 of the 6 pictures in .* could be used, .*empty"):
        find_latents(session, tiny_config(), pictures, tmp_path / "kept", PROJECTION)
    with pytest.raises(InputError, match="is no latents file"):
        find_latents(session, tiny_config(), tmp_path / "nothing")


# What is refused before the work


def test_what_can_be_checked_first_is(session: Session, tmp_path: Path) -> None:
    config = tiny_config()
    assert check_training(session, PROMPTS, tmp_path / "run", config) == ()
    (warning,) = check_training(session, ("grean hair",), tmp_path / "run", config)
    assert "'grean' (nearest: green" in warning
    with pytest.raises(InputError, match="tokens"):
        check_training(session, ("green hair " * 20,), tmp_path / "run", config)
    with pytest.raises(InputError, match=r"perceptual is 0\.02, but there is no network"):
        check_training(session, PROMPTS, tmp_path / "run", tiny_config(perceptual=0.02))
    with pytest.raises(CheckpointError, match="there is no mapper"):
        check_training(session, PROMPTS, tmp_path / "run", config, start=tmp_path / "nothing")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="cannot write"):
        check_training(session, PROMPTS, tmp_path / "file", config)
    assert (tmp_path / "file").read_text() == "mine"
