from pathlib import Path

import pytest
import torch
from torch import nn

from cfclip.errors import CheckpointError, InputError
from cfclip.io import (
    ModelFormat,
    check_tensors,
    facts_metadata,
    load_tensors,
    read_facts,
    read_metadata,
    read_model,
    read_tensors,
    save_model,
    save_tensors,
)

FORMAT = ModelFormat("cfclip.tests.v1", "example")


def model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def test_a_model_file_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    original = model()
    save_model(original, {"sizes": [2, 3]}, FORMAT, path, {"licence": "CC0-1.0"})
    sizes, tensors = read_model(path, FORMAT, lambda config: tuple(config["sizes"]))
    assert sizes == (2, 3)
    other = model()
    nn.init.zeros_(other[0].weight)  # type: ignore[index]
    load_tensors(other, tensors, str(path))
    for name, value in original.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)
    assert read_tensors(path, "example")[1]["licence"] == "CC0-1.0"
    assert read_metadata(path, FORMAT) == {"licence": "CC0-1.0"}


def test_only_matrices_lose_precision_and_the_model_keeps_its_types(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(model(), {}, FORMAT, path, dtype=torch.float16)
    tensors, _ = read_tensors(path, "example")
    assert tensors["0.weight"].dtype == torch.float16
    assert tensors["0.bias"].dtype == tensors["1.running_var"].dtype == torch.float32
    assert tensors["1.num_batches_tracked"].dtype == torch.int64
    other = model()
    load_tensors(other, tensors, str(path))
    assert other.state_dict()["0.weight"].dtype == torch.float32


def test_nothing_is_loaded_when_something_does_not_fit() -> None:
    target = model()
    before = {name: value.clone() for name, value in target.state_dict().items()}
    tensors = {name: value + 1 for name, value in before.items()}
    del tensors["1.bias"]
    with pytest.raises(CheckpointError, match=r"here does not fit its configuration.* missing"):
        load_tensors(target, tensors, "here")
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


def test_problems_are_named_in_one_line() -> None:
    shapes = {"a": (2,), "b": (3,), "c": (1,)}
    tensors = {"b": torch.zeros(4), "c": torch.tensor([torch.inf]), "d": torch.zeros(1)}
    with pytest.raises(CheckpointError) as caught:
        check_tensors(shapes, tensors, "it")
    assert str(caught.value).endswith(
        ": missing a; unknown d; b has shape (4,), expected (3,); "
        "c holds values that are not finite"
    )
    check_tensors({}, {}, "nothing")


def test_reserved_metadata_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"reserved keys \['format'\]"):
        save_model(model(), {}, FORMAT, tmp_path / "x.safetensors", {"format": "mine"})
    assert list(tmp_path.iterdir()) == []


def test_facts_are_told_again(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    facts = {"pictures": 20, "loss": [0.5, None], "of": {"pack": "avatars"}}
    save_model(model(), {}, FORMAT, path, facts_metadata("fit", facts))
    assert read_facts(path, FORMAT, "fit") == facts
    with pytest.raises(CheckpointError, match="tells no usable facts about its example: 'other'"):
        read_facts(path, FORMAT, "other")
    for spoilt in ("no", "[1]", "3"):
        save_model(model(), {}, FORMAT, path, {"fit": spoilt})
        with pytest.raises(CheckpointError, match="tells no usable facts about its example"):
            read_facts(path, FORMAT, "fit")
    for value in (Path("x"), float("nan")):
        with pytest.raises(InputError, match="facts about a model cannot be written as JSON"):
            facts_metadata("fit", {"value": value})


def test_a_file_without_a_format_is_not_a_model(tmp_path: Path) -> None:
    path = tmp_path / "plain.safetensors"
    save_tensors({"a": torch.zeros(2)}, path, "example")
    with pytest.raises(CheckpointError, match=r"is not an example: its format is None, expected"):
        read_model(path, FORMAT, dict)
    with pytest.raises(CheckpointError, match=r"is not an example: its format is None, expected"):
        read_metadata(path, FORMAT)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        read_metadata(path, FORMAT)
    with pytest.raises(CheckpointError, match="there is no example file"):
        read_metadata(tmp_path / "absent", FORMAT)


def test_a_failed_save_keeps_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_tensors({"a": torch.zeros(2)}, path, "example")
    with pytest.raises(CheckpointError, match="example tensor b is not finite"):
        save_tensors({"a": torch.ones(2), "b": torch.tensor([torch.nan])}, path, "example")
    assert torch.equal(read_tensors(path, "example")[0]["a"], torch.zeros(2))
