"""NVIDIA's `.pkl` files, read without importing or running anything that they carry.

The file names what it wants called; only the names listed here mean something, and they mean
functions of ours. Embedded module source is text that is dropped.
"""

import io
import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cfclip.errors import CheckpointError
from cfclip.generators.nvidia import from_nvidia
from cfclip.generators.stylegan2 import StyleGAN2

_MAX_BYTES = 4 << 30
_MAX_OPCODES = 2_000_000
_MAX_MEMO = 1_000_000
_MAX_DEPTH = 64
_REFUSED_OPCODES = {"EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID"}


class _Module:
    """What the file says of one network part: attributes only, no behaviour."""

    def __init__(self, meta: dict[str, Any]) -> None:
        self.class_name = meta.get("class_name")
        self.__dict__.update(meta["state"])


def read_nvidia_pickle(path: str | Path) -> StyleGAN2:
    """The generator (`G_ema`) of an NVIDIA StyleGAN2(-ADA) pickle in PyTorch form.

    Nothing in the file is imported or run. Raises `CheckpointError` when the file is missing, too
    large, damaged, holds a name that is not on the list (it is named), or is no StyleGAN2.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no generator file at {path}")
    if path.stat().st_size > _MAX_BYTES:
        raise CheckpointError(f"{path} is larger than {_MAX_BYTES} bytes; no generator is")
    data = path.read_bytes()
    try:
        _check_opcodes(data, path)
        content = _Unpickler(io.BytesIO(data), path).load()
        state: dict[str, Tensor] = {}
        _collect(content["G_ema"], "", state, 0)
    except CheckpointError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{path} is not a readable NVIDIA pickle: {type(error).__name__}: {reason}"
        ) from error
    return from_nvidia(state)


def _check_opcodes(data: bytes, path: Path) -> None:
    """Refuse before anything is built: a memo index alone can ask for gigabytes."""
    for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        if opcode.name in _REFUSED_OPCODES:
            raise CheckpointError(f"{path} uses the pickle opcode {opcode.name}; it is refused")
        if count > _MAX_OPCODES:
            raise CheckpointError(f"{path} has more than {_MAX_OPCODES} pickle opcodes")
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > _MAX_MEMO:
            raise CheckpointError(f"{path} has a memo index above {_MAX_MEMO}")


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, path: Path) -> None:
        super().__init__(file)
        self._path = path
        # Made anew per file: a pickle may set attributes of what it was handed.
        self._allowed: dict[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("dnnlib.util", "EasyDict"): OrderedDict,
            # A function, not the class: what the file sets on it must not reach the class.
            ("torch_utils.persistence", "_reconstruct_persistent_obj"): (
                lambda meta: _Module(meta)  # noqa: PLW0108
            ),
            ("torch._utils", "_rebuild_tensor_v2"): lambda *args: _tensor(*args[:4]),
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
            ("torch.storage", "_load_from_bytes"): lambda data: torch.load(
                io.BytesIO(data), map_location="cpu", weights_only=True
            ),
        }

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("dnnlib.tflib"):
            raise CheckpointError(
                f"{self._path} is a TensorFlow-era StyleGAN pickle; convert it to PyTorch with "
                "legacy.py of stylegan2-ada-pytorch first"
            )
        try:
            return self._allowed[module, name]
        except KeyError:
            raise CheckpointError(
                f"{self._path} asks for {f'{module}.{name}'[:200]!r}, which is not on the list of "
                "what a StyleGAN2 file needs; it was not run"
            ) from None


def _tensor(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    flat = torch.tensor([], dtype=storage.dtype).set_(storage)
    count = 1
    for length in size:
        count *= length
    if count > flat.numel():
        raise ValueError(f"a tensor of shape {size} in a storage of {flat.numel()}")
    return flat.as_strided(size, stride, offset)


def _collect(module: Any, prefix: str, state: dict[str, Tensor], depth: int) -> None:
    """Fill `state` with the tensors of `module` by their state dict names."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"modules nested deeper than {_MAX_DEPTH}")
    for group in (module._parameters, module._buffers):
        state.update({prefix + name: value for name, value in group.items() if value is not None})
    for name, child in module._modules.items():
        _collect(child, f"{prefix}{name}.", state, depth + 1)
