"""Files of other programs, as those write them: NVIDIA's pickles and TorchScript archives."""

import io
import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

State = dict[str, Tensor]

_BUFFERS = ("noise_const", "resample_filter", "w_avg")
_SOURCE = "raise SystemExit('the source in the file was run')\n" * 100


class EasyDict(dict[str, Any]):
    """Stands for `dnnlib.util.EasyDict` while a file is written."""


def _reconstruct_persistent_obj(meta: object) -> None:
    raise AssertionError("what the file names was called")


class Network:
    """Stands for `dnnlib.tflib.network.Network`."""

    def __getstate__(self) -> dict[str, Any]:
        return {"version": 4, "name": "G", "build_module_src": _SOURCE}


class _Part:
    """A module of NVIDIA's, pickled with its class's source code."""

    def __init__(self, class_name: str, state: dict[str, Any]) -> None:
        self.meta = {
            "type": "class",
            "version": 6,
            "module_src": _SOURCE,
            "class_name": class_name,
            "state": state,
        }

    def __reduce__(self) -> Any:
        return _reconstruct_persistent_obj, (self.meta,), None


_HOMES: dict[str, Any] = {
    "dnnlib.util": EasyDict,
    "torch_utils.persistence": _reconstruct_persistent_obj,
    "dnnlib.tflib.network": Network,
}


@contextmanager
def _foreign_modules() -> Iterator[None]:
    """The modules that the names in the files belong to: only while they are written."""
    for home, value in _HOMES.items():
        module = types.ModuleType(home)
        value.__module__ = home
        setattr(module, value.__name__, value)
        sys.modules[home] = module
        sys.modules.setdefault(home.split(".")[0], types.ModuleType(home.split(".")[0]))
    try:
        yield
    finally:
        for home in _HOMES:
            del sys.modules[home]
            sys.modules.pop(home.split(".")[0], None)


def nvidia_pickle(
    state: State,
    protocol: int = 4,
    synthesis: dict[str, Any] | None = None,
    mapping: dict[str, Any] | None = None,
    **others: Any,
) -> bytes:
    """A snapshot of NVIDIA's training whose `G_ema` has the tensors of `state`.

    `synthesis` and `mapping` are what these two networks were made with; `others` are further
    entries of the file.
    """
    arguments = {
        "": {
            "z_dim": 512,
            "synthesis_kwargs": EasyDict(synthesis or {}),
            "mapping_kwargs": EasyDict(mapping or {}),
        },
        "synthesis.": {"w_dim": 512, **(synthesis or {})},
        "mapping.": {"num_ws": 10, **(mapping or {})},
    }
    content = {
        "training_set_kwargs": {"class_name": "training.dataset.ImageFolderDataset"},
        "G": None,
        "D": network_part({"b4.weight": torch.ones(2, 2)}),
        "G_ema": network_part(state, arguments),
        "augment_pipe": None,
        **others,
    }
    return _dumped(content, protocol)


def network_file(state: State, key: str | None = None, legacy: bool = False) -> bytes:
    """A network of NVIDIA's as `torch.save` writes it, by itself, as PTI does, or under a key."""
    network, buffer = network_part(state), io.BytesIO()
    content = network if key is None else {key: network}
    with _foreign_modules():
        torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def tensorflow_pickle() -> bytes:
    """Three networks of the TensorFlow era."""
    return _dumped((Network(), Network(), Network()), 4)


def _dumped(content: Any, protocol: int) -> bytes:
    with _foreign_modules():
        return pickle.dumps(content, protocol)


def network_part(
    state: State, arguments: Mapping[str, Mapping[str, Any]] | None = None, prefix: str = ""
) -> _Part:
    """A network as NVIDIA pickles it, a part within a part as the names of its tensors say.

    `arguments` is what the part of each prefix was made with.
    """
    own = {name: value for name, value in state.items() if "." not in name}
    names = dict.fromkeys(name.split(".")[0] for name in state if "." in name)
    children = {
        name: network_part(
            {k.partition(".")[2]: v for k, v in state.items() if k.startswith(f"{name}.")},
            arguments,
            f"{prefix}{name}.",
        )
        for name in names
    }
    is_buffer = {name: name in _BUFFERS for name in own}
    attributes: dict[str, Any] = {
        "training": False,
        "_parameters": OrderedDict(
            {name: nn.Parameter(own[name]) for name in own if not is_buffer[name]}, absent=None
        ),
        "_buffers": OrderedDict((name, own[name]) for name in own if is_buffer[name]),
        "_non_persistent_buffers_set": set(),
        "_backward_hooks": OrderedDict(),
        "_forward_hooks": OrderedDict(),
        "_modules": OrderedDict(children),
        "weight_gain": 1 / np.sqrt(512),
        "sizes": [np.float32(1), np.int64(2), np.bool_(True)],
        "_init_args": (),
        "_init_kwargs": EasyDict((arguments or {}).get(prefix, {})),
    }
    return _Part("Generator" if not prefix else "Layer", attributes)


class _Node(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


def module_tree(tensors: State) -> nn.Module:
    """Modules nested as the dotted names are, with these parameters and buffers."""
    root = _Node()
    for name, tensor in tensors.items():
        *path, last = name.split(".")
        node: nn.Module = root
        for part in path:
            if part not in dict(node.named_children()):
                node.add_module(part, _Node())
            node = node.get_submodule(part)
        if tensor.is_floating_point():
            node.register_parameter(last, nn.Parameter(tensor.clone()))
        else:
            node.register_buffer(last, tensor.clone())
    return root


def write_archive(path: Path, tensors: State, sizes: Mapping[str, int]) -> None:
    """A TorchScript archive as OpenAI publishes its CLIPs, `sizes` among its buffers."""
    root = module_tree(tensors)
    for name, value in sizes.items():
        root.register_buffer(name, torch.tensor(value))
    torch.jit.save(torch.jit.script(root), str(path))
