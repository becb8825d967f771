"""Generators on disk: round trips, and every way in which a file can be wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from cfclip.errors import CheckpointError, InputError
from cfclip.generators import StyleGAN2, load_generator_file, save_generator

MakeGenerator = Callable[..., StyleGAN2]


@pytest.fixture
def saved(tmp_path: Path, generator: StyleGAN2) -> Path:
    path = tmp_path / "generator.safetensors"
    save_generator(generator, path)
    return path


def rewrite(
    path: Path,
    tensors: Callable[[dict[str, Tensor]], None] = lambda tensors: None,
    header: Callable[[dict[str, str]], None] = lambda header: None,
) -> None:
    """Alter the tensors or the metadata of a safetensors file."""
    with safe_open(path, framework="pt") as handle:
        metadata = dict(handle.metadata())
        content = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    tensors(content)
    header(metadata)
    save_file(content, path, metadata=metadata)


def test_round_trip(saved: Path, generator: StyleGAN2, ws: Tensor) -> None:
    loaded = load_generator_file(saved)
    assert loaded.config == generator.config
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert torch.equal(loaded.synthesis(ws), generator.synthesis(ws))
    z = torch.randn(2, generator.z_dim)
    assert torch.equal(loaded.mapping(z, 0.5), generator.mapping(z, 0.5))


def test_half_precision_halves_the_file_and_loads_as_float32(
    tmp_path: Path, make_generator: MakeGenerator, ws: Tensor, saved: Path
) -> None:
    generator = make_generator()
    path = tmp_path / "half.safetensors"
    save_generator(generator, path, dtype=torch.float16)
    loaded = load_generator_file(path)
    assert all(value.dtype == torch.float32 for value in loaded.state_dict().values())
    expected = generator.synthesis(ws)
    assert (loaded.synthesis(ws) - expected).norm() < 0.01 * expected.norm()
    assert path.stat().st_size < 0.75 * saved.stat().st_size


def test_metadata_is_kept(tmp_path: Path, generator: StyleGAN2) -> None:
    path = tmp_path / "generator.safetensors"
    save_generator(generator, path, {"origin": "a test"})
    with safe_open(path, framework="pt") as handle:
        assert handle.metadata()["origin"] == "a test"
    with pytest.raises(InputError, match=r"reserved keys \['config'\]"):
        save_generator(generator, path, {"config": "{}"})


def test_infinite_weight_is_not_written(tmp_path: Path, generator: StyleGAN2) -> None:
    with torch.no_grad():
        generator.convs[0].weight[0, 0, 0, 0] = 1e6  # type: ignore[index, operator, union-attr]
    path = tmp_path / "generator.safetensors"
    with pytest.raises(CheckpointError, match=r"convs\.0\.weight is not finite as torch\.float16"):
        save_generator(generator, path, dtype=torch.float16)
    assert list(tmp_path.iterdir()) == []


def test_unknown_missing_and_misshapen_tensors_are_named(saved: Path) -> None:
    def spoil(tensors: dict[str, Tensor]) -> None:
        tensors["extra.weight"] = torch.zeros(1)
        del tensors["to_rgbs.1.bias"]
        tensors["w_avg"] = torch.zeros(3)
        tensors["const"] = torch.full_like(tensors["const"], torch.nan)

    rewrite(saved, tensors=spoil)
    with pytest.raises(CheckpointError) as caught:
        load_generator_file(saved)
    message = str(caught.value)
    assert str(saved) in message
    assert "missing to_rgbs.1.bias" in message
    assert "unknown extra.weight" in message
    assert "w_avg has shape (3,), expected (12,)" in message
    assert "const holds values that are not finite" in message
    assert "\n" not in message


def test_a_long_list_of_problems_is_cut(saved: Path) -> None:
    rewrite(saved, tensors=lambda tensors: tensors.clear())
    with pytest.raises(CheckpointError, match=r"; and \d+ more$"):
        load_generator_file(saved)


def change_config(**changes: object) -> Callable[[dict[str, str]], None]:
    def change(header: dict[str, str]) -> None:
        header["config"] = json.dumps(json.loads(header["config"]) | changes)

    return change


def test_a_config_that_claims_much_asks_for_no_memory(saved: Path) -> None:
    rewrite(saved, header=change_config(channels=[16384] * 4, w_dim=16384))
    with pytest.raises(CheckpointError, match=r"w_avg has shape \(12,\), expected \(16384,\)"):
        load_generator_file(saved)


def test_loading_leaves_the_random_state_alone(saved: Path) -> None:
    before = torch.random.get_rng_state()
    load_generator_file(saved)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_tensors_that_hold_no_numbers_are_named(saved: Path) -> None:
    def spoil(tensors: dict[str, Tensor]) -> None:
        tensors["const"] = tensors["const"] * 1j
        tensors["w_avg"] = tensors["w_avg"].to(torch.float8_e4m3fn)
        tensors["a\nb"] = torch.zeros(1)

    rewrite(saved, tensors=spoil)
    with pytest.raises(
        CheckpointError, match=r"unknown 'a\\nb'.* w_avg holds torch.float8"
    ) as caught:
        load_generator_file(saved)
    assert "const holds torch.complex64" in str(caught.value)


def test_headers_that_claim_much(tmp_path: Path) -> None:
    path = tmp_path / "any.safetensors"
    path.write_bytes((1 << 40).to_bytes(8, "little") + b"{")
    with pytest.raises(CheckpointError, match="its header of 1099511627776 bytes is larger than"):
        load_generator_file(path)
    save_file({str(index): torch.zeros(1) for index in range(10_001)}, path)
    with pytest.raises(CheckpointError, match="has 10001 tensors, at most 10000 are read"):
        load_generator_file(path)


def test_a_changed_config_does_not_fit(saved: Path) -> None:
    rewrite(saved, header=change_config(channels=[8, 6, 6, 5]))
    with pytest.raises(CheckpointError, match=r"convs\.5\.weight has shape"):
        load_generator_file(saved)


@pytest.mark.parametrize(
    "change",
    [
        change_config(resolution=48),
        change_config(flavour="new"),
        change_config(channels=None),
        lambda header: header.update(config="{"),
        lambda header: header.pop("config"),
    ],
)
def test_an_unusable_config_is_named(saved: Path, change: Callable[[dict[str, str]], None]) -> None:
    rewrite(saved, header=change)
    with pytest.raises(CheckpointError, match="has no usable generator configuration"):
        load_generator_file(saved)


def test_another_format_is_refused(saved: Path) -> None:
    rewrite(saved, header=lambda header: header.update(format="something.v9"))
    with pytest.raises(CheckpointError, match=r"its format is 'something\.v9', expected"):
        load_generator_file(saved)


def test_files_that_are_not_safetensors(tmp_path: Path, saved: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no generator file at"):
        load_generator_file(tmp_path / "absent.safetensors")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "pickled.safetensors")
    (tmp_path / "empty.safetensors").touch()
    truncated = tmp_path / "truncated.safetensors"
    truncated.write_bytes(saved.read_bytes()[:-100])
    for name in ("pickled", "empty", "truncated"):
        with pytest.raises(CheckpointError, match="is not a readable safetensors file") as caught:
            load_generator_file(tmp_path / f"{name}.safetensors")
        assert "\n" not in str(caught.value)
