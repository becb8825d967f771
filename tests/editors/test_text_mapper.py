"""The text mapper and the latent mapper: formulas, groups, independence, storage."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cfclip.editors import LatentMapper
from cfclip.editors.mapper_config import GROUP_LAYERS, LatentMapperConfig
from cfclip.editors.text_mapper import (
    TextMapper,
    TextMapperConfig,
    load_text_mapper,
    save_text_mapper,
    text_mapper_metadata,
)
from cfclip.errors import CheckpointError, InputError

W_DIM, TEXT_DIM = 8, 6
TINY = {"num_ws": 10, "w_dim": W_DIM, "text_dim": TEXT_DIM}


def draw(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def text_mapper(**changes: Any) -> TextMapper:
    """A random mapper whose biases are not zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        mapper = TextMapper(TextMapperConfig(**TINY | changes))
        for name, parameter in mapper.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(parameter, std=10.0)
    return mapper


def latent_mapper(**changes: Any) -> LatentMapper:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LatentMapper(LatentMapperConfig(**{"num_ws": 10, "w_dim": W_DIM} | changes))


# What it computes


def test_a_mapper_computes_its_formula() -> None:
    mapper = text_mapper(num_ws=1, mapping_layers=1)
    ws, text = draw(1, 1, W_DIM), draw(TEXT_DIM, seed=2)

    def linear(layer: torch.nn.Module, row: Tensor) -> Tensor:
        gain = 0.01 / row.numel() ** 0.5
        value = layer.weight @ row * gain + layer.bias * 0.01
        return torch.where(value > 0, value, 0.2 * value) * 2**0.5

    def mapping(network: torch.nn.Module, row: Tensor) -> Tensor:
        return linear(network.layers[0], row / row.square().mean().sqrt())

    code = mapping(mapper.text_mappers["0"], text)
    fused = linear(mapper.fusion, torch.cat([ws[0, 0], code]))
    delta = mapping(mapper.mapper.groups["coarse"], fused)
    torch.testing.assert_close(mapper(ws, text)[0, 0], delta)
    torch.testing.assert_close(mapper.edit(ws, text, 2.0)[0, 0], ws[0, 0] + 2.0 * 0.1 * delta)


@pytest.mark.parametrize("num_ws", [1, 4, 6, 12, 18])
def test_any_number_of_layers(num_ws: int) -> None:
    mapper = text_mapper(num_ws=num_ws)
    ws, text = draw(2, num_ws, W_DIM), draw(TEXT_DIM)
    assert mapper.text_codes(text).shape == (1, num_ws, W_DIM)
    assert mapper(ws, text).shape == mapper.edit(ws, text).shape == ws.shape
    assert bool((mapper(ws, text) != 0).all())
    # Every network belongs to a layer that there is.
    mapper(ws, text).square().sum().backward()
    assert all(parameter.grad is not None for parameter in mapper.parameters())
    assert latent_mapper(num_ws=num_ws)(ws).shape == ws.shape


@pytest.mark.parametrize("layout", ["active", "all"])
@pytest.mark.parametrize("groups", [("coarse",), ("fine", "medium"), ("coarse", "fine")])
def test_groups_that_are_off_give_zero_rows(groups: tuple[str, ...], layout: str) -> None:
    mapper = text_mapper(groups=groups, text_layout=layout)
    ws, text = draw(2, 10, W_DIM), draw(TEXT_DIM)
    delta = mapper(ws, text)
    for group, rows in GROUP_LAYERS.items():
        assert bool((delta[:, rows] != 0).all() if group in groups else (delta[:, rows] == 0).all())
    codes = mapper.text_codes(text)[0].any(-1)
    assert codes.tolist() == [
        layout == "all" or row in mapper.config.active_layers for row in range(10)
    ]
    assert set(latent_mapper(groups=groups).groups) == set(groups)


def test_strength_scales_the_edit_and_0_changes_nothing() -> None:
    mapper, ws, text = text_mapper(step_scale=0.5), draw(2, 10, W_DIM), draw(TEXT_DIM)
    assert torch.equal(mapper.edit(ws, text, 0.0), ws)
    torch.testing.assert_close(mapper.edit(ws, text), ws + 0.5 * mapper(ws, text))
    torch.testing.assert_close(mapper.edit(ws, text, -3.0), ws - 1.5 * mapper(ws, text))
    plain = latent_mapper(step_scale=0.5)
    assert torch.equal(plain.edit(ws, 0.0), ws)
    torch.testing.assert_close(plain.edit(ws, 2.0), ws + plain(ws))


@pytest.mark.parametrize("legacy", [False, True])
def test_images_do_not_influence_each_other(legacy: bool) -> None:
    mapper = text_mapper(legacy_pixel_norm=legacy)
    ws, texts = draw(3, 10, W_DIM), draw(3, TEXT_DIM, seed=2)
    plain = latent_mapper(legacy_pixel_norm=legacy)
    for row in range(3):
        one = slice(row, row + 1)
        torch.testing.assert_close(mapper(ws, texts)[one], mapper(ws[one], texts[one]))
        torch.testing.assert_close(mapper(ws, texts[0])[one], mapper(ws[one], texts[0]))
        torch.testing.assert_close(plain(ws)[one], plain(ws[one]))


# The text


def test_one_text_for_all_is_that_text_for_each() -> None:
    mapper, ws, text = text_mapper(), draw(3, 10, W_DIM), draw(TEXT_DIM)
    expected = mapper(ws, text)
    torch.testing.assert_close(mapper(ws, text[None]), expected)
    torch.testing.assert_close(mapper(ws, text.expand(3, -1)), expected)
    other = mapper(ws, torch.stack([text, draw(TEXT_DIM, seed=5), text]))
    torch.testing.assert_close(other[0], expected[0])
    assert not torch.allclose(other[1], expected[1])


def test_the_codes_of_a_text_are_computed_once() -> None:
    mapper, ws, text = text_mapper(), draw(3, 10, W_DIM), draw(2, TEXT_DIM)
    calls = []
    for network in mapper.text_mappers.values():
        network.register_forward_hook(lambda *_: calls.append(1))
    codes = mapper.text_codes(text)
    assert len(calls) == 10
    edited = [mapper.edit(one[None], codes[:1]) for one in ws]
    together = mapper.edit(ws[:2], codes)
    assert len(calls) == 10
    torch.testing.assert_close(torch.cat(edited), mapper.edit(ws, text[0]))
    torch.testing.assert_close(together, mapper.edit(ws[:2], text))


def test_the_length_of_a_text_feature_does_not_matter() -> None:
    mapper, text = text_mapper(), draw(TEXT_DIM)
    torch.testing.assert_close(mapper.text_codes(10 * text), mapper.text_codes(text))


def test_only_the_legacy_norm_sees_no_more_than_the_signs_of_a_text() -> None:
    text = draw(TEXT_DIM)
    other = text * torch.linspace(0.5, 2.0, TEXT_DIM)
    legacy = text_mapper(legacy_pixel_norm=True)
    torch.testing.assert_close(legacy.text_codes(other), legacy.text_codes(text))
    mapper = text_mapper()
    assert not torch.allclose(mapper.text_codes(other), mapper.text_codes(text), rtol=0.01)


def test_a_single_layer_keeps_more_than_the_signs_of_its_code() -> None:
    ws = draw(1, 1, W_DIM)
    other = ws * torch.linspace(0.5, 2.0, W_DIM)
    mapper = latent_mapper(num_ws=1)
    assert not torch.allclose(mapper(other), mapper(ws), rtol=0.01)
    legacy = latent_mapper(num_ws=1, legacy_pixel_norm=True)
    torch.testing.assert_close(legacy(other), legacy(ws))


# Gradients


@pytest.mark.parametrize("legacy", [False, True])
def test_a_zero_text_and_zero_codes_are_finite(legacy: bool) -> None:
    mapper = text_mapper(legacy_pixel_norm=legacy)
    ws = torch.zeros(2, 10, W_DIM, requires_grad=True)
    mapper.edit(ws, torch.zeros(TEXT_DIM)).square().sum().backward()
    for parameter in (ws, *mapper.parameters()):
        assert parameter.grad is not None
        assert bool(torch.isfinite(parameter.grad).all())


def test_a_zero_edit_has_a_finite_gradient_that_leaves_it() -> None:
    mapper, ws = text_mapper(), draw(2, 10, W_DIM)
    for network in mapper.mapper.groups.values():
        torch.nn.init.zeros_(network.layers[-1].weight)
        torch.nn.init.zeros_(network.layers[-1].bias)
    edited = mapper.edit(ws, draw(TEXT_DIM))
    assert torch.equal(edited, ws)
    (edited - draw(2, 10, W_DIM, seed=9)).square().sum().backward()
    for name, parameter in mapper.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
    assert all(bool(one.layers[-1].weight.grad.any()) for one in mapper.mapper.groups.values())


def test_the_gradient_of_the_latents_is_right() -> None:
    mapper = text_mapper(num_ws=5, w_dim=3).double()
    ws, text = draw(2, 5, 3).double().requires_grad_(), draw(TEXT_DIM).double().requires_grad_()
    assert torch.autograd.gradcheck(mapper.edit, (ws, text))


# What is refused


@pytest.mark.parametrize("shape", [(10, W_DIM), (2, 9, W_DIM), (2, 10, W_DIM + 1)])
def test_latents_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    for refused in (
        lambda: text_mapper().edit(torch.zeros(shape), draw(TEXT_DIM)),
        lambda: latent_mapper().edit(torch.zeros(shape)),
    ):
        with pytest.raises(InputError, match=r"latents have shape .*expected \(batch, 10, 8\)"):
            refused()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((), r"text has shape \(\), expected \(6,\) or \(batch, 6\)"),
        ((5,), r"text has shape \(5,\), expected"),
        ((3, 5), r"text has shape \(3, 5\), expected"),
        ((2, TEXT_DIM), r"text has shape \(2, 6\) for latents \(3, 10, 8\), expected one text, or"),
        ((2, 10, W_DIM), r"text has shape \(2, 10, 8\) for latents"),
        ((1, 9, W_DIM), r"text has shape \(1, 9, 8\) for latents"),
        ((1, 1, 10, W_DIM), r"text has shape \(1, 1, 10, 8\), expected"),
    ],
)
def test_texts_of_another_shape_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        text_mapper()(draw(3, 10, W_DIM), torch.zeros(shape))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_ws": 0}, "num_ws is 0"),
        ({"w_dim": 0}, "w_dim is 0"),
        ({"text_dim": 0}, "text_dim is 0"),
        ({"mapping_layers": 0}, "mapping_layers is 0"),
        ({"step_scale": 0.0}, "step_scale is 0.0, it must be a number above 0"),
        ({"lr_multiplier": float("nan")}, "lr_multiplier is nan"),
        ({"text_layout": "some"}, "text_layout is 'some', expected one of active, all, none"),
        ({"groups": ("course",)}, "one of groups is 'course', expected one of coarse"),
        ({"groups": ("fine", "fine")}, "expected each one once"),
        ({"groups": ()}, "groups is (), expected at least one"),
        ({"groups": ("fine",), "num_ws": 8}, "a generator with num_ws 8 has coarse, medium"),
    ],
)
def test_settings_that_cannot_work_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        TextMapperConfig(**TINY | changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# Files


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 0.0), (torch.float16, 5e-3)])
def test_a_saved_mapper_loads_again(tmp_path: Path, dtype: torch.dtype, tolerance: float) -> None:
    mapper = text_mapper(groups=("medium", "coarse"), step_scale=0.2, legacy_pixel_norm=True)
    path = tmp_path / "mapper.safetensors"
    about = {"pack": "avatars", "version": "1", "prompts": ["green hair"], "steps": 3}
    save_text_mapper(mapper, path, about, dtype)
    before = torch.random.get_rng_state()
    loaded = load_text_mapper(path)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert loaded.config == mapper.config
    assert text_mapper_metadata(path) == about
    assert not loaded.training
    assert {one.dtype for one in loaded.parameters()} == {torch.float32}
    assert not any(one.requires_grad for one in loaded.parameters())
    ws, text = draw(2, 10, W_DIM), draw(TEXT_DIM)
    torch.testing.assert_close(loaded.edit(ws, text), mapper.edit(ws, text), atol=tolerance, rtol=0)


def test_metadata_may_be_empty_but_not_anything(tmp_path: Path) -> None:
    path = tmp_path / "mapper.safetensors"
    save_text_mapper(text_mapper(), path)
    assert text_mapper_metadata(path) == {}
    for value in (Path("x"), float("nan")):
        with pytest.raises(InputError, match="facts about a model cannot be written as JSON"):
            save_text_mapper(text_mapper(), path, {"value": value})


def test_loading_is_strict(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.safetensors", tmp_path / "bad.safetensors"
    mapper = text_mapper()
    save_text_mapper(mapper, good)
    tensors = load_file(good)
    config = {**mapper.config.__dict__}
    header = {"format": "cfclip.text_mapper.v1", "config": json.dumps(config)}

    removed = {name: value for name, value in tensors.items() if name != "fusion.bias"}
    save_file(removed | {"extra": torch.zeros(1)}, bad, header)
    with pytest.raises(CheckpointError, match=r"missing fusion\.bias; unknown extra"):
        load_text_mapper(bad)

    save_file(tensors | {"fusion.bias": torch.zeros(7)}, bad, header)
    with pytest.raises(CheckpointError, match=r"fusion\.bias has shape \(7,\), expected \(8,\)"):
        load_text_mapper(bad)

    for changed in ({"num_ws": 0}, {"groups": ["none"]}, {"other": 1}, {"groups": None}):
        save_file(tensors, bad, header | {"config": json.dumps(config | changed)})
        with pytest.raises(CheckpointError, match="no usable text mapper configuration"):
            load_text_mapper(bad)

    save_file(tensors, bad, header | {"format": "cfclip.stylegan2.v1"})
    for read in (load_text_mapper, text_mapper_metadata):
        with pytest.raises(CheckpointError, match="is not a text mapper"):
            read(bad)
    for about in ({}, {"about": "3"}, {"about": "{"}):
        save_file(tensors, bad, header | about)
        with pytest.raises(CheckpointError, match="tells no usable facts about its text mapper"):
            text_mapper_metadata(bad)
