"""Files of other programs: what is read, and that nothing in them runs."""

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch

from cfclip.errors import CheckpointError
from cfclip.torch_files import read_torch_file


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
    assert read["opts"] == content["opts"]


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


def test_namespaces_are_allowed_only_here(tmp_path: Path) -> None:
    path = tmp_path / "file.pt"
    torch.save({"opts": Namespace()}, path)
    read_torch_file(path)
    assert Namespace not in torch.serialization.get_safe_globals()


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
