import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from cfclip.errors import CheckpointError
from cfclip_benchmark import (
    ARCHITECTURES,
    Architecture,
    Probe,
    evaluate_in_batches,
    load_probe,
    save_probe,
)

CLASSES = {"hair": 4, "skin_colour": 9}


def make_probe(architecture: Architecture) -> Probe:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        probe = Probe(CLASSES, architecture)
        probe(images(4))  # running statistics of their own
    return probe.eval()


def images(count: int, side: int = 64) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, 3, side, side, generator=generator) * 2 - 1


@pytest.fixture(params=ARCHITECTURES)
def probe(request: pytest.FixtureRequest) -> Probe:
    return make_probe(request.param)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "plain.safetensors"
    save_probe(make_probe("plain"), path)
    return path


def rewrite(path: Path, tensors: Callable[[dict[str, Tensor]], object], **header: str) -> None:
    with safe_open(path, framework="pt") as handle:
        metadata = handle.metadata()
    state = load_file(path)
    tensors(state)
    save_file(state, path, metadata | header)


def test_shapes(probe: Probe) -> None:
    logits = probe(images(2))
    assert {name: tuple(value.shape) for name, value in logits.items()} == {
        "hair": (2, 4),
        "skin_colour": (2, 9),
    }
    assert tuple(probe.features(images(2)).shape) == (2, 256)
    assert tuple(probe(images(1, side=128))["hair"].shape) == (1, 4)


def test_read_gives_the_most_likely_class(probe: Probe) -> None:
    logits, found = probe(images(3)), probe.read(images(3))
    for name in CLASSES:
        assert found[name].dtype == torch.int64
        assert torch.equal(found[name], logits[name].argmax(1))
        assert not found[name].requires_grad


def test_images_do_not_influence_each_other(probe: Probe) -> None:
    batch = images(3)
    with torch.no_grad():
        together, alone = probe(batch), probe(batch[1:2])
    for name in CLASSES:
        torch.testing.assert_close(together[name][1:2], alone[name], atol=1e-5, rtol=1e-4)


def test_round_trip(probe: Probe, tmp_path: Path) -> None:
    path = tmp_path / "probe.safetensors"
    save_probe(probe, path)
    loaded = load_probe(path)
    assert (loaded.classes, loaded.architecture) == (probe.classes, probe.architecture)
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    for name, value in probe.state_dict().items():
        kept = loaded.state_dict()[name]
        assert kept.dtype == value.dtype
        # Matrices are rounded to half precision, everything else is exact.
        expected = value.half().float() if value.ndim > 1 else value
        assert torch.equal(kept, expected)
    again = tmp_path / "again.safetensors"
    save_probe(loaded, again)  # rounded once, nothing more is lost
    for name, value in load_probe(again).state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])


def test_loading_names_every_tensor_that_does_not_fit(saved: Path) -> None:
    def spoil(tensors: dict[str, Tensor]) -> None:
        del tensors["hidden.bias"]
        tensors["extra"] = torch.zeros(1)
        tensors["heads.hair.bias"] = torch.zeros(3)
        tensors["heads.hair.weight"][0, 0] = torch.nan

    rewrite(saved, spoil)
    with pytest.raises(CheckpointError) as caught:
        load_probe(saved)
    message = str(caught.value)
    for part in (
        str(saved),
        "missing hidden.bias",
        "unknown extra",
        "heads.hair.bias has shape (3,), expected (4,)",
        "heads.hair.weight holds values that are not finite",
    ):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "config",
    [
        "{",
        "[]",
        "{}",
        json.dumps({"classes": CLASSES, "architecture": "fancy"}),
        json.dumps({"classes": {"hair": "four"}, "architecture": "plain"}),
        json.dumps({"classes": 4, "architecture": "plain"}),
    ],
)
def test_an_unusable_configuration_is_refused(saved: Path, config: str) -> None:
    rewrite(saved, lambda tensors: None, config=config)
    with pytest.raises(CheckpointError, match="no usable probe configuration"):
        load_probe(saved)


def test_other_files_are_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no probe file at"):
        load_probe(tmp_path / "absent.safetensors")
    rewrite(saved, lambda tensors: None, format="cfclip.stylegan2.v1")
    with pytest.raises(CheckpointError, match="is not a probe: its format is"):
        load_probe(saved)
    saved.write_bytes(saved.read_bytes()[:500])
    with pytest.raises(CheckpointError, match="is not a readable safetensors file"):
        load_probe(saved)


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    probe = make_probe("plain")
    with torch.no_grad():
        probe.hidden.weight[0, 0] = 1e6
    with pytest.raises(CheckpointError, match=r"hidden\.weight is not finite as torch\.float16"):
        save_probe(probe, tmp_path / "probe.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(CheckpointError, match="unknown probe architecture 'fancy'"):
        Probe(CLASSES, "fancy")  # type: ignore[arg-type]


def test_evaluate_in_batches() -> None:
    inputs = torch.arange(5.0, requires_grad=True)
    sizes: list[int] = []

    def double(chunk: Tensor) -> Tensor:
        sizes.append(len(chunk))
        return 2 * chunk

    found = evaluate_in_batches(double, inputs, 2)
    assert torch.equal(found, 2 * inputs.detach())
    assert not found.requires_grad
    assert sizes == [2, 2, 1]
