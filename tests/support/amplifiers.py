"""Small files of which reading would take far more than they hold, if it went by what they ask."""

import struct
from collections.abc import Iterator

import torch
from foreign_files import rosinality_state, torch_file

from cfclip.generators import StyleGAN2
from recipes.rehearsal.forms import State

_PART = b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n"
_TABLE = b"ccollections\nOrderedDict\n"
_TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
_STORAGE = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ"
_MANY = 60_000


def pickles(generator: StyleGAN2) -> Iterator[tuple[str, bytes]]:
    """Bare pickles: what they call is called again and again with the same arguments."""
    pairs = b"](" + b"K\x01K\x01\x86" * _MANY + b"eq\x01"
    yield (
        "again-table.pkl",
        b"\x80\x02" + _TABLE + b"q\0" + pairs + b"h\0h\x01\x85R" * 40_000 + b".",
    )
    state = b"}X\x05\0\0\0stateq\x02}(" + _numbered(_MANY, b"N") + b"us"
    yield (
        "again-part.pkl",
        b"\x80\x02" + _PART + b"q\0" + state + b"q\x01" + (b"h\0h\x01\x85R" * 60_000 + b"."),
    )
    names = {b"_parameters": b"}", b"_buffers": b"}"}
    # Each part has tens of thousands of parts, all of them the next one.
    inner = _part({**names, b"_modules": b"}"})
    for index in range(3):
        put, get = b"q%c" % index, b"h%c" % index
        children = b"}(X\x01\0\0\0a" + inner + put + _numbered(_MANY // 2, get) + b"u"
        inner = _part({**names, b"_modules": children})
    yield "wide-parts.pkl", b"\x80\x02}X\x05\0\0\0G_ema" + inner + b"s."
    # Every one of some hundred parts has the same tens of thousands of tensors.
    group = b"}(" + _numbered(_MANY, b"K\x01") + b"uq\x20"
    inner = _part({b"_parameters": group, b"_buffers": b"}", b"_modules": b"}"})
    for index in range(8):
        put, get = b"q%c" % index, b"h%c" % index
        children = b"}(X\x01\0\0\0a" + inner + put + b"X\x01\0\0\0b" + get + b"u"
        inner = _part({b"_modules": children, b"_parameters": b"h\x20", b"_buffers": b"}"})
    yield "wide-tensors.pkl", b"\x80\x02}X\x05\0\0\0G_ema" + inner + b"s."
    # Values that are pickles of their own, each of as many steps as a file may have.
    start = b"\x80\x02(X\x07\0\0\0storage"
    values = torch.storage.TypedStorage(
        wrap_storage=torch.ones(1).untyped_storage(), dtype=torch.float32, _internal=True
    )
    steps = torch_file(values, legacy=True)
    assert start in steps
    steps = steps.replace(start, b"\x80\x02" + b"N" * 300_000 + start[2:])
    storage = b"ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", len(steps)) + steps
    tensors = b"".join(
        b"X\x01\0\0\0%c" % (65 + index)
        + _TENSOR
        + b"("
        + storage
        + b"\x85RK\0K\x01\x85K\x01\x85\x89NtR"
        for index in range(30)
    )
    whole = _part({b"_parameters": b"}(" + tensors + b"u", b"_buffers": b"}", b"_modules": b"}"})
    yield "payloads.pkl", b"\x80\x02}X\x05\0\0\0G_ema" + whole + b"s."


def archive_pickles() -> Iterator[tuple[str, bytes]]:
    """The same in the pickle of an archive, which has 4 numbers in storage 0."""
    sizes = b"](" + b"K\0" * 100_000 + b"eq\x01"
    again = b"h\0h\x01\x85R" * 60_000
    yield "again-size.pt", b"\x80\x02ctorch\nSize\nq\0" + sizes + again + b"."
    axes = b"\x80\x02" + _TENSOR + b"q\0" + _STORAGE + b"q\x02" + sizes
    yield "axes.pt", axes + b"h\0(h\x02K\0h\x01h\x01\x89NtR" * 9_000 + b"."


def shared_memory(generator: StyleGAN2) -> State:
    """A generator's tensors, each matrix of which is the one largest, in the same memory."""
    values = torch.zeros(1, 768, 768, 3, 3)
    state = rosinality_state(generator)
    return {
        name: values if name.endswith("conv.weight") and "rgb" not in name else value
        for name, value in state.items()
    }


def _numbered(count: int, value: bytes) -> bytes:
    """Pickle code of the items of a dictionary whose keys are numbers in letters."""
    return b"".join(b"X\x05\0\0\0%05d" % index + value for index in range(count))


def _part(groups: dict[bytes, bytes]) -> bytes:
    items = b"".join(b"X" + struct.pack("<I", len(n)) + n + value for n, value in groups.items())
    return _PART + b"}X\x05\0\0\0state}(" + items + b"us\x85R"
