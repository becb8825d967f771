"""NVIDIA pickles: a file of the foreign layout opens, whatever else it carries does not run."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_files import nvidia_pickle, nvidia_state

from cfclip.errors import CheckpointError
from cfclip.generators import StyleGAN2
from cfclip.generators.layouts import from_nvidia
from cfclip.generators.nvidia_files import read_nvidia_pickle
from recipes.rehearsal.forms import tensorflow_pickle

State = dict[str, torch.Tensor]


@pytest.fixture
def state(generator: StyleGAN2) -> State:
    return nvidia_state(generator)


def refuse(path: Path, data: bytes, message: str) -> None:
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_nvidia_pickle(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_a_generator_is_read(tmp_path: Path, state: State, protocol: int) -> None:
    path = tmp_path / "any.name"
    # Arrays of protocol 5 have a form of their own, from after NVIDIA's files.
    others = {"array": np.arange(3)} if protocol < 5 else {}
    path.write_bytes(nvidia_pickle(state, protocol, **others))
    loaded, expected = read_nvidia_pickle(path).state_dict(), from_nvidia(state).state_dict()
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)


def test_what_the_networks_were_made_with_is_respected(tmp_path: Path, state: State) -> None:
    path = tmp_path / "network.pkl"
    usual = {"activation": "lrelu", "num_fp16_res": 4, "conv_clamp": 256, "architecture": "skip"}
    path.write_bytes(nvidia_pickle(state, synthesis=usual, mapping={"lr_multiplier": 0.5}))
    assert read_nvidia_pickle(path).config.mapping_lr_multiplier == 0.5
    for synthesis, message in (
        ({"activation": "relu"}, "activation 'relu', only 'lrelu' is supported"),
        ({"architecture": "resnet"}, "architecture 'resnet', only 'skip'"),
        ({"use_noise": False}, "use_noise False, only True"),
        ({"activation": ["lrelu"]}, "activation list, only 'lrelu'"),
    ):
        refuse(path, nvidia_pickle(state, synthesis=synthesis), message)
    refuse(path, nvidia_pickle(state, mapping={"activation": "linear"}), "activation 'linear'")
    refuse(path, nvidia_pickle(state, mapping={"lr_multiplier": "x"}), "lr_multiplier is no number")


def test_tensors_are_read_strictly(tmp_path: Path, state: State) -> None:
    path = tmp_path / "network.pkl"
    name = "synthesis.b8.conv1.bias"
    cut = {key: value for key, value in state.items() if key != name}
    refuse(path, nvidia_pickle(cut), f"missing {name}")
    refuse(path, nvidia_pickle(state | {"mapping.embed.weight": torch.ones(2)}), "mapping.embed")
    refuse(path, nvidia_pickle(state | {name: torch.ones(1)}), f"{name} has shape")
    refuse(path, nvidia_pickle(state | {name: state[name] * torch.nan}), f"{name} holds values")
    refuse(path, nvidia_pickle(state | {name: torch.ones(1).expand(9)}), "repeats its memory")
    refuse(path, nvidia_pickle({}), "has no state dict|missing")


def test_other_generators_are_told_what_to_do(tmp_path: Path, state: State) -> None:
    path = tmp_path / "network.pkl"
    refuse(path, tensorflow_pickle(), r"TensorFlow era; convert it with legacy\.py")
    third = nvidia_pickle({"synthesis.input.freqs": torch.ones(3, 2)})
    refuse(path, third, "is a StyleGAN3.*; give a StyleGAN2")
    refuse(path, pickle.dumps({"G": None}), "has no G_ema")
    refuse(path, pickle.dumps([1]), "has no G_ema")


class Command:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_commands_are_refused_by_name_and_not_run(
    tmp_path: Path, state: State, protocol: int
) -> None:
    mark = tmp_path / "ran"
    data = nvidia_pickle(state, max(protocol, 3), extra=Command(mark))
    refuse(tmp_path / "bad.pkl", data, r"asks for '(posix|nt)\.mkdir', which is not on the list")
    data = pickle.dumps({"G_ema": Command(mark)}, protocol)
    refuse(tmp_path / "bad.pkl", data, r"asks for '(posix|nt)\.mkdir', which is not on the list")
    assert not mark.exists()


@pytest.mark.parametrize("data", [b"", b"junk", b"\x80\x02N.", b"\x80\x02Nr\xff\xff\xff\x7f."])
def test_a_damaged_pickle_is_one_line(tmp_path: Path, data: bytes) -> None:
    refuse(tmp_path / "bad.pkl", data, r"nothing in it was run")


def test_a_file_that_goes_on_or_ends_early(tmp_path: Path, state: State) -> None:
    data = nvidia_pickle(state)
    refuse(tmp_path / "bad.pkl", data + b"N.", "goes on after its end")
    refuse(tmp_path / "bad.pkl", data[:-10], "ends early")
    with pytest.raises(CheckpointError, match="there is no generator file"):
        read_nvidia_pickle(tmp_path)
