"""Files of other programs: what is read, and that nothing in them runs."""

import codecs
import os
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import pytest
import torch
from numpy._core.multiarray import _reconstruct

from cfclip.errors import CheckpointError
from cfclip.foreign import read_torch_file


class Harmful:
    """Would make a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_both_forms_are_read(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "file.any"
    content = {"state_dict": {"a": torch.arange(3.0)}, "opts": Namespace(size=256, name="x")}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    read = read_torch_file(path)
    assert torch.equal(read["state_dict"]["a"], torch.arange(3.0))
    assert read["opts"] == {"size": 256, "name": "x"}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("inside", [False, True])
def test_nothing_is_run(tmp_path: Path, zipped: bool, inside: bool) -> None:
    path, effect = tmp_path / "file.pt", tmp_path / "effect"
    harmful: Any = Harmful(effect)
    content = {"opts": Namespace(value=harmful) if inside else harmful}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"nothing in it was run") as caught:
        read_torch_file(path)
    assert "\n" not in str(caught.value)
    assert not effect.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_options_are_read_as_data(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "file.pt"
    array = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    options = Namespace(
        checkpoint=Path("/home/someone/model.pt"),
        windows=PureWindowsPath("C:/models"),
        nested=Namespace(rate=np.float64(0.5), steps=np.int64(7), quick=np.bool_(True)),
        name=np.str_("é"),
        kind=np.float32,
        array=array,
        columns=np.asfortranarray(array),
        empty=np.zeros(0),
        order=OrderedDict(a=1),
        size=torch.Size([2]),
        device=torch.device("cuda:0"),
        data=b"\xff\0",
        nothing=b"",
    )
    torch.save({"opts": options}, path, _use_new_zipfile_serialization=zipped)
    read = read_torch_file(path)["opts"]
    for name in ("array", "columns"):
        assert np.array_equal(read.pop(name).values, array)
    assert read.pop("empty").values.shape == (0,)
    assert read == {
        "checkpoint": "/home/someone/model.pt",
        "windows": "C:\\models",
        "nested": {"rate": 0.5, "steps": 7, "quick": True},
        "name": "é",
        "kind": "float32",
        "order": {"a": 1},
        "size": (2,),
        "device": "cuda:0",
        "data": b"\xff\0",
        "nothing": b"",
    }


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ((codecs.encode, "print(1)", "rot13"), "encodes something else than bytes"),
        ((_reconstruct, np.ndarray, (1 << 40,), b"b"), "not all there"),
        ((np.dtype, "O"), "of a type that no model has"),
        ((np.dtype, "U9999999999999"), None),
        ((PurePosixPath, 3), "has a path that is none"),
    ],
)
def test_options_that_are_none(tmp_path: Path, call: Any, message: str | None) -> None:
    class Called:
        def __reduce__(self) -> Any:
            state = (1, (1 << 40,), np.dtype("f4"), False, b"1234")
            return call[0], call[1:], *([state] if call[0] is _reconstruct else [])

    path = tmp_path / "file.pt"
    torch.save({"opts": Called()}, path)
    if message is None:
        assert isinstance(read_torch_file(path), dict)
        return
    with pytest.raises(CheckpointError, match=message):
        read_torch_file(path)


def test_a_view_of_a_file_does_not_write_to_it(tmp_path: Path) -> None:
    path = tmp_path / "file.pt"
    torch.save({"a": torch.zeros(4)}, path)
    before = path.read_bytes()
    read_torch_file(path)["a"].add_(1)
    assert path.read_bytes() == before


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        read_torch_file(tmp_path)
    path = tmp_path / "file.pt"
    for content in (b"", b"not a checkpoint", b"PK\x03\x04 cut"):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="not a checkpoint of tensors"):
            read_torch_file(path)
    torch.save([1], path)
    with pytest.raises(CheckpointError, match="holds a list, expected a mapping"):
        read_torch_file(path)
    torch.save({3: 1}, path)
    with pytest.raises(CheckpointError, match="expected a mapping of names"):
        read_torch_file(path)
