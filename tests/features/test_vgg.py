"""VGG19's relu5_2 from files of both origins."""

from pathlib import Path

import pytest
import torch
from golden_cases import RELATIVE_TOLERANCE, golden, golden_tensor, relative_error
from torch import Tensor
from torchvision.models import VGG, vgg19

from cfclip.errors import CheckpointError
from cfclip.features.vgg import VGG19Features, load_perceptual
from cfclip.losses import perceptual_loss
from cfclip.tensors import unit_range_from_signed


def write(tmp_path: Path, state: object) -> Path:
    path = tmp_path / "anything.bin"
    torch.save(state, path)
    return path


def tiny_state() -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return VGG19Features(4, caffe=True).convolutions.state_dict()


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("key", ["state_dict", "model", None])
def test_state_dicts_are_found_wherever_they_are(
    tmp_path: Path, prefix: str, key: str | None
) -> None:
    state = tiny_state()
    tensors = {f"{prefix}{name}": value for name, value in state.items()}
    expected = load_perceptual(write(tmp_path, state)).state_dict()
    found = load_perceptual(write(tmp_path, {key: tensors} if key else tensors)).state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_golden(tmp_path: Path) -> None:
    parameters, arrays, _ = golden("vgg19_perceptual")
    network = load_perceptual(write(tmp_path, parameters))
    with torch.no_grad():
        maps = [network(torch.from_numpy(arrays[f"image_{name}"])) for name in "ab"]
    assert relative_error(maps[0].mean(), arrays["relu5_2_a_mean"]) < RELATIVE_TOLERANCE
    assert relative_error(perceptual_loss(*maps), arrays["loss"]) < RELATIVE_TOLERANCE


@pytest.mark.parametrize("classifier", [True, False])
def test_torchvision_weights_see_what_torchvision_shows_them(
    tmp_path: Path, classifier: bool
) -> None:
    with torch.random.fork_rng(devices=[]):
        theirs: VGG = vgg19(weights=None) if classifier else vgg19(weights=None, num_classes=1)
    if not classifier:
        theirs.classifier = torch.nn.Sequential()
    network = load_perceptual(write(tmp_path, theirs.state_dict()))
    images = golden_tensor("images", (1, 3, 32, 32)).float().tanh()
    mean = torch.tensor([0.485, 0.456, 0.406]).view(-1, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(-1, 1, 1)
    with torch.no_grad():
        relu5_2 = theirs.features[:32]
        expected = relu5_2((unit_range_from_signed(images) - mean) / std)
        assert relative_error(network(images), expected) < RELATIVE_TOLERANCE


def test_each_image_alone_and_a_gradient(tmp_path: Path) -> None:
    network = load_perceptual(write(tmp_path, tiny_state()))
    images = golden_tensor("images", (2, 3, 32, 32)).float().tanh().requires_grad_()
    maps = network(images)
    assert maps.shape == (2, 32, 2, 2)
    torch.testing.assert_close(network(images[1:]), maps[1:])
    perceptual_loss(maps, maps.detach().flip(0)).backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert images.grad.any()


BIAS = "conv5_4.bias"


@pytest.mark.parametrize(
    ("remove", "add", "message"),
    [
        (BIAS, {}, f"missing {BIAS}"),
        ("", {"conv6_1.bias": torch.zeros(1)}, "unknown conv6_1.bias"),
        ("", {BIAS: torch.zeros(9)}, rf"{BIAS} has shape \(9,\), expected \(32,\)"),
        ("", {BIAS: torch.full((32,), torch.inf)}, f"{BIAS} holds values that are not finite"),
        ("conv1_1.weight", {}, r"not a VGG19: no kernel conv1_1\.weight"),
    ],
)
def test_files_are_read_strictly(
    tmp_path: Path, remove: str, add: dict[str, Tensor], message: str
) -> None:
    state = tiny_state() | add
    state.pop(remove, None)
    with pytest.raises(CheckpointError, match=message):
        load_perceptual(write(tmp_path, state))
