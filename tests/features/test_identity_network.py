"""The identity network from files in the layout of `model_ir_se50.pth`."""

from pathlib import Path

import pytest
import torch
from golden_cases import RELATIVE_TOLERANCE, golden, golden_tensor, relative_error
from torch import Tensor

from cfclip.errors import CheckpointError, InputError
from cfclip.features import IdentityNetwork, load_identity
from cfclip.losses import identity_loss

TINY = 16


def tiny_state() -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return IdentityNetwork(TINY, 8).state_dict()


def write(tmp_path: Path, state: object) -> Path:
    path = tmp_path / "anything.bin"
    torch.save(state, path)
    return path


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("key", ["state_dict", "model", None])
def test_state_dicts_are_found_wherever_they_are(
    tmp_path: Path, prefix: str, key: str | None
) -> None:
    state = tiny_state()
    tensors = {f"{prefix}{name}": value for name, value in state.items()}
    expected = load_identity(write(tmp_path, state)).state_dict()
    found = load_identity(write(tmp_path, {key: tensors} if key else tensors)).state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_golden(tmp_path: Path) -> None:
    parameters, arrays, _ = golden("arcface_irse50")
    network = load_identity(write(tmp_path, parameters))
    with torch.no_grad():
        features = network(golden_tensor("input.image", (2, 3, 256, 256)).float().tanh())
    assert relative_error(features, arrays["features"]) < RELATIVE_TOLERANCE


def test_any_size_each_image_alone_and_a_gradient(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    network = load_identity(write(tmp_path, tiny_state()))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not network.training
    images = golden_tensor("images", (2, 3, 64, 64)).float().tanh().requires_grad_()
    features = network(images)
    assert features.shape == (2, 8)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(network(images[1:]), features[1:])
    identity_loss(features, features.detach().flip(0)).backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert images.grad.any()
    with pytest.raises(InputError, match="images have shape"):
        network(images[0])


BIAS = "output_layer.3.bias"


@pytest.mark.parametrize(
    ("remove", "add", "message"),
    [
        (BIAS, {}, f"missing {BIAS}"),
        ("", {"body.24.extra": torch.zeros(1)}, "unknown body.24.extra"),
        ("", {BIAS: torch.zeros(9)}, rf"{BIAS} has shape \(9,\), expected \(8,\)"),
        ("", {BIAS: torch.full((8,), torch.nan)}, f"{BIAS} holds values that are not finite"),
        ("input_layer.0.weight", {}, r"not an IR-SE50: no kernel input_layer\.0\.weight"),
        ("output_layer.3.weight", {}, r"no matrix output_layer\.3\.weight"),
        ("", {BIAS: 3}, f"'{BIAS}' is a int, expected a tensor"),
        ("", {BIAS: torch.zeros(8).to_sparse()}, "_rebuild_sparse_tensor', which is not on the"),
        ("", {BIAS: torch.zeros(8) * 1j}, f"{BIAS} is torch.complex64"),
        ("", {BIAS: torch.zeros(1).expand(8)}, f"{BIAS} of shape .* repeats its memory"),
    ],
)
def test_files_are_read_strictly(
    tmp_path: Path, remove: str, add: dict[str, Tensor], message: str
) -> None:
    state = tiny_state() | add
    state.pop(remove, None)
    with pytest.raises(CheckpointError, match=message):
        load_identity(write(tmp_path, state))


def test_counters_may_be_left_out(tmp_path: Path) -> None:
    state = {name: value for name, value in tiny_state().items() if "num_batches" not in name}
    assert len(state) < len(tiny_state())
    load_identity(write(tmp_path, state))
