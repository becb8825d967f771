"""Every layout opens by content, through one function."""

from pathlib import Path

import pytest
import torch
from foreign_files import (
    checkpoint_with_decoder,
    nvidia_pickle,
    nvidia_state,
    rosinality_file,
    rosinality_state,
    torch_file,
)

from cfclip.errors import CheckpointError
from cfclip.generators.checkpoints import save_generator
from cfclip.generators.opening import load_generator
from cfclip.generators.stylegan2 import StyleGAN2


def assert_same(found: StyleGAN2, expected: StyleGAN2) -> None:
    assert found.config == expected.config
    assert not found.training
    assert not any(parameter.requires_grad for parameter in found.parameters())
    for name, value in expected.state_dict().items():
        assert torch.equal(found.state_dict()[name], value), name


@pytest.mark.parametrize("name", ["model.pt", "model.pkl", "model.safetensors", "model"])
def test_the_name_of_a_file_does_not_matter(
    tmp_path: Path, generator: StyleGAN2, name: str
) -> None:
    path, state = tmp_path / name, rosinality_state(generator)
    before = torch.random.get_rng_state()
    for data in (
        rosinality_file(state, generator.w_avg),
        rosinality_file(state, generator.w_avg, legacy=True),
        checkpoint_with_decoder(state, generator.w_avg),
        checkpoint_with_decoder(state, generator.w_avg, rows=8),
        checkpoint_with_decoder(state, generator.w_avg, rows=8, legacy=True),
        nvidia_pickle(nvidia_state(generator)),
    ):
        path.write_bytes(data)
        assert_same(load_generator(path), generator)
    save_generator(generator, path)
    assert_same(load_generator(str(path)), generator)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_mean_that_is_not_in_the_file_is_measured(tmp_path: Path, generator: StyleGAN2) -> None:
    path, state = tmp_path / "mapper.pt", rosinality_state(generator)
    expected = generator.mapping(torch.randn(100_000, generator.z_dim))[:, 0].mean(0)
    found = {}
    for name, data in {
        "decoder": checkpoint_with_decoder(state, None),
        "training": rosinality_file(state, None),
    }.items():
        path.write_bytes(data)
        found[name] = load_generator(path).w_avg
        assert (found[name] - expected).norm() < 0.05 * expected.norm()
    assert torch.equal(found["decoder"], found["training"])


def test_what_holds_no_generator_is_refused(tmp_path: Path, generator: StyleGAN2) -> None:
    path, state = tmp_path / "model.pt", rosinality_state(generator)
    rows = torch.stack([generator.w_avg, generator.w_avg + 1])
    name = "to_rgbs.1.bias"
    for content, message in (
        ({"state_dict": {"mapper.x": torch.ones(1)}}, "decoder. has no state dict: found dict"),
        ({"params": 1}, "holds no generator: neither g_ema nor state_dict with decoder"),
        ({"g_ema": 3}, "g_ema has no state dict"),
        ({"g_ema": state, "latent_avg": rows}, r"w_avg has shape \(2, 12\), expected \(12,\)"),
        ({"g_ema": state, "latent_avg": 0.0}, "'latent_avg' is a float, expected a tensor"),
        ({"g_ema": state, "latent_avg": rows[:, :1].expand(2, 1 << 40)}, "repeats its memory"),
        ({"g_ema": {}}, "has no state dict"),
        ({"g_ema": {"convs.0.conv.weight": torch.ones(1)}}, r"missing style\.1\.weight"),
        ({"g_ema": {k: v for k, v in state.items() if k != name}}, f"missing {name}"),
        ({"g_ema": state | {name: state[name] / 0}}, f"{name} holds values that are not finite"),
        ([1], "holds a list, expected a mapping"),
    ):
        path.write_bytes(torch_file(content))
        with pytest.raises(CheckpointError, match=message) as caught:
            load_generator(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
    with pytest.raises(CheckpointError, match="there is no generator file"):
        load_generator(tmp_path)
    path.write_bytes(b"<!DOCTYPE html><title>Quota exceeded</title>")
    with pytest.raises(CheckpointError, match="does not begin as a file of PyTorch does"):
        load_generator(path)
