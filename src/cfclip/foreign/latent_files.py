"""Files of latents, as other programs write them: read as data, held to a generator's sizes.

A file holds one array of codes or several by their names, in PyTorch's form, NumPy's (`.npy` and
`.npz`) or safetensors; which one follows from its content. Nothing in it is executed, nothing is
unpacked beyond a limit, and an array is a view of the file where that can be.
"""

import io
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from cfclip.errors import CheckpointError, InputError, reason_of, shown_name
from cfclip.foreign.pickle_names import Array
from cfclip.foreign.state_dicts import state_dict_of
from cfclip.foreign.torch_files import map_file, read_torch_object
from cfclip.foreign.torch_layout import LEGACY_START
from cfclip.foreign.zip_index import ZIP_START, zip_entries
from cfclip.io import LATENT_SUFFIXES, is_model_file, read_tensors, sha256_of

_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")
_CODE_KEYS = ("latent", "latents", "w", "ws", "w_plus", "code", "codes")
"""Under which projectors keep the code of a picture, beside noise and the like."""
_NPY_START = b"\x93NUMPY"
_LONGEST_HEADER = 10_000
_LONGEST_TYPE = 100
_MOST_UNPACKED = 256 << 20
"""Bytes of a compressed array: a file of some kilobytes can unpack to gigabytes."""
_SHOWN = 6


@dataclass(frozen=True)
class LatentsFile:
    """The codes in a file."""

    path: Path
    codes: Tensor
    """`(N, num_ws, w_dim)` float32 on the CPU, or `(N, 1, w_dim)` where all are codes of W."""
    names: tuple[str, ...]
    """One of each: that in the file, or its number."""
    warnings: tuple[str, ...] = ()
    """How a shape was read that may mean two things."""

    @cached_property
    def sha256(self) -> str:
        """Of the file."""
        return sha256_of(self.path)

    def indices(self, which: str | None) -> range:
        """The codes that a selection means: all, one by its name or number, or FIRST-LAST.

        Raises `InputError` for one that the file does not have.
        """
        if which is None:
            return range(len(self.codes))
        if which in self.names:
            index = self.names.index(which)
            return range(index, index + 1)
        match = _RANGE.fullmatch(which)
        first = int(match[1]) if match else 0
        last = int(match[2] or match[1]) if match else -1
        if not 0 <= first <= last < len(self.codes):
            named = [] if self.names[0] == "0" else [shown_name(n) for n in self.names[:_SHOWN]]
            raise InputError(
                f"{self.path} has no latents {shown_name(which)!r}, but "
                f"{', '.join([f'0 to {len(self.codes) - 1}', *named])}; give FILE:NUMBER, "
                "FILE:FIRST-LAST or FILE:NAME"
            )
        return range(first, last + 1)


def read_latents_file(path: str | Path, num_ws: int, w_dim: int) -> LatentsFile:
    """The codes in a file, of a generator with these sizes.

    An array is `(N, num_ws, w_dim)`, `(N, 1, w_dim)`, `(N, w_dim)`, or one code `(num_ws, w_dim)`
    or `(w_dim,)`. As many codes of W as the generator has layers are read as one of W+, and the
    warnings tell.

    Raises `InputError` when the file is missing, damaged or holds anything else; it tells the
    shapes.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no latents file {path}")
    try:
        arrays = list(_arrays(path))
    except MemoryError:
        raise
    except Exception as error:  # damaged files fail in any way
        reason = reason_of(error)
        raise InputError(
            reason if str(path) in reason else f"{path} holds no latents: {reason}"
        ) from error
    codes: list[Tensor] = []
    names: list[str] = []
    warnings: list[str] = []
    for name, array in arrays:
        found = _codes(path, name, array, num_ws, w_dim)
        # One of several by their names is of one picture.
        if len(arrays) == 1 and array.ndim == 2 and len(array) == num_ws > 1:
            warnings.append(
                f"{path}: {num_ws} rows are read as one code of W+; if they are {num_ws} codes of "
                f"W, save them as ({num_ws}, 1, {w_dim})"
            )
        codes.append(found)
        numbers = [str(number) for number in range(len(found))]
        named = [name] if len(found) == 1 else [f"{name}-{number}" for number in numbers]
        names += named if len(arrays) > 1 else numbers
    if len(set(names)) < len(names):
        names = [str(number) for number in range(len(names))]
    if not codes:
        raise InputError(f"{path} holds no latents: it is empty; save some in it")
    if len({each.shape[1] for each in codes}) > 1:
        codes = [each.expand(-1, num_ws, -1) for each in codes]
    joined = codes[0] if len(codes) == 1 else torch.cat(codes)
    return LatentsFile(path, joined, tuple(names), tuple(warnings[:1]))


def _codes(path: Path, name: str, array: Tensor, num_ws: int, w_dim: int) -> Tensor:
    """An array as `(N, num_ws or 1, w_dim)`."""
    where = f"{path} ({shown_name(name)})" if name else str(path)
    shape = tuple(array.shape)
    rows = {(w_dim,): 1, (num_ws, w_dim): num_ws}.get(shape) or (shape[1] if len(shape) == 3 else 1)
    fits = 1 <= len(shape) <= 3 and array.numel() and shape[-1] == w_dim and rows in (1, num_ws)
    if not fits:
        raise InputError(
            f"{where} holds an array of shape {shape}, expected (N, {num_ws}, {w_dim}), "
            f"(N, {w_dim}), (N, 1, {w_dim}), ({num_ws}, {w_dim}) or ({w_dim},); latents of another "
            "generator cannot be used"
        )
    if not array.is_floating_point():
        raise InputError(f"{where} holds {array.dtype}, expected floating point numbers")
    codes = array.float().reshape(-1, rows, w_dim)
    if not bool(torch.isfinite(codes).all()):
        raise InputError(f"{where} holds values that are not finite, which no latents have")
    return codes


def _arrays(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Every array in a file with its name, which is empty where there is but one without."""
    with path.open("rb") as file:
        start = file.read(len(LEGACY_START))
    if is_model_file(path):
        yield from read_tensors(path, "latents")[0].items()
        return
    if start.startswith(_NPY_START):
        yield "", _npy(map_file(path, private=True))
        return
    if start.startswith(ZIP_START):
        data = map_file(path, private=True)
        entries = [entry for entry in zip_entries(data) if entry.name.endswith(".npy")]
        for entry in entries:
            part = data[entry.start : entry.end]
            name = entry.name.removesuffix(".npy")
            yield name, _npy(_unpacked(part, name) if entry.compressed else part)
        if entries:
            return
    elif start != LEGACY_START:
        forms = ", ".join(LATENT_SUFFIXES)
        raise CheckpointError(f"it is of none of the forms {forms}; save it anew")
    yield from _named(read_torch_object(path))


def _named(content: Any) -> Iterator[tuple[str, Tensor]]:
    """The arrays in what `torch.save` wrote: one, a list, or a dictionary by names."""
    if isinstance(content, Mapping):
        for name, value in content.items():
            if isinstance(value, Mapping):
                key = next((each for each in _CODE_KEYS if each in value), None)
                value = value if key is None else value[key]
            yield str(name), _tensor(str(name), value)
    elif isinstance(content, list | tuple):
        for index, value in enumerate(content):
            yield str(index), _tensor(str(index), value)
    else:
        yield "", _tensor("", content)


def _tensor(name: str, value: Any) -> Tensor:
    if isinstance(value, Array) and value.values is not None:
        value = _of_numpy(value.values)
    if not isinstance(value, Tensor):
        raise CheckpointError(
            f"its {shown_name(name) or 'content'} is a {type(value).__name__}, expected arrays of "
            "latents; save those alone"
        )
    return state_dict_of({"latents": value}, "it")["latents"]


def _npy(data: memoryview) -> Tensor:
    """The array in the bytes of a `.npy` file, as a view of them."""
    stream = io.BytesIO(bytes(data[: 2 * _LONGEST_HEADER]))
    version = npy.read_magic(stream)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise CheckpointError(f"it is of version {version} of NumPy's form, expected 1 or 2")
    shape, by_columns, dtype = read(stream, max_header_size=_LONGEST_HEADER)
    if dtype.kind not in "fiu":
        raise CheckpointError(
            f"it holds numbers of type {str(dtype)[:_LONGEST_TYPE]}, expected floating point"
        )
    values = data[stream.tell() :]
    if not all(side >= 0 for side in shape) or prod(shape) * dtype.itemsize != len(values):
        raise CheckpointError(
            f"it claims an array of shape {shape}, which its {len(values)} bytes do not hold"
        )
    flat = np.frombuffer(values, dtype)
    return _of_numpy(flat.reshape(shape, order="F" if by_columns else "C"))


def _of_numpy(array: "np.ndarray[Any, Any]") -> Tensor:
    """A tensor that shares the array's memory where it may be written to."""
    native = array.astype(array.dtype.newbyteorder("="), copy=not array.flags.writeable)
    return torch.from_numpy(native if native.dtype != np.longdouble else native.astype(np.float64))


def _unpacked(part: memoryview, name: str) -> memoryview:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    data = unpacker.decompress(part, _MOST_UNPACKED)
    if not unpacker.eof:
        raise CheckpointError(
            f"its {shown_name(name)} unpacks to more than {_MOST_UNPACKED >> 20} MiB, or ends "
            "early; save it without compression (numpy.savez)"
        )
    return memoryview(bytearray(data))
