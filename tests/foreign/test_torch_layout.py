"""Files of `torch.save`: what they hold, and that those which claim what is not so are refused."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cfclip.errors import CheckpointError
from cfclip.foreign import Budget, read_torch_data, read_torch_object

CONTENT = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(5, dtype=torch.int64)}


def read(data: bytes) -> Any:
    return read_torch_data(memoryview(data), Budget())


def assert_same(found: Any, expected: Any) -> None:
    """Values as they were saved; tensors without gradients, options as plain data."""
    if isinstance(expected, torch.Tensor):
        assert found.dtype == expected.dtype
        assert found.device == torch.device("cpu")
        assert not found.requires_grad
        assert torch.equal(found, expected)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for name, value in expected.items():
            assert_same(found[name], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, torch.dtype | torch.device):
        assert found == str(expected).removeprefix("torch.")
    else:
        assert found == expected


def saved(content: Any = CONTENT, legacy: bool = False) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def rewritten(change: Callable[[dict[str, bytes]], None], **options: Any) -> bytes:
    """A saved archive with other entries."""
    with zipfile.ZipFile(io.BytesIO(saved())) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name, value in entries.items():
            archive.writestr(name, value)
    return buffer.getvalue()


def replaced(name: str, value: bytes) -> bytes:
    return rewritten(lambda entries: entries.update({f"archive/{name}": value}))


def refuse(data: bytes, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        read(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "content",
    [
        CONTENT,
        torch.ones(3),
        torch.nn.Linear(2, 3).state_dict(),  # has attributes of its own
        torch.nn.Parameter(torch.ones(2)),
        OrderedDict(x=[torch.ones(2, dtype=dtype) for dtype in (torch.float16, torch.bfloat16)]),
        {"view": CONTENT["a"].mT, "part": CONTENT["a"][1], "spread": torch.ones(1).expand(4)},
        {"empty": torch.zeros(0, 3), "scalar": torch.tensor(2.0), "bools": torch.tensor([True])},
        {"opts": {"size": torch.Size([1]), "device": torch.device("cpu"), "kind": torch.float32}},
        {1: {2, 3}, "none": None, "text": "é", "big": 1 << 70},
        {"gpu": torch.device("cuda", 1), "complex": torch.ones(2, dtype=torch.complex64)},
    ],
)
def test_what_torch_saves_is_read(tmp_path: Path, content: Any, legacy: bool) -> None:
    path = tmp_path / "any"
    path.write_bytes(saved(content, legacy))
    assert_same(read_torch_object(path), content)
    assert_same(read(path.read_bytes()), content)


class OldParameter:
    """Pickled as parameters were before PyTorch 0.4."""

    def __init__(self, *state: Any) -> None:
        self.state = state

    def __reduce__(self) -> Any:
        return torch.nn.Parameter, (torch.ones(2),), self.state


def test_old_parameters_are_read(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    path.write_bytes(saved({"a": OldParameter(False, False, OrderedDict())}, legacy=True))
    assert torch.equal(read_torch_object(path)["a"], torch.ones(2))
    refuse(saved({"a": OldParameter(False, False, OrderedDict(x=1))}), "with hooks")
    refuse(saved({"a": OldParameter(torch.ones(9), 0, (9,), (1,))}), "of an unknown form")


def test_archives_of_others_are_read() -> None:
    assert_same(read(rewritten(lambda entries: None)), CONTENT)


def test_archives_that_lie() -> None:
    refuse(replaced("byteorder", b"big"), "byte order is b'big'")
    refuse(replaced("byteorder", b"middle\n"), "byte order is b'middle")
    refuse(replaced("data/0", bytes(23)), "storage '0' is not in it, or of another size")
    refuse(replaced("constants.pkl", b"N."), "TorchScript program")
    refuse(rewritten(lambda entries: entries.pop("archive/data/1")), "storage '1' is not in it")
    refuse(rewritten(lambda entries: entries.pop("archive/data.pkl")), r"without data\.pkl")
    refuse(rewritten(lambda entries: entries.clear()), "does not begin as a file of PyTorch")
    refuse(replaced("DATA.PKL", b"N."), "two entries of one name")
    refuse(rewritten(lambda entries: None, compression=zipfile.ZIP_DEFLATED), "compressed entries")
    refuse(saved() + b"x", "was cut, or added to")
    refuse(saved()[:-1], "was cut, or added to")
    many = rewritten(lambda entries: entries.update({f"x{n}": b"" for n in range(10_101)}))
    refuse(many, r"has 101\d\d entries, at most 10100")


def test_a_directory_that_lies() -> None:
    with zipfile.ZipFile(io.BytesIO(rewritten(lambda entries: None))) as archive:
        directory = archive.start_dir
    data = bytearray(rewritten(lambda entries: None))
    struct.pack_into("<2I", data, directory + 20, 1 << 30, 1 << 30)
    refuse(bytes(data), "lies outside of it")
    struct.pack_into("<I", data, directory + 42, 0xFFFFFF00)
    refuse(bytes(data), "lies outside of it")
    struct.pack_into("<H", data, directory + 28, 0xFFFF)
    refuse(bytes(data), "directory is damaged")
    struct.pack_into("<I", data, len(data) - 6, directory - 1)
    refuse(bytes(data), "directory is not where it should be")


def tensor_pickle(offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """A `data.pkl` with one tensor in storage 0, which has 6 values."""

    class Storages(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            if isinstance(value, torch.UntypedStorage):
                return "storage", torch.FloatStorage, "0", "cpu", 6
            return None

    class Tensor:
        def __reduce__(self) -> Any:
            arguments = torch.UntypedStorage(24), offset, size, stride, False, OrderedDict()
            return torch._utils._rebuild_tensor_v2, arguments

    buffer = io.BytesIO()
    Storages(buffer, 2).dump({"a": Tensor()})
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("offset", "size", "stride", "message"),
    [
        (0, (7,), (1,), "larger than its values"),
        (1, (2, 3), (3, 1), "larger than its values"),
        (0, (1 << 62, 1 << 62), (1, 1), "larger than its values"),
        (0, (1 << 62, 0), (1, 1), "larger than its values"),
        (-1, (2,), (1,), "no numbers from 0 on"),
        (0, (2,), (-1,), "no numbers from 0 on"),
        (0, (2, 2), (1,), "of 2 axes"),
        (0, (1,) * 9, (1,) * 9, "of 9 axes, at most 8"),
    ],
)
def test_tensors_that_do_not_fit(
    offset: int, size: tuple[int, ...], stride: tuple[int, ...], message: str
) -> None:
    read(replaced("data.pkl", tensor_pickle(0, (2, 3), (3, 1))))
    refuse(replaced("data.pkl", tensor_pickle(offset, size, stride)), message)


def test_too_many_tensors() -> None:
    one = torch.ones(1)
    refuse(saved([one[:] for _ in range(10_001)]), "more than 10000 tensors")


def test_older_files_that_lie() -> None:
    data = saved(legacy=True)
    refuse(data[:-1], "ends early")
    refuse(data + b"x", "goes on after its end")
    mark = data.index(b"little_endian") + len(b"little_endianq\x00")
    refuse(data[:mark] + b"\x89" + data[mark + 1 :], "byte order")
    refuse(data.replace(b"M\xe9\x03", b"M\xea\x03", 1), "another version")
    # A storage that the list of those that follow does not name: PyTorch would leave it as it is.
    keys = data.rindex(b"\x80\x02]")
    refuse(data[:keys] + b"\x80\x02].", "does not hold the values of all")
    values = data.index(b".", keys) + 1
    refuse(data[:values] + struct.pack("<q", 7) + data[values + 8 :], "more or fewer values")
    tar = bytearray(1024)
    tar[257:262] = b"ustar"
    refuse(bytes(tar), "a tar of PyTorch before")


@pytest.mark.parametrize("legacy", [False, True])
def test_calls_of_torch_that_would_allocate_are_refused(legacy: bool) -> None:
    class Large:
        def __reduce__(self) -> Any:
            return bytearray, (1 << 40,)

    refuse(saved({"a": Large()}, legacy), r"'__builtin__\.bytearray', which is not on the list")
