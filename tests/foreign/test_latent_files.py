"""Files of latents: every form and shape that other programs write, and what is none."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cfclip.editing import CodeReader, name_of_code
from cfclip.errors import InputError
from cfclip.foreign import read_latents_file
from cfclip.io import split_latents_spec

NUM_WS, W_DIM = 6, 16
CODES = torch.randn(3, NUM_WS, W_DIM, generator=torch.Generator().manual_seed(0))
FLAT = CODES[:, :1]


def read(path: Path) -> Any:
    return read_latents_file(path, NUM_WS, W_DIM)


def write(path: Path, codes: torch.Tensor) -> Path:
    """One array in the form that the suffix names."""
    if path.suffix == ".npy":
        np.save(path, codes.numpy())
    elif path.suffix == ".npz":
        np.savez(path, w=codes.numpy())
    elif path.suffix == ".safetensors":
        save_file({"latents": codes.contiguous()}, path)
    else:
        learnt = codes.clone().requires_grad_(codes.is_floating_point())
        torch.save(learnt, path, _use_new_zipfile_serialization=path.suffix == ".pt")
    return path


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".npy", ".npz", ".safetensors"])
@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (CODES, CODES),
        (CODES[:1], CODES[:1]),
        (CODES[0], CODES[:1]),
        (FLAT, FLAT),
        (FLAT[:, 0], FLAT),
        (FLAT[:1, 0], FLAT[:1]),
        (FLAT[0, 0], FLAT[:1]),
        (CODES.double(), CODES),
        (CODES.half(), CODES.half().float()),
    ],
)
def test_every_form_and_shape(
    tmp_path: Path, suffix: str, codes: torch.Tensor, expected: torch.Tensor
) -> None:
    found = read(write(tmp_path / f"a{suffix}", codes))
    assert found.codes.dtype == torch.float32
    assert not found.codes.requires_grad
    assert torch.equal(found.codes, expected)
    assert found.names == tuple(str(n) for n in range(len(expected)))
    # What may be N codes of W as well is told.
    assert bool(found.warnings) == (codes.shape == (NUM_WS, W_DIM))


def test_what_a_file_is_follows_from_its_content(tmp_path: Path) -> None:
    for suffix in (".pt", ".npy", ".npz", ".safetensors"):
        path = write(tmp_path / f"a{suffix}", CODES)
        assert torch.equal(read(path.rename(tmp_path / "other.npy")).codes, CODES)


def test_several_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    for content in (
        {"x.jpg": CODES[:1], "y": CODES[1], "z": CODES[2:]},
        {"x.jpg": CODES[:1].numpy(), "y": CODES[1].numpy(), "z": CODES[2:].numpy()},
        {name: {"latent": CODES[n], "noise": [FLAT]} for n, name in enumerate(("x.jpg", "y", "z"))},
    ):
        torch.save(content, path)
        found = read(path)
        assert found.names == ("x.jpg", "y", "z")
        assert torch.equal(found.codes, CODES)
        assert found.warnings == ()
    np.savez_compressed(tmp_path / "a.npz", y=CODES[0].numpy(), many=CODES.numpy())
    assert read(tmp_path / "a.npz").names == ("y", "many-0", "many-1", "many-2")
    torch.save([CODES[0], FLAT[1, 0]], path)
    found = read(path)
    assert torch.equal(found.codes, torch.stack([CODES[0], FLAT[1].expand(NUM_WS, -1)]))
    torch.save({"a": CODES[:2], "a-0": CODES[0]}, path)  # names that would be alike
    assert read(path).names == ("0", "1", "2")


def test_arrays_are_views_of_their_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npy", CODES)
    before = path.read_bytes()
    read(path).codes.zero_()
    assert path.read_bytes() == before
    np.save(path, np.asfortranarray(CODES.numpy()))
    assert torch.equal(read(path).codes, CODES)
    np.save(path, CODES.numpy().astype(">f8"))
    assert torch.equal(read(path).codes, CODES)


def refuse(path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("suffix", [".pt", ".npy", ".npz", ".safetensors"])
def test_latents_that_are_none(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    for codes, message in (
        (CODES[:, :5], r"shape \(3, 5, 16\), expected \(N, 6, 16\), \(N, 16\).*another generator"),
        (CODES[..., :7], r"shape \(3, 6, 7\)"),
        (torch.zeros(17), r"shape \(17,\)"),
        (torch.zeros(()), r"shape \(\)"),
        (torch.zeros(0, 16), r"shape \(0, 16\)|is empty"),
        (torch.zeros(1, 2, 6, 16), r"shape \(1, 2, 6, 16\)"),
        (torch.full((2, 16), torch.nan), "not finite"),
        (torch.full((2, 16), 1e300, dtype=torch.float64), "not finite"),
        (torch.zeros(2, 16, dtype=torch.int64), "holds torch.int64"),
    ):
        refuse(write(path, codes), message)
    for data in (b"", b"hello", b"12345678{", b"PK\x03\x04 cut", b"\x93NUMPY\x01"):
        path.write_bytes(data)
        refuse(path, "holds no latents|not a readable|not a checkpoint")


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("executed",))


def test_nothing_is_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.array([Evil()], dtype=object), allow_pickle=True)
    refuse(path, "numbers of type object")
    np.savez(tmp_path / "a.npz", w=np.array([Evil()], dtype=object), allow_pickle=True)
    refuse(tmp_path / "a.npz", "numbers of type object")
    torch.save({"a": Evil()}, tmp_path / "a.pt")
    refuse(tmp_path / "a.pt", "nothing in it was run")
    np.save(path, np.zeros(2, dtype=[("a", "f4"), ("b", "f4")]))
    refuse(path, "numbers of type")
    assert capsys.readouterr().out == ""


def npy(shape: tuple[int, ...], data: bytes = b"", kind: str = "<f4") -> bytes:
    stream = io.BytesIO()
    header = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_2_0(stream, header)
    return stream.getvalue() + data


def test_sizes_that_are_claimed(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(npy((1 << 40, 16)))
    refuse(path, "which its 0 bytes do not hold")
    path.write_bytes(npy((-1, 16), bytes(64)))
    refuse(path, "which its 64 bytes do not hold")
    path.write_bytes(npy((1 << 62, 1 << 62, 16)))
    refuse(path, "do not hold")
    path.write_bytes(b"\x93NUMPY\x02\x00" + (1 << 31).to_bytes(4, "little") + b"{" * 30_000)
    refuse(path, "holds no latents")
    deep = b"{" + b"(" * 9_000
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(deep).to_bytes(2, "little") + deep)
    refuse(path, "holds no latents")
    bomb = tmp_path / "a.npz"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.npy", npy((300 << 14, 16), bytes(300 << 20)))
    refuse(bomb, r"unpacks to more than 256 MiB.*\(numpy.savez\)")
    torch.save({"a": torch.zeros(1, 1).expand(1 << 40, 16)}, tmp_path / "a.pt")
    refuse(tmp_path / "a.pt", "repeats its memory")
    torch.save({"a": {"step": 3}}, tmp_path / "a.pt")
    refuse(tmp_path / "a.pt", "its a is a dict, expected arrays of latents; save those alone")


def test_some_of_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pt", CODES)
    reader = CodeReader(NUM_WS, W_DIM)
    assert split_latents_spec("in/a.PT:0-3") == (Path("in/a.PT"), "0-3")
    assert split_latents_spec("a.png") is None
    for which, indices in (("", [0, 1, 2]), (":1", [1]), (":0-1", [0, 1]), (":2-2", [2])):
        codes = reader.codes(f"{path}{which}")
        assert [code.index for code in codes] == indices
    assert [code.name for code in codes] == ["a-2"]
    assert codes[0].spec == f"{path}:2"
    torch.save({"1": CODES[0], "0": CODES[1], "b/c": CODES[2]}, path)
    assert [reader.one(f"{path}:{name}").index for name in ("1", "0", "b/c")] == [0, 1, 2]
    assert name_of_code("in/.a.pt:b/c") == name_of_code("a.pt:b/c")
    assert "/" not in str(name_of_code("a.pt:b/c"))
    for which in ("3", "1-9", "2-1", "x", "-1", "9" * 400):
        with pytest.raises(InputError, match="has no latents") as caught:
            reader.codes(f"{path}:{which}")
        assert len(str(caught.value)) < 500
    with pytest.raises(InputError, match="holds 3 codes; give them one at a time"):
        reader.one(path)
    with pytest.raises(InputError, match="there is no latents file"):
        reader.codes(tmp_path / "none.pt")
