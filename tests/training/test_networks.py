"""Terms with a network of their own, from the networks' files to a training."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_training import tiny_config

from cfclip.editing import Session
from cfclip.editors import text_mapper_metadata
from cfclip.errors import CheckpointError, InputError
from cfclip.features import IdentityNetwork, NetworkFiles
from cfclip.features.vgg import VGG19Features
from cfclip.fitting import check_training, find_latents, train_mapper
from cfclip.io import sha256_of
from cfclip.losses import EditTensors, Objective, ObjectiveConfig

PROMPTS = ("green hair",)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> NetworkFiles:
    folder = tmp_path_factory.mktemp("networks")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(IdentityNetwork(16, 8).state_dict(), folder / "face.pth")
        torch.save(VGG19Features(4, caffe=True).convolutions.state_dict(), folder / "vgg.pth")
    return NetworkFiles(folder / "face.pth", folder / "vgg.pth")


@pytest.fixture(scope="module")
def session(tiny_pack: Path) -> Session:
    return Session.open(tiny_pack)


def test_a_term_is_0_without_an_edit_and_moves_the_edited_images_only() -> None:
    def means(images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3))

    row = torch.ones(2, 4)
    sources = torch.zeros(2, 3, 4, 4, requires_grad=True)
    images = torch.tensor([0.0, 0.5]).view(2, 1, 1, 1).expand(2, 3, 4, 4).clone().requires_grad_()
    config = ObjectiveConfig(perceptual=1.0)
    objective = Objective(config, networks={"perceptual": means})
    tensors = EditTensors(
        *(row, row, row, row, row),
        images=images,
        source_images=sources,
        source_features=objective.source_features(sources),
    )
    _, terms = objective(tensors, "none")
    torch.testing.assert_close(terms["perceptual"].detach(), torch.tensor([0.0, 0.5]))
    terms["perceptual"].sum().backward()
    assert sources.grad is None
    assert images.grad is not None
    with pytest.raises(InputError, match="the perceptual term needs images"):
        objective(replace(tensors, images=None))


def test_a_training_with_both(session: Session, files: NetworkFiles, tmp_path: Path) -> None:
    config = tiny_config(steps=2, identity=0.2, perceptual=0.02)
    latents = find_latents(session, config).sets
    trained = train_mapper(session, PROMPTS, latents, tmp_path, config, networks=files)
    assert trained.outcome.finished
    assert files.identity is not None
    networks = text_mapper_metadata(trained.file)["networks"]
    assert networks["identity"] == sha256_of(files.identity)
    assert set(networks) == {"identity", "perceptual"}
    log = (tmp_path / "log.jsonl").read_text()
    assert '"identity"' in log
    assert '"perceptual"' in log
    with pytest.raises(CheckpointError, match=r"other settings \(perceptual"):
        train_mapper(
            session,
            PROMPTS,
            latents,
            tmp_path,
            config,
            resume=True,
            networks=replace(files, perceptual=copy_of(files, tmp_path)),
        )


def copy_of(files: NetworkFiles, folder: Path) -> Path:
    """The perceptual network with another last bias."""
    assert files.perceptual is not None
    state = torch.load(files.perceptual, weights_only=True)
    state["conv5_2.bias"] += 1.0
    torch.save(state, folder / "other.pth")
    return folder / "other.pth"


def test_what_does_not_fit_together_is_refused(
    session: Session, files: NetworkFiles, tmp_path: Path
) -> None:
    def check(networks: NetworkFiles, **weights: float) -> None:
        check_training(session, PROMPTS, tmp_path, tiny_config(**weights), networks=networks)

    with pytest.raises(InputError, match=r"perceptual is 0, .* give it a weight \(--perceptual\)"):
        check(files, identity=0.2)
    with pytest.raises(InputError, match="no network for it"):
        check(NetworkFiles(), identity=0.2)
    with pytest.raises(CheckpointError, match="no matrix output_layer"):
        check(NetworkFiles(identity=files.perceptual), identity=0.2)
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        check(NetworkFiles(identity=tmp_path / "nothing"), identity=0.2)
