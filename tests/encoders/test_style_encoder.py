"""pSp and e4e encoders from checkpoints on disk, and from files of this project."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden_cases import RELATIVE_TOLERANCE, golden, golden_tensor, relative_error
from tiny_models import tiny_embedder
from torch import Tensor

from cfclip.encoders import (
    ProjectionConfig,
    StyleEncoder,
    StyleEncoderConfig,
    load_encoder,
    project,
    save_encoder,
)
from cfclip.errors import CheckpointError
from cfclip.generators import StyleGAN2, StyleGAN2Config
from cfclip.tensors import resize_images

OPTIONS = {"encoder_type": "Encoder4Editing", "start_from_latent_avg": True}
TINY = StyleEncoderConfig("e4e", num_ws=8, width=16)


def write(path: Path, encoder: dict[str, Tensor], average: object, **changes: object) -> Path:
    """A checkpoint as a training of pSp or e4e writes it."""
    state = {f"encoder.{name}": value for name, value in encoder.items()}
    state["decoder.style.1.weight"] = torch.zeros(2, 2)
    content = {"state_dict": state, "latent_avg": average, "opts": OPTIONS, **changes}
    torch.save({name: value for name, value in content.items() if value is not None}, path)
    return path


@pytest.fixture(scope="module")
def tiny() -> StyleEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = StyleEncoder(TINY).eval().requires_grad_(False)
    encoder.latent_avg += torch.arange(TINY.num_ws)[:, None]
    return encoder


@pytest.fixture
def state(tiny: StyleEncoder) -> dict[str, Tensor]:
    return {name: value for name, value in tiny.state_dict().items() if name != "latent_avg"}


@pytest.fixture(scope="module")
def images() -> Tensor:
    return golden_tensor("images", (2, 3, 256, 256)).float().tanh()


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("key", ["state_dict", "model", None])
def test_state_dicts_are_found_wherever_they_are(
    tmp_path: Path, state: dict[str, Tensor], prefix: str, key: str | None
) -> None:
    path = tmp_path / "encoder.pt"
    tensors = {f"{prefix}encoder.{name}": value for name, value in state.items()}
    average = torch.full((TINY.num_ws, 128), 0.5)
    options = Namespace(encoder_type="Encoder4Editing", exp_dir=Path("/e4e"), lr=np.float64(1e-4))
    if key is not None:
        torch.save({key: tensors, "latent_avg": average, "opts": options}, path)
        found = load_encoder(path)
    else:
        torch.save({**tensors, f"{prefix}latent_avg": average}, path)
        found = load_encoder(path, kind="e4e")
    assert torch.equal(found.latent_avg, average)
    for name, value in state.items():
        assert torch.equal(found.state_dict()[name], value)


def test_golden(tmp_path: Path) -> None:
    parameters, arrays, _ = golden("e4e_encoder")
    average = torch.from_numpy(arrays["latent_avg"])
    encoder = load_encoder(write(tmp_path / "any.bin", parameters, average))
    assert (encoder.num_ws, encoder.w_dim) == (10, 512)
    latents = encoder.encode(golden_tensor("input.image", (1, 3, 256, 256)).float().tanh())
    assert relative_error(latents, arrays["w_plus"]) < RELATIVE_TOLERANCE
    assert relative_error(latents - average, arrays["codes"]) < RELATIVE_TOLERANCE


def test_what_a_checkpoint_says_is_followed(
    tmp_path: Path, tiny: StyleEncoder, state: dict[str, Tensor], images: Tensor
) -> None:
    before = torch.random.get_rng_state()
    average, expected = tiny.latent_avg, tiny.encode(images)
    path = tmp_path / "checkpoint.pt"

    def encoded(rows: Tensor | None = average, kind: Any = None, **changes: object) -> Tensor:
        return load_encoder(write(path, state, rows, **changes), kind=kind).encode(images)

    assert torch.equal(encoded(), expected)
    assert torch.equal(encoded(opts=Namespace(**OPTIONS)), expected)
    assert torch.equal(encoded(opts=None, kind="e4e"), expected)
    # pSp has the same tensors, but its codes stand alone.
    gradual = encoded(opts={"encoder_type": "GradualStyleEncoder"}) - average
    torch.testing.assert_close(gradual[:, 0], expected[:, 0] - average[0])
    torch.testing.assert_close(gradual[:, 1:] + gradual[:, :1], (expected - average)[:, 1:])
    # A mean for all style inputs, and none.
    torch.testing.assert_close(encoded(average[2]), expected - average + average[2])
    options = {**OPTIONS, "start_from_latent_avg": False}
    torch.testing.assert_close(encoded(None, opts=options), expected - average)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_images_of_any_size_do_not_influence_each_other(tiny: StyleEncoder, images: Tensor) -> None:
    latents = tiny.encode(images[..., :100, :100])
    assert latents.shape == (2, 8, 128)
    torch.testing.assert_close(tiny.encode(images[1:, :, :100, :100]), latents[1:])


def test_a_file_of_this_project(tmp_path: Path, tiny: StyleEncoder, images: Tensor) -> None:
    path = tmp_path / "encoder.any"
    save_encoder(tiny, path)
    loaded = load_encoder(path)
    assert isinstance(loaded, StyleEncoder)
    assert loaded.config == TINY
    assert torch.equal(loaded.encode(images), tiny.encode(images))


BIAS = "styles.4.linear.bias"


@pytest.mark.parametrize(
    ("remove", "add", "message"),
    [
        (BIAS, {}, f"missing {BIAS}"),
        ("", {"styles.4.extra": torch.zeros(1)}, r"unknown styles\.4\.extra"),
        ("", {"latent_avg": torch.zeros(1)}, r"unknown tensor encoder\.latent_avg"),
        ("", {"styles.9.linear.bias": torch.zeros(128)}, r"missing styles\.8\."),
        ("", {BIAS: torch.zeros(9)}, rf"{BIAS} has shape \(9,\), expected \(128,\)"),
        ("", {BIAS: torch.full((128,), torch.nan)}, f"{BIAS} holds values that are not finite"),
    ],
)
def test_tensors_are_read_strictly(
    tmp_path: Path, state: dict[str, Tensor], remove: str, add: dict[str, Tensor], message: str
) -> None:
    state |= add
    state.pop(remove, None)
    with pytest.raises(CheckpointError, match=message):
        load_encoder(write(tmp_path / "checkpoint.pt", state, torch.zeros(128)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"state_dict": None}, "expected a tensor; give a file that holds a state dict"),
        ({"state_dict": {"decoder.input": torch.zeros(1)}}, "is not an IR-SE50"),
        ({"latent_avg": None}, "has no latent_avg"),
        (
            {"latent_avg": torch.zeros(7, 128)},
            r"latent_avg has shape \(7, 128\), expected \(8, 128",
        ),
        ({"latent_avg": torch.full((128,), torch.inf)}, "latent_avg holds values .* not finite"),
        (
            {"opts": {"encoder_type": "Other"}},
            r"encoder_type 'Other', known are .*--encoder-kind: e4e or psp",
        ),
        ({"opts": None}, "encoder_type None"),
        ({"opts": 3}, "opts is not a dictionary"),
    ],
)
def test_checkpoints_of_something_else_are_refused(
    tmp_path: Path, state: dict[str, Tensor], changes: dict[str, Any], message: str
) -> None:
    path = write(tmp_path / "checkpoint.pt", state, **{"average": torch.zeros(128), **changes})
    with pytest.raises(CheckpointError, match=message):
        load_encoder(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no encoder file"):
        load_encoder(tmp_path)


def test_its_code_is_where_a_projection_begins(
    tmp_path: Path, state: dict[str, Tensor], images: Tensor
) -> None:
    config = StyleGAN2Config(
        resolution=32, z_dim=16, w_dim=128, mapping_layers=2, channels=(16, 16, 8, 8)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = StyleGAN2(config).eval().requires_grad_(False)
    encoder = load_encoder(write(tmp_path / "checkpoint.pt", state, torch.zeros(128)))
    pictures = resize_images(images[:1], 32).clamp(-1.0, 1.0)
    start = encoder.encode(pictures)
    assert start.shape == (1, generator.num_ws, generator.w_dim)
    embedder = tiny_embedder()
    alone = project(generator, embedder, pictures, start, ProjectionConfig(steps=0))
    refined = project(generator, embedder, pictures, start, ProjectionConfig(steps=5))
    assert torch.equal(alone.latents, start)
    assert refined.psnr > alone.psnr
