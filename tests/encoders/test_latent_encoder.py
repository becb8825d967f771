"""The encoder network: shapes, independence, storage."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from cfclip.encoders import LatentEncoder, LatentEncoderConfig, load_encoder, save_encoder
from cfclip.errors import CheckpointError, InputError

CONFIG = LatentEncoderConfig(
    image_size=32, num_ws=4, w_dim=6, channels=(4, 8, 8), neck_channels=4, hidden=16
)


@pytest.fixture
def encoder() -> LatentEncoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = LatentEncoder(CONFIG, w_avg=torch.arange(6.0), w_scale=torch.full((6,), 0.5))
        # Batch statistics and heads as after some training.
        for _ in range(3):
            made(torch.rand(8, 3, 32, 32) * 2 - 1)
        torch.nn.init.normal_(made.delta_head.weight, std=0.1)
    return made.eval()


def images(count: int, size: int = 32) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(3)) * 2 - 1


def test_a_new_encoder_predicts_one_w_for_all_layers() -> None:
    codes = LatentEncoder(CONFIG).eval().encode(images(2))
    assert codes.shape == (2, 4, 6)
    assert torch.equal(codes, codes[:, :1].expand_as(codes))


def test_codes_are_relative_to_the_average(encoder: LatentEncoder) -> None:
    w, deltas = encoder.predict(images(2))
    torch.testing.assert_close(encoder.encode(images(2)), w.unsqueeze(1) + deltas)
    for head in (encoder.w_head, encoder.delta_head):
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    assert torch.equal(encoder.encode(images(1))[0], torch.arange(6.0).expand(4, 6))


def test_images_do_not_influence_each_other(encoder: LatentEncoder) -> None:
    together = encoder.encode(images(3))
    for index in range(3):
        alone = encoder.encode(images(3)[index : index + 1])
        torch.testing.assert_close(alone[0], together[index], atol=1e-5, rtol=1e-5)


def test_images_of_another_size_are_resized(encoder: LatentEncoder) -> None:
    assert encoder.encode(images(1, 80)).shape == (1, 4, 6)
    with pytest.raises(InputError, match="shape"):
        encoder.encode(torch.zeros(3, 32, 32))


def test_training_reaches_every_parameter() -> None:
    encoder = LatentEncoder(CONFIG)
    encoder(images(4)).square().mean().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 0.0), (torch.float16, 5e-3)])
def test_a_saved_encoder_loads_again(
    encoder: LatentEncoder, tmp_path: Path, dtype: torch.dtype, tolerance: float
) -> None:
    path = tmp_path / "encoder.safetensors"
    save_encoder(encoder, path, {"note": "test"}, dtype)
    loaded = load_encoder(path)
    assert loaded.config == CONFIG
    assert not loaded.training
    assert {one.dtype for one in loaded.parameters()} == {torch.float32}
    assert not any(one.requires_grad for one in loaded.parameters())
    torch.testing.assert_close(
        loaded.encode(images(2)), encoder.encode(images(2)), atol=tolerance, rtol=0
    )


def _header() -> dict[str, str]:
    from dataclasses import asdict

    return {"format": "cfclip.latent_encoder.v1", "config": json.dumps(asdict(CONFIG))}


def test_loading_is_strict(encoder: LatentEncoder, tmp_path: Path) -> None:
    good = tmp_path / "good.safetensors"
    save_encoder(encoder, good)
    tensors = load_file(good)
    bad = tmp_path / "bad.safetensors"

    removed = {name: value for name, value in tensors.items() if name != "w_head.bias"}
    save_file(removed | {"extra": torch.zeros(1)}, bad, _header())
    with pytest.raises(CheckpointError, match=r"missing w_head.bias; unknown extra"):
        load_encoder(bad)

    save_file(tensors | {"w_avg": torch.zeros(7)}, bad, _header())
    with pytest.raises(CheckpointError, match=r"w_avg has shape \(7,\), expected \(6,\)"):
        load_encoder(bad)

    save_file(tensors, bad, _header() | {"format": "cfclip.generator.v1"})
    with pytest.raises(CheckpointError, match="not an encoder"):
        load_encoder(bad)

    save_file(tensors, bad, _header() | {"config": "{}"})
    with pytest.raises(CheckpointError, match="no usable encoder configuration"):
        load_encoder(bad)

    save_file(tensors | {"w_avg": torch.full((6,), torch.nan)}, bad, _header())
    with pytest.raises(CheckpointError, match="w_avg holds values that are not finite"):
        load_encoder(bad)

    bad.write_bytes(good.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        load_encoder(bad)
    with pytest.raises(CheckpointError, match="no encoder file"):
        load_encoder(tmp_path / "absent.safetensors")


def test_weights_that_are_not_finite_are_not_written(
    encoder: LatentEncoder, tmp_path: Path
) -> None:
    with torch.no_grad():
        encoder.w_head.weight[0, 0] = 1e6
    with pytest.raises(CheckpointError, match=r"w_head\.weight is not finite"):
        save_encoder(encoder, tmp_path / "encoder.safetensors", dtype=torch.float16)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 30}, "image_size is 30, not a multiple of 8"),
        ({"num_ws": 0}, "num_ws is 0"),
        ({"channels": ()}, "channels is"),
    ],
)
def test_sizes_that_do_not_fit_are_named(change: dict[str, object], message: str) -> None:
    fields: dict[str, object] = {"image_size": 32, "num_ws": 4, "w_dim": 6, "channels": (4, 8, 8)}
    with pytest.raises(InputError, match=message):
        LatentEncoderConfig(**(fields | change))  # type: ignore[arg-type]


def test_an_average_of_another_width_is_refused() -> None:
    with pytest.raises(InputError, match="w_avg has shape"):
        LatentEncoder(CONFIG, w_avg=torch.zeros(5))
