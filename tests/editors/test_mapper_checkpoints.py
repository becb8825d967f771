"""Mappers from checkpoints on disk, in the layout of CF-CLIP and StyleCLIP."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden_cases import RELATIVE_TOLERANCE, golden, relative_error
from torch import Tensor

from cfclip.editors import LatentMapper, TextMapper, save_text_mapper
from cfclip.editors.mapper_checkpoints import load_mapper, load_released_mapper
from cfclip.editors.mapper_config import LatentMapperConfig, TextMapperConfig
from cfclip.editors.mapper_layouts import _released_name
from cfclip.errors import CheckpointError

OPTIONS = {"description": "green lipstick", "stylegan_size": 1024, "mapper_type": "LevelsMapper"}


def write(path: Path, state: dict[str, Tensor], opts: Any = OPTIONS) -> Path:
    """A checkpoint as a training of CF-CLIP or StyleCLIP writes it."""
    state = {**state, "decoder.style.1.weight": torch.zeros(2, 2)}
    torch.save({"state_dict": state, **({} if opts is None else {"opts": opts})}, path)
    return path


def tiny_state() -> dict[str, Tensor]:
    mapper = LatentMapper(LatentMapperConfig(num_ws=10, w_dim=8, mapping_layers=2))
    return {_released_name(name): value for name, value in mapper.state_dict().items()}


@pytest.mark.parametrize("case", ["cfclip_mapper", "cfclip_mapper_16_no_fine"])
def test_cfclip_golden(case: str, tmp_path: Path) -> None:
    parameters, arrays, _ = golden(case)
    mapper = load_mapper(write(tmp_path / "any.bin", parameters))
    assert isinstance(mapper, TextMapper)
    ws, text = torch.from_numpy(arrays["w_plus"]), torch.from_numpy(arrays["text_feature"])
    assert relative_error(mapper(ws, text), arrays["delta"]) < RELATIVE_TOLERANCE
    assert relative_error(mapper.offset(ws, text), 0.1 * arrays["delta"]) < RELATIVE_TOLERANCE


def test_styleclip_golden(tmp_path: Path) -> None:
    parameters, arrays, _ = golden("styleclip_mapper")
    mapper = load_mapper(write(tmp_path / "any.bin", parameters))
    assert isinstance(mapper, LatentMapper)
    ws = torch.from_numpy(arrays["w_plus"])
    assert relative_error(mapper(ws), arrays["delta"]) < RELATIVE_TOLERANCE
    assert relative_error(mapper.edit(ws), arrays["w_plus_edited"]) < RELATIVE_TOLERANCE


def test_a_file_of_this_project(tmp_path: Path) -> None:
    mapper = TextMapper(TextMapperConfig(num_ws=6, w_dim=8, text_dim=4))
    save_text_mapper(mapper, tmp_path / "any.bin")
    loaded = load_mapper(tmp_path / "any.bin")
    assert isinstance(loaded, TextMapper)
    assert loaded.config == mapper.config


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("key", ["state_dict", "model", None])
def test_state_dicts_are_found_wherever_they_are(
    tmp_path: Path, prefix: str, key: str | None
) -> None:
    path, state = tmp_path / "mapper.pt", tiny_state()
    tensors = {f"{prefix}{name}": value for name, value in state.items()}
    options = Namespace(**{**OPTIONS, "stylegan_size": np.int64(64)}, exp_dir=Path("/styleclip"))
    torch.save({key: tensors, "opts": options} if key else tensors, path)
    found = load_mapper(path, num_ws=None if key else 10)
    assert found.config.num_ws == 10
    for name, value in found.state_dict().items():
        assert torch.equal(value, state[_released_name(name)])


def test_options_tell_the_text_and_the_layers(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    for opts in (OPTIONS, Namespace(**OPTIONS)):
        found = load_released_mapper(write(path, tiny_state(), opts))
        assert found.description == "green lipstick"
        assert found.mapper.config.num_ws == 18
        assert load_mapper(path, num_ws=10).config.num_ws == 10
    write(path, tiny_state(), None)
    assert load_released_mapper(path, num_ws=10).description is None
    with pytest.raises(CheckpointError, match=r"stylegan_size None, .*\(num_ws\)"):
        load_mapper(path)
    with pytest.raises(CheckpointError, match="opts is not a dictionary"):
        load_mapper(write(path, tiny_state(), 3))


BIAS = "mapper.fine_mapping.mapping.2.bias"


@pytest.mark.parametrize(
    ("remove", "add", "message"),
    [
        (BIAS, {}, f"missing {BIAS}"),
        ("", {"mapper.extra": torch.zeros(1)}, r"unknown mapper\.extra"),
        ("", {BIAS: torch.zeros(9)}, rf"{BIAS} has shape \(9,\), expected \(8,\)"),
        ("", {BIAS: torch.full((8,), torch.nan)}, f"{BIAS} holds values that are not finite"),
        ("", {BIAS: "text"}, f"'{BIAS}' is a str, expected a tensor"),
        ("", {"text_mapper.mapper_0.mapping.1.bias": torch.zeros(8)}, r"missing mapper\.fc"),
    ],
)
def test_tensors_are_read_strictly(
    tmp_path: Path, remove: str, add: dict[str, Any], message: str
) -> None:
    state = tiny_state() | add
    state.pop(remove, None)
    path = write(tmp_path / "checkpoint.pt", state)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_mapper(path)
    assert str(path) in str(caught.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(CheckpointError, match="there is no mapper file"):
        load_mapper(path)
    torch.save({"g_ema": {}}, path)
    with pytest.raises(CheckpointError, match="has no state dict"):
        load_mapper(path)
