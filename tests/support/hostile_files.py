"""Files that would do harm to whoever trusts them: run code, or take the machine's memory or time.

Each would leave `mark` behind, import the module `trap`, which does, or ask for more than it holds.
"""

import builtins
import io
import os
import pickle
import struct
import subprocess
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from json import dumps
from pathlib import Path
from typing import Any

import torch
from amplifiers import archive_pickles, pickles, shared_memory
from foreign_files import nvidia_pickle, nvidia_state, rosinality_file, rosinality_state, torch_file
from safetensors.torch import save
from torch import Tensor

from cfclip.generators.stylegan2 import FORMAT, StyleGAN2

TRAP = "cfclip_trap"
SPARSE_BYTES = 3 << 30
_MILLION = 10**6
_HUGE = 1 << 40


class Call:
    """Pickled as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


class Named:
    """Pickled as something of a module, which is thereby imported."""

    def __reduce__(self) -> str:
        return "anything"


Named.__module__ = TRAP


def hostile_files(mark: Path, generator: StyleGAN2) -> dict[str, bytes]:
    """Name of the file to its bytes."""
    found: dict[str, bytes] = {}
    for kind in (
        *(_code, _nested_code, _archives, _legacy, _pickles, _amplifiers, _safetensors),
        _weights,
    ):
        for name, data in kind(mark, generator):
            assert name not in found, name
            found[name] = data
    return found


def _calls(mark: Path) -> dict[str, Any]:
    touch = f"open({str(mark)!r}, 'w').close()"
    return {
        "command": Call(os.system, f"touch {mark}"),
        "process": Call(subprocess.check_output, ["touch", str(mark)]),
        "folder": Call(os.mkdir, str(mark)),
        "write": Call(io.open, str(mark), "w"),
        "exec": Call(builtins.exec, touch),
        "nested": Call(pickle.loads, pickle.dumps(Call(os.mkdir, str(mark)))),
    }


def _code(mark: Path, generator: StyleGAN2) -> Iterator[tuple[str, bytes]]:
    """Calls of functions, and imports, in every form of file."""
    forms: dict[str, Callable[[Any], bytes]] = {
        "2.pkl": lambda value: pickle.dumps({"G_ema": value}, 2),
        "4.pkl": lambda value: pickle.dumps({"G_ema": value}, 4),
        "zip.pt": lambda value: torch_file({"g_ema": value}),
        "legacy.pt": lambda value: torch_file({"g_ema": value}, legacy=True),
        "tar.pt": _tar,
    }
    for form, write in forms.items():
        for name, value in _calls(mark).items():
            yield f"{name}-{form}", write(value)
    name = f"c{TRAP}\nanything\n".encode()
    yield "import.pkl", b"\x80\x02" + name + b"."
    yield "import-zip.pt", _archive(b"\x80\x02" + name + b".")
    yield "import-legacy.pt", torch_file(1, legacy=True).replace(b"\x80\x02K\x01.", name + b".")


def _nested_code(mark: Path, generator: StyleGAN2) -> Iterator[tuple[str, bytes]]:
    """Code where NVIDIA's pickles have tensors, attributes and classes."""
    state, command = nvidia_state(generator), Call(os.mkdir, str(mark))
    yield "beside.pkl", nvidia_pickle(state, extra=command)
    yield "argument.pkl", nvidia_pickle(state, synthesis={"activation": command})
    for name, payload in {
        "zip": torch_file(command),
        "legacy": torch_file(command, legacy=True),
        "pickle": pickle.dumps(command),
    }.items():
        storage = Call(torch.storage._load_from_bytes, payload)
        arguments = storage, 0, (1,), (1,), False, OrderedDict()
        tensor = Call(torch._utils._rebuild_tensor_v2, *arguments)
        yield f"tensor-{name}.pkl", nvidia_pickle({**state, "mapping.w_avg": tensor})
    touch = f"open({str(mark)!r}, 'w').close()"
    yield "text.pkl", f"cbuiltins\nexec\n(V{touch}\ntR.".encode()
    text = b"X" + len(touch).to_bytes(4, "little") + touch.encode()
    yield "inst.pkl", b"\x80\x02(" + text + b"ibuiltins\nexec\n."
    yield "obj.pkl", b"\x80\x02(cbuiltins\nexec\n" + text + b"o."
    yield "dotted.pkl", b"\x80\x04\x8c\x02os\x8c\x0bpath.os.sys\x93."
    yield "attribute.pkl", b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.__init__\x93)R."
    yield "extension.pkl", b"\x80\x02\x82\x01)R."
    yield "persistent.pkl", b"\x80\x02X\x01\x00\x00\x00aQ."
    state_call = b"\x80\x02ccollections\nOrderedDict\n)R}X\x05\0\0\0items" + b"}sb."
    yield "shadowed.pt", _archive(state_call)


def _amplifiers(mark: Path, generator: StyleGAN2) -> Iterator[tuple[str, bytes]]:
    """What takes far more than it holds."""
    yield from pickles(generator)
    for name, data in archive_pickles():
        yield name, _archive(data, {"data/0": bytes(16)})
    yield "shared.pt", rosinality_file(shared_memory(generator), generator.w_avg)


def _archives(mark: Path, generator: StyleGAN2) -> Iterator[tuple[str, bytes]]:
    yield "bomb.pt", _zip({"archive/data.pkl": b"N" * 200_000_000}, zipfile.ZIP_DEFLATED)
    good = b"\x80\x02N."
    bomb = {"archive/data.pkl": good, "archive/data/0": bytes(200_000_000)}
    yield "bomb-values.pt", _zip(bomb, zipfile.ZIP_DEFLATED)
    yield "overlap.pt", _overlapping(2_000, 1_000_000)
    yield "entries.pt", _overlapping(_MILLION, 1)
    yield "cut.pt", _zip({"archive/data.pkl": good})[:-30]
    yield "size.pt", _claiming(_zip({"archive/data.pkl": good}), 0xFFFFFFF0)
    yield "twice.pt", _zip({"archive/data.pkl": good, "archive/Data.pkl": good})
    yield "big-endian.pt", _archive(good, {"byteorder": b"big"})
    yield "odd-endian.pt", _archive(good, {"byteorder": b"middle" * 1000})
    yield "script.pt", _archive(good, {"constants.pkl": good, "code/a.py": b"raise SystemExit"})
    yield "storage.pt", _archive(_tensor_pickle(_HUGE, (1,), (1,)))
    yield "tensor.pt", _archive(_tensor_pickle(4, (_HUGE,), (1,)), {"data/0": bytes(16)})
    yield "repeated.pt", _archive(_tensor_pickle(4, (_HUGE,), (0,)), {"data/0": bytes(16)})
    yield "bytearray.pt", torch_file({"g_ema": Call(bytearray, _HUGE)})
    yield "untyped.pt", torch_file({"g_ema": Call(torch.UntypedStorage, _HUGE)})
    yield "empty-tensor.pt", torch_file({"g_ema": Call(torch.Tensor, _HUGE)})
    state = {f"convs.{n}.bias": torch.ones(1) for n in range(9_900)}
    yield "thousands.pt", rosinality_file(state, torch.ones(1))
    yield "thousands-legacy.pt", rosinality_file(state, torch.ones(1), legacy=True)
    yield "million.pt", _archive(_million_tensors(), {"data/0": bytes(16)})


def _legacy(mark: Path, generator: StyleGAN2) -> Iterator[tuple[str, bytes]]:
    data = torch_file({"g_ema": {"a": torch.ones(4)}}, legacy=True)
    yield (
        "count-legacy.pt",
        data.replace(b"K\x04N", b"\x8a\x06" + _HUGE.to_bytes(6, "little") + b"N"),
    )
    mark_of_order = data.index(b"little_endian") + len(b"little_endianq\x00")
    yield "endian-legacy.pt", data[:mark_of_order] + b"\x89" + data[mark_of_order + 1 :]
    keys = data.rindex(b"\x80\x02]")
    yield "keys-legacy.pt", data[:keys] + b"\x80\x02]."
    yield "short-legacy.pt", data[:-8]
    yield "tensors-legacy.pt", torch_file([torch.ones(1)[:] for _ in range(10_001)], legacy=True)


def _pickles(mark: Path, generator: StyleGAN2) -> Iterator[tuple[str, bytes]]:
    """What would take memory or time, not code."""
    yield "memo.pkl", b"\x80\x02Nr\xff\xff\xff\x7f."
    yield "text-length.pkl", b"\x80\x04\x8d" + _HUGE.to_bytes(8, "little") + b"x."
    yield "bytes-length.pkl", b"\x80\x04\x8e" + _HUGE.to_bytes(8, "little") + b"x."
    yield "frame.pkl", b"\x80\x04\x95" + _HUGE.to_bytes(8, "little") + b"\x8d"
    yield "bytearray.pkl", b"\x80\x05\x96" + _HUGE.to_bytes(8, "little") + b"."
    yield "long.pkl", b"\x80\x02\x8b\xff\xff\xff\x7f."
    yield "deep.pkl", b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
    yield "deep-tuples.pkl", b"\x80\x02N" + b"\x85" * 100_000 + b"."
    yield "deep.pt", _archive(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".")
    yield "marks.pkl", b"\x80\x02" + b"(" * 100_000 + b"."
    doubled = b"N" + b"".join(b"q%ch%c\x86" % (n, n) for n in range(100))
    yield "hash.pkl", b"\x80\x02}" + doubled + b"Ns."
    yield "hash.pt", _archive(b"\x80\x02}" + doubled + b"Ns.")
    collisions = b"".join(
        b"\x8a\x0d" + (n * ((1 << 61) - 1)).to_bytes(13, "little", signed=True) + b"N"
        for n in range(_MILLION // 5)
    )
    yield "collisions.pkl", b"\x80\x02}(" + collisions + b"u."
    yield "opcodes.pkl", b"\x80\x02](" + b"N" * (10 * _MILLION) + b"e."
    yield "doubled-parts.pkl", _doubled_parts()
    yield "tensors.pkl", nvidia_pickle({f"b{n}.w_avg": torch.ones(1) for n in range(900)})
    yield "thousands.pkl", nvidia_pickle({f"b{n}.w_avg": torch.ones(1) for n in range(3000)})
    one, rest = _shared_tensor()
    yield "million.pkl", b"\x80\x02}X\x05\0\0\0G_ema](" + one + rest * _MILLION + b"es."
    yield "sparse.pkl", b"\x80\x04\x8d" + (SPARSE_BYTES - 100).to_bytes(8, "little")
    yield "sparse-bytes.pkl", b"\x80\x04\x8e" + (SPARSE_BYTES - 100).to_bytes(8, "little")


def _safetensors(mark: Path, generator: StyleGAN2) -> Iterator[tuple[str, bytes]]:
    def file(header: Any, values: bytes = bytes(16)) -> bytes:
        text = header if isinstance(header, bytes) else dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + values

    def one(dtype: str = "F32", shape: Any = (4,), offsets: Any = (0, 16)) -> dict[str, Any]:
        return {"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}

    yield "header.safetensors", _HUGE.to_bytes(8, "little") + b"{}"
    yield "header-negative.safetensors", b"\xff" * 8 + b"{}"
    yield "header-big-endian.safetensors", (2).to_bytes(8, "big") + b"{}"
    yield "header-text.safetensors", file(b'{"a": \xff\xfe}')
    yield "header-deep.safetensors", file(b'{"a":' + b"[" * 1_000_000)
    yield "outside.safetensors", file(one(offsets=(0, _HUGE), shape=(_HUGE // 4,)))
    yield "shape.safetensors", file(one(shape=(1 << 62, 1 << 62)))
    yield "backwards.safetensors", file(one(offsets=(16, 0)))
    yield "type.safetensors", file(one(dtype="OBJECT"))
    yield "overlap.safetensors", file(one() | {"b": one()["a"]})
    yield "rest.safetensors", file(one(), bytes(32))
    yield "other.safetensors", file(one())
    entries = (f'"{n}":{{"dtype":"F32","shape":[],"data_offsets":[{4 * n},{4 * n + 4}]}}'
               for n in range(_MILLION))  # fmt: skip
    text = ("{" + ",".join(entries) + "}").encode()
    state = {f"convs.{n}.bias": torch.ones(1) for n in range(9_900)}
    yield "thousands.safetensors", _own(generator, {}, state)
    yield "million.safetensors", file(text, bytes(4 * _MILLION))
    for name, changes in {
        "widths": {"channels": [1 << 14] * 3},
        "huge": {"w_dim": _HUGE},
        "layers": {"mapping_layers": _MILLION},
        "nested": {"channels": [[[]]]},
    }.items():
        yield f"config-{name}.safetensors", _own(generator, changes)


def _weights(mark: Path, generator: StyleGAN2) -> Iterator[tuple[str, bytes]]:
    name = "synthesis.b8.conv1.weight"
    state = nvidia_state(generator)
    state[name] = state[name] * torch.nan
    yield "nan.pkl", nvidia_pickle(state)
    state = rosinality_state(generator)
    yield "nan-average.pt", rosinality_file(state, generator.w_avg / 0)
    state["input.input"] = state["input.input"] / 0
    yield "nan.pt", rosinality_file(state, generator.w_avg)
    yield "nan-legacy.pt", rosinality_file(state, generator.w_avg, legacy=True)
    yield "nan.safetensors", _own(generator, {}, {"const": generator.const / 0})


def _own(
    generator: StyleGAN2, config: dict[str, Any], tensors: dict[str, Tensor] | None = None
) -> bytes:
    """A file of this project with changes to its configuration and tensors."""
    own = {**vars(generator.config), **config}
    metadata = {"format": FORMAT.tag, "config": dumps(own)}
    return save({**generator.state_dict(), **(tensors or {})}, metadata)


def _tar(value: Any) -> bytes:
    """The form that PyTorch had before 0.2."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:") as archive:
        for name, content in {"storages": 0, "tensors": 0, "pickle": value}.items():
            data = pickle.dumps(content, 2)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _zip(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, value in entries.items():
            archive.writestr(name, value)
    return buffer.getvalue()


def _archive(data: bytes, entries: dict[str, bytes] | None = None) -> bytes:
    parts = {"data.pkl": data, "version": b"3\n", **(entries or {})}
    return _zip({f"archive/{name}": value for name, value in parts.items()})


def _overlapping(count: int, size: int) -> bytes:
    """An archive whose entries are all the same bytes."""
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, size, size, 1, 0) + b"a"
    values = bytes(size)
    central = struct.Struct("<4s6H3I5H2I")
    fixed = (20, 20, 0, 0, 0, 0, 0, size, size, 7, 0, 0, 0, 0, 0, 0)
    directory = b"".join(
        central.pack(b"PK\x01\x02", *fixed) + b"%07d" % index for index in range(count)
    )
    start = len(local) + len(values)
    end64 = struct.pack(
        "<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(directory), start
    )
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, start + len(directory), 1)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 65535, 65535, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return local + values + directory + end64 + locator + end


def _claiming(data: bytes, size: int) -> bytes:
    """An archive of one entry, which is said to be of another size."""
    changed = bytearray(data)
    struct.pack_into("<2I", changed, data.index(b"PK\x01\x02") + 20, size, size)
    return bytes(changed)


class _Storage:
    pass


class _Pickler(pickle.Pickler):
    """Writes a storage that claims `count` values."""

    def __init__(self, file: io.BytesIO, count: int) -> None:
        super().__init__(file, 2)
        self.count = count

    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, _Storage):
            return "storage", torch.FloatStorage, "0", "cpu", self.count
        return None


def _tensor_pickle(count: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """The pickle of an archive with one tensor."""
    arguments = _Storage(), 0, size, stride, False, OrderedDict()
    tensor = Call(torch._utils._rebuild_tensor_v2, *arguments)
    buffer = io.BytesIO()
    _Pickler(buffer, count).dump({"g_ema": {"a": tensor}, "latent_avg": tensor})
    return buffer.getvalue()


def _million_tensors() -> bytes:
    """The pickle of an archive with a million tensors that share one storage."""
    storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQq\x02"
    start = b"ctorch._utils\n_rebuild_tensor_v2\nq\x01" + storage
    arguments = b"(h\x02K\0K\x01\x85K\x01\x85\x89NtR"
    return b"\x80\x02](" + start + (b"h\x01" + arguments) * _MILLION + b"e."


def _shared_tensor() -> tuple[bytes, bytes]:
    """Pickle code of a tensor as NVIDIA's files have it, and of one more of the same storage."""
    payload = torch_file(torch.ones(1).untyped_storage(), legacy=True)
    values = b"B" + len(payload).to_bytes(4, "little") + payload
    storage = b"ctorch.storage\n_load_from_bytes\n" + values + b"\x85Rq\x02"
    one = b"ctorch._utils\n_rebuild_tensor_v2\nq\x01" + storage
    return one, b"h\x01(h\x02K\0K\x01\x85K\x01\x85\x89NtR"


def _doubled_parts() -> bytes:
    """A network each part of which has the next one twice: 2^15 of them, by 15 opcodes each."""
    part = b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n"

    def made(children: bytes) -> bytes:
        groups = (
            b"}(X\x0b\0\0\0_parameters}X\x08\0\0\0_buffers}X\x08\0\0\0_modules" + children + b"u"
        )
        return part + b"}X\x05\0\0\0state" + groups + b"s\x85R"

    inner = made(b"}")
    for index in range(15):
        put, get = b"q%c" % index, b"h%c" % index
        inner = made(b"}(X\x01\0\0\0a" + inner + put + b"X\x01\0\0\0b" + get + b"u")
    return b"\x80\x02}X\x05\0\0\0G_ema" + inner + b"s."
