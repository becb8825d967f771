"""Every layout opens by content, through one function."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from golden_cases import RELATIVE_TOLERANCE, golden, relative_error

from cfclip.errors import CheckpointError
from cfclip.generators import StyleGAN2, load_generator, open_generator, save_generator
from recipes.rehearsal.forms import network_file


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
        ({"state_dict": {"mapper.x": torch.ones(1)}}, "holds no generator .* but mapper.x; give"),
        ({"params": 1}, "holds no generator of rosinality's layout or NVIDIA's, but params;"),
        ({"g_ema": 3}, "but g_ema; give a checkpoint"),
        ({"g_ema": state, "latent_avg": rows}, r"w_avg has shape \(2, 12\), expected \(12,\)"),
        ({"g_ema": state, "latent_avg": 0.0}, "'latent_avg' is a float, expected a tensor"),
        ({"g_ema": state, "latent_avg": rows[:, :1].expand(2, 1 << 40)}, "repeats its memory"),
        ({"g_ema": {}}, "but nothing; give a checkpoint"),
        ({}, "but nothing; give a checkpoint"),
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


def renamed(state: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {f"{prefix}{name}": value for name, value in state.items()}


@pytest.mark.parametrize("prefix", ["", "module.", "module.module.", "_orig_mod.module."])
@pytest.mark.parametrize(
    "keys",
    [(), ("state_dict",), ("model",), ("params_ema",), ("generator",), ("ema", "state_dict")],
)
@pytest.mark.parametrize("legacy", [False, True])
def test_state_dicts_are_found_wherever_they_are(
    tmp_path: Path, generator: StyleGAN2, keys: tuple[str, ...], prefix: str, legacy: bool
) -> None:
    path = tmp_path / "model.pt"
    for state, others in (
        (rosinality_state(generator), {"latent_avg": generator.w_avg}),
        (renamed(rosinality_state(generator), "decoder."), {"latent_avg": generator.w_avg}),
        (renamed(rosinality_state(generator), "decoder.module."), {"latent_avg": generator.w_avg}),
        (rosinality_state(generator) | {"latent_avg": generator.w_avg}, {}),
        (nvidia_state(generator), {}),
        (renamed(nvidia_state(generator), "G_ema."), {}),
    ):
        if not keys and others and prefix:
            others = {}  # the mean of W is a tensor among others
            state = {**state, "latent_avg": generator.w_avg}
        content: dict[str, Any] = renamed(state, prefix)
        for key in reversed(keys):
            content = {"epoch": 3, key: content}
        path.write_bytes(torch_file({**content, **others}, legacy))
        opened = open_generator(path)
        assert_same(opened.generator, generator)
        assert opened.notes == ()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("key", [None, "G_ema"])
def test_networks_that_pti_saves(
    tmp_path: Path, generator: StyleGAN2, key: str | None, legacy: bool
) -> None:
    path = tmp_path / "model_multi_id.pt"
    path.write_bytes(network_file(nvidia_state(generator), key, legacy))
    opened = open_generator(path)
    assert_same(opened.generator, generator)
    assert opened.layout == "NVIDIA network"


def test_a_generator_without_noise_gets_the_same_each_time(
    tmp_path: Path, generator: StyleGAN2, ws: torch.Tensor
) -> None:
    path, state = tmp_path / "model.pt", rosinality_state(generator)
    bare = {name: value for name, value in state.items() if not name.startswith("noises.")}
    path.write_bytes(rosinality_file(bare, generator.w_avg))
    opened = open_generator(path)
    assert opened.notes == ("it holds no noise, which was drawn once, by the seed 0",)
    torch.manual_seed(5)
    assert_same(load_generator(path), opened.generator)
    # But for the noise, it is the generator; and with that noise kept, the same in all.
    expected = generator.synthesis(ws, "none")
    assert torch.equal(opened.generator.synthesis(ws, "none"), expected)
    noises = [
        value for name, value in opened.generator.state_dict().items() if "noise_const" in name
    ]
    assert all(0.5 < float(noise.std()) < 1.5 for noise in noises)
    path.write_bytes(rosinality_file(rosinality_state(opened.generator), generator.w_avg))
    again = open_generator(path)
    assert again.notes == ()
    assert torch.equal(again.generator.synthesis(ws), opened.generator.synthesis(ws))
    # One that lacks some of it is damaged.
    del state["noises.noise_3"]
    path.write_bytes(rosinality_file(state, generator.w_avg))
    with pytest.raises(CheckpointError, match=r"missing noises\.noise_3"):
        load_generator(path)


def test_without_noise_golden_64(tmp_path: Path) -> None:
    parameters, arrays, _ = golden("rosinality_generator_64")
    images = {}
    for kept in (True, False):
        state = {n: v for n, v in parameters.items() if kept or not n.startswith("noises.")}
        path = tmp_path / "model.pt"
        path.write_bytes(rosinality_file(state, torch.from_numpy(arrays["latent_avg"])))
        generator = load_generator(path)
        images[kept] = generator.synthesis(torch.from_numpy(arrays["w_plus"]), "none")
        if kept:
            found = generator.synthesis(torch.from_numpy(arrays["w_plus"]))
            assert relative_error(found, torch.from_numpy(arrays["image"])) < RELATIVE_TOLERANCE
    assert torch.equal(images[True], images[False])


def test_what_cannot_be_edited_is_named(
    tmp_path: Path, make_generator: Callable[..., StyleGAN2]
) -> None:
    path, generator = tmp_path / "model.pt", make_generator()
    theirs, nvidia = rosinality_state(generator), nvidia_state(generator)
    wide = torch.ones(12, 24)
    tall = {"synthesis.b4.const": torch.ones(8, 8, 4)}
    for data, message in (
        (rosinality_file({**theirs, "style.1.weight": wide}, generator.w_avg), "conditional"),
        (torch_file({**nvidia, "mapping.embed.weight": wide}), "conditional"),
        (nvidia_pickle({**nvidia, "mapping.embed.weight": wide}), "conditional"),
        (network_file({**nvidia, "mapping.embed.weight": wide}), "conditional"),
        (
            rosinality_file({**theirs, "input.input": torch.ones(1, 8, 4, 8)}, generator.w_avg),
            "non-square generator, which starts from 8x4",
        ),
        (torch_file({**nvidia, **tall}), "non-square generator, which starts from 4x8"),
        (nvidia_pickle({**nvidia, **tall}), "non-square"),
        (network_file({**nvidia, "synthesis.input.freqs": wide}), "StyleGAN3"),
    ):
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match=message) as caught:
            load_generator(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
