"""Released CF-CLIP and StyleCLIP mappers: golden numbers, and all the ways a state can be wrong."""

from collections.abc import Callable

import pytest
import torch
from golden_cases import RELATIVE_TOLERANCE, golden, relative_error
from torch import Tensor, nn

from cfclip.editors import LatentMapper, TextMapper
from cfclip.editors.mapper_config import LatentMapperConfig, TextMapperConfig
from cfclip.editors.mapper_layouts import (
    _released_name,
    latent_mapper_from_styleclip,
    text_mapper_from_released,
)
from cfclip.errors import CheckpointError, InputError

State = dict[str, Tensor]


def exported(mapper: nn.Module) -> State:
    """The mapper's tensors in the released layout."""
    return {_released_name(name): value for name, value in mapper.state_dict().items()}


def tiny_text_mapper() -> TextMapper:
    config = TextMapperConfig(
        num_ws=10,
        w_dim=8,
        text_dim=6,
        groups=("coarse", "fine"),
        mapping_layers=2,
        text_layout="all",
        legacy_pixel_norm=True,
    )
    return TextMapper(config)


def assert_golden(value: Tensor, expected: object) -> None:
    assert relative_error(value, expected) < RELATIVE_TOLERANCE  # type: ignore[arg-type]


# Golden numbers


@pytest.mark.parametrize("case", ["cfclip_mapper", "cfclip_mapper_16_no_fine"])
def test_cfclip_golden(case: str) -> None:
    parameters, arrays, _ = golden(case)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    mapper = text_mapper_from_released(parameters)
    ws, text = tensors["w_plus"], tensors["text_feature"]
    codes = mapper.text_codes(text)
    assert_golden(codes.expand_as(ws), tensors["text_code"])
    delta = mapper(ws, codes)
    assert_golden(delta, tensors["delta"])
    assert torch.equal(delta == 0, tensors["delta"] == 0)  # groups that are switched off
    # The edit is small beside the latents, so what it adds is compared, too.
    expected = tensors.get("w_plus_edited", ws + 0.1 * tensors["delta"])
    assert_golden(mapper.edit(ws, text), expected)
    assert_golden(mapper.edit(ws, text) - ws, expected - ws)


def test_cfclip_golden_needs_the_legacy_norm() -> None:
    parameters, arrays, _ = golden("cfclip_mapper")
    legacy = text_mapper_from_released(parameters)
    fields = {**legacy.config.__dict__, "legacy_pixel_norm": False}
    mapper = TextMapper(TextMapperConfig(**fields))
    mapper.load_state_dict(legacy.state_dict())
    delta = mapper(torch.from_numpy(arrays["w_plus"]), torch.from_numpy(arrays["text_feature"]))
    assert relative_error(delta, arrays["delta"]) > 1000 * RELATIVE_TOLERANCE


def test_styleclip_golden() -> None:
    parameters, arrays, _ = golden("styleclip_mapper")
    ws = torch.from_numpy(arrays["w_plus"])
    mapper = latent_mapper_from_styleclip(parameters, num_ws=ws.shape[1])
    assert_golden(mapper(ws), arrays["delta"])
    assert_golden(mapper.edit(ws), arrays["w_plus_edited"])
    assert_golden(mapper.edit(ws) - ws, arrays["w_plus_edited"] - arrays["w_plus"])


# Sizes and names


def test_sizes_and_groups_are_read_from_the_state() -> None:
    original = tiny_text_mapper()
    state = exported(original) | {"decoder.input.input": torch.zeros(1, 8, 4, 4)}
    before = torch.random.get_rng_state()
    loaded = text_mapper_from_released({name: value.half() for name, value in state.items()})
    assert torch.equal(torch.random.get_rng_state(), before)
    assert loaded.config == original.config
    assert not loaded.training
    assert not any(one.requires_grad for one in loaded.parameters())
    for name, value in original.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value.half().float())


def test_a_latent_mapper_fits_any_number_of_layers() -> None:
    config = LatentMapperConfig(num_ws=10, w_dim=8, groups=("coarse", "medium"))
    state = exported(LatentMapper(config))
    for num_ws in (6, 8, 18):
        loaded = latent_mapper_from_styleclip(state, num_ws)
        assert loaded.config.groups == ("coarse", "medium")
        assert loaded(torch.zeros(1, num_ws, 8)).shape == (1, num_ws, 8)
    # The state has a medium group, which four layers do not reach.
    with pytest.raises(CheckpointError, match=r"unknown mapper\.medium_mapping"):
        latent_mapper_from_styleclip(state, 4)
    with pytest.raises(InputError, match="num_ws is 0"):
        latent_mapper_from_styleclip(state, 0)


COARSE = "mapper.course_mapping.mapping.1.weight"
THIRD = "text_mapper.mapper_3.mapping."


@pytest.mark.parametrize(
    ("remove", "add", "message"),
    [
        (f"{THIRD}2.bias", {}, r"missing text_mapper\.mapper_3\.mapping\.2\.bias$"),
        ("mapper.fc.weight", {}, r"missing mapper\.fc\.weight"),
        (COARSE, {}, r"missing mapper\.course_mapping\.mapping\.1\.weight$"),
        ("", {"mapper.extra": torch.zeros(1)}, r"unknown mapper\.extra"),
        ("", {COARSE: torch.zeros(8, 9)}, r"course_mapping.* has shape \(8, 9\), expected \(8, 8"),
        ("", {"mapper.fc.bias": torch.full((8,), torch.inf)}, r"fc\.bias holds .* not finite"),
        ("", {"mapper.fc.weight": torch.zeros(8)}, r"fc\.weight has shape \(8,\), expected a mat"),
        (
            "",
            {"text_mapper.mapper_99.mapping.1.bias": torch.zeros(8)},
            "missing text_mapper.mapper_10",
        ),
    ],
)
def test_cfclip_states_are_read_strictly(remove: str, add: State, message: str) -> None:
    state = exported(tiny_text_mapper()) | add
    state.pop(remove, None)
    with pytest.raises(CheckpointError, match=message):
        text_mapper_from_released(state)


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (text_mapper_from_released, "CF-CLIP checkpoint is of another kind: missing mapper.fc"),
        (lambda state: latent_mapper_from_styleclip(state, 18), "StyleCLIP checkpoint is of an"),
    ],
)
def test_states_of_something_else_are_refused(
    read: Callable[[State], nn.Module], message: str
) -> None:
    for state in ({}, {"decoder.style.1.weight": torch.zeros(8, 8)}):
        with pytest.raises(CheckpointError, match=message):
            read(state)


def test_each_layout_refuses_the_other() -> None:
    state = exported(tiny_text_mapper())
    with pytest.raises(CheckpointError, match=r"unknown (mapper\.fc|text_mapper\.mapper_)"):
        latent_mapper_from_styleclip(state, 10)
    groups_only = {name: value for name, value in state.items() if "course" in name}
    with pytest.raises(CheckpointError, match=r"missing mapper\.fc\.weight"):
        text_mapper_from_released(groups_only)
    no_groups = {name: state[name] for name in state if not name.startswith("mapper.")}
    no_groups |= {name: state[name] for name in ("mapper.fc.weight", "mapper.fc.bias")}
    with pytest.raises(CheckpointError, match="not a usable text mapper: groups is"):
        text_mapper_from_released(no_groups)
