"""NVIDIA pickles: a file of the foreign layout opens, whatever else it carries does not run."""

import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from golden_cases import golden

from cfclip.errors import CheckpointError
from cfclip.generators.nvidia import from_nvidia
from cfclip.generators.nvidia_pickle import read_nvidia_pickle


class Persistent:
    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def __reduce__(self) -> tuple[Any, ...]:
        meta = {"class_name": "Generator", "module_src": "raise SystemExit", "state": self.state}
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (meta,)


def module(tensors: dict[str, torch.Tensor]) -> Persistent:
    groups: dict[str, dict[str, torch.Tensor]] = {}
    own: dict[str, torch.Tensor] = {}
    for name, value in tensors.items():
        head, _, rest = name.partition(".")
        if rest:
            groups.setdefault(head, {})[rest] = value
        else:
            own[head] = value
    children = OrderedDict((name, module(group)) for name, group in groups.items())
    return Persistent({"_parameters": own, "_buffers": {}, "_modules": children})


def test_golden_generator_from_a_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def _reconstruct_persistent_obj(meta: object) -> None:
        raise AssertionError("the file's own code ran")

    fake = types.ModuleType("torch_utils.persistence")
    _reconstruct_persistent_obj.__module__ = fake.__name__
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    fake._reconstruct_persistent_obj = _reconstruct_persistent_obj  # type: ignore[attr-defined]
    parameters, _, _ = golden("nvidia_generator_64")
    path = tmp_path / "any.name"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "torch_utils", types.ModuleType("torch_utils"))
        patch.setitem(sys.modules, "torch_utils.persistence", fake)
        path.write_bytes(pickle.dumps({"G_ema": module(parameters)}))
    loaded, expected = read_nvidia_pickle(path).state_dict(), from_nvidia(parameters).state_dict()
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)


def test_a_command_is_refused_by_name_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    path = tmp_path / "bad.pkl"
    path.write_bytes(b"cos\nsystem\n(Vtouch " + str(mark).encode() + b"\ntR.")
    with pytest.raises(CheckpointError, match=r"asks for 'os\.system', which is not on the list"):
        read_nvidia_pickle(path)
    assert not mark.exists()


@pytest.mark.parametrize("data", [b"", b"junk", b"\x80\x02N.", b"\x80\x02Nr\xff\xff\xff\x7f."])
def test_a_damaged_pickle_is_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.pkl"
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        read_nvidia_pickle(path)
    assert "\n" not in str(caught.value)


def test_a_tensorflow_pickle_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "old.pkl"
    path.write_bytes(b"cdnnlib.tflib.network\nNetwork\n.")
    with pytest.raises(CheckpointError, match="convert it to PyTorch"):
        read_nvidia_pickle(path)
