"""The rosinality and NVIDIA layouts: golden numbers, and all the ways a state can be wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from foreign_files import (
    checkpoint_with_decoder,
    nvidia_pickle,
    nvidia_state,
    rosinality_file,
    rosinality_state,
)
from golden_cases import RELATIVE_TOLERANCE, golden, relative_error
from torch import Tensor

from cfclip.errors import CheckpointError
from cfclip.generators import StyleGAN2, StyleGAN2Config, load_generator
from cfclip.generators.layouts import from_nvidia, from_rosinality
from cfclip.generators.modulated_conv import fir_filter

MakeGenerator = Callable[..., StyleGAN2]
State = dict[str, Tensor]


def load_rosinality(state: State) -> StyleGAN2:
    return from_rosinality(state, torch.zeros(12))


def loaded(folder: Path, data: bytes) -> StyleGAN2:
    """What the public function makes of a file of these bytes, whose name tells nothing."""
    path = folder / "anything"
    path.write_bytes(data)
    return load_generator(path)


def assert_golden(value: Tensor, expected: object) -> None:
    assert relative_error(value, expected) < RELATIVE_TOLERANCE  # type: ignore[arg-type]


# Golden numbers, from files in the other programs' layouts


@pytest.mark.parametrize("inside", [False, True])
def test_rosinality_golden_64(tmp_path: Path, inside: bool) -> None:
    parameters, arrays, _ = golden("rosinality_generator_64")
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    average = tensors["latent_avg"]
    if inside:
        generator = loaded(tmp_path, checkpoint_with_decoder(parameters, average, rows=10))
    else:
        generator = loaded(tmp_path, rosinality_file(parameters, average))
    assert generator.num_ws == int(arrays["n_latent"])
    assert_golden(generator.mapping(tensors["z"])[:, 0], tensors["w"])
    assert_golden(generator.synthesis(tensors["w_plus"]), tensors["image"])
    truncated = generator.synthesis(generator.mapping(tensors["z"], truncation_psi=0.7))
    assert_golden(truncated, tensors["image_truncated_0p7"])
    styles = generator.styles(tensors["w_plus"])
    assert len(styles) == sum(name.startswith("style_") for name in arrays)
    for index, style in enumerate(styles):
        assert_golden(style, tensors[f"style_{index}"])


def test_rosinality_golden_256(tmp_path: Path) -> None:
    parameters, arrays, _ = golden("rosinality_generator_256")
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    generator = loaded(tmp_path, rosinality_file(parameters, tensors["latent_avg"], legacy=True))
    assert generator.config.channels == (512, 512, 512, 512, 256, 128, 64)
    assert_golden(generator.mapping(tensors["z"])[:, 0], tensors["w"])
    image = generator.synthesis(tensors["w_plus"])
    crop_side = tensors["image_crop"].shape[-1]
    pooled_side = tensors["image_pooled32"].shape[-1]
    start = (generator.resolution - crop_side) // 2
    crop = image[..., start : start + crop_side, start : start + crop_side]
    assert_golden(crop, tensors["image_crop"])
    pooled = torch.nn.functional.adaptive_avg_pool2d(image, pooled_side)
    assert_golden(pooled, tensors["image_pooled32"])
    assert_golden(image.mean((2, 3)), tensors["image_mean"])
    assert_golden(image.std((2, 3)), tensors["image_std"])


def test_nvidia_golden_64(tmp_path: Path) -> None:
    parameters, arrays, _ = golden("nvidia_generator_64")
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    generator = loaded(tmp_path, nvidia_pickle(parameters))
    assert generator.num_ws == int(arrays["num_ws"])
    assert_golden(generator.mapping(tensors["z"])[:, 0], tensors["w"])
    assert_golden(generator.synthesis(tensors["w_plus"]), tensors["image"])
    assert_golden(generator.synthesis(tensors["w_plus"], "none"), tensors["image_noise_none"])
    truncated = generator.synthesis(generator.mapping(tensors["z"], truncation_psi=0.7))
    assert_golden(truncated, tensors["image_truncated_0p7"])


def test_nvidia_golden_mapping(tmp_path: Path, make_generator: MakeGenerator) -> None:
    parameters, arrays, _ = golden("nvidia_mapping_truncation")
    state = nvidia_state(make_generator(StyleGAN2Config(64, (2, 2, 2, 2, 2))))
    state |= {f"mapping.{name}": value for name, value in parameters.items()}
    generator = loaded(tmp_path, nvidia_pickle(state, protocol=3))
    z = torch.from_numpy(arrays["z"])
    assert_golden(generator.mapping(z), arrays["ws"])
    cut = generator.mapping(z, truncation_psi=0.5, truncation_cutoff=4)
    assert_golden(cut, arrays["ws_psi_0p5_cutoff_4"])


# Strictness


def test_layouts_round_trip(generator: StyleGAN2, ws: Tensor) -> None:
    expected = generator.synthesis(ws)
    for loaded in (
        from_rosinality(rosinality_state(generator), generator.w_avg),
        from_nvidia(nvidia_state(generator)),
    ):
        assert loaded.config == generator.config
        assert not loaded.training
        assert not any(parameter.requires_grad for parameter in loaded.parameters())
        assert torch.equal(loaded.w_avg, generator.w_avg)
        assert torch.equal(loaded.synthesis(ws), expected)


def test_half_precision_states_load_as_float32(generator: StyleGAN2) -> None:
    state = {name: value.half() for name, value in nvidia_state(generator).items()}
    assert from_nvidia(state).const.dtype == torch.float32


@pytest.mark.parametrize(
    ("make_state", "load", "name"),
    [
        (rosinality_state, load_rosinality, "convs.2.activate.bias"),
        (rosinality_state, load_rosinality, "convs.1.conv.weight"),
        (rosinality_state, load_rosinality, "noises.noise_3"),
        (rosinality_state, load_rosinality, "input.input"),
        (rosinality_state, load_rosinality, "style.1.weight"),
        (nvidia_state, from_nvidia, "synthesis.b8.conv0.noise_strength"),
        (nvidia_state, from_nvidia, "synthesis.b8.conv1.weight"),
        (nvidia_state, from_nvidia, "synthesis.b4.torgb.weight"),
        (nvidia_state, from_nvidia, "mapping.fc0.weight"),
        (nvidia_state, from_nvidia, "mapping.w_avg"),
    ],
)
def test_missing_and_misshapen_tensors_are_named(
    generator: StyleGAN2,
    make_state: Callable[[StyleGAN2], State],
    load: Callable[[State], StyleGAN2],
    name: str,
) -> None:
    state = make_state(generator)
    value = state.pop(name)
    with pytest.raises(CheckpointError, match=f"missing {name}"):
        load(state)
    state[name] = value.flatten()[:0]
    with pytest.raises(CheckpointError) as caught:
        load(state)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make_state", "load"), [(rosinality_state, load_rosinality), (nvidia_state, from_nvidia)]
)
def test_unknown_tensors_are_named(
    generator: StyleGAN2,
    make_state: Callable[[StyleGAN2], State],
    load: Callable[[State], StyleGAN2],
) -> None:
    state = make_state(generator)
    state["mapping.other.weight"] = torch.zeros(2, 2)
    state["some.kernel"] = fir_filter()
    with pytest.raises(CheckpointError, match=r"unknown mapping\.other\.weight; unknown some\.ker"):
        load(state)


def test_an_empty_state_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"missing style\.1\.weight"):
        load_rosinality({})
    with pytest.raises(CheckpointError, match=r"missing mapping\.fc0\.weight"):
        from_nvidia({})


def test_a_latent_average_of_another_width_is_refused(generator: StyleGAN2) -> None:
    with pytest.raises(CheckpointError, match=r"w_avg has shape \(7,\), expected \(12,\)"):
        from_rosinality(rosinality_state(generator), torch.zeros(7))


def test_another_filter_is_refused(generator: StyleGAN2) -> None:
    state = nvidia_state(generator)
    state["synthesis.b8.resample_filter"] = torch.full((4, 4), 1 / 16)
    with pytest.raises(CheckpointError, match=r"filter synthesis\.b8\.resample_filter is not \[1"):
        from_nvidia(state)
