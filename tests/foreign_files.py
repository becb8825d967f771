"""Writes generators as other programs do: NVIDIA's pickles, rosinality's and pSp's checkpoints."""

import io
import json
import pickle
import sys
import types
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from cfclip.generators import nvidia, rosinality
from cfclip.generators.checkpoints import FORMAT
from cfclip.generators.ops import fir_filter
from cfclip.generators.stylegan2 import StyleGAN2

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


_HOMES = {
    "dnnlib.util": EasyDict,
    "torch_utils.persistence": _reconstruct_persistent_obj,
    "dnnlib.tflib.network": Network,
}


def _exported(generator: StyleGAN2, module: object) -> State:
    """The generator's tensors in another program's layout, without `w_avg`."""
    state: State = {}
    for name, value in generator.state_dict().items():
        if name != "w_avg":
            theirs, shape = module._layout(name, tuple(value.shape))  # type: ignore[attr-defined]
            state[theirs] = value.reshape(shape)
    return state


def rosinality_state(generator: StyleGAN2) -> State:
    """A generator of 8 px or more as rosinality's state dict, without the mean of W."""
    state = _exported(generator, rosinality)
    state["convs.0.conv.blur.kernel"] = 4.0 * fir_filter()
    state["to_rgbs.0.upsample.kernel"] = 4.0 * fir_filter()
    return state


def nvidia_state(generator: StyleGAN2) -> State:
    """A generator of 8 px or more as NVIDIA's state dict."""
    state = _exported(generator, nvidia)
    state["mapping.w_avg"] = generator.w_avg
    for name in ("b4.", "b4.conv1.", "b8.", "b8.conv0.", "b8.conv1."):
        state[f"synthesis.{name}resample_filter"] = fir_filter()
    return state


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
        "D": _part({"b4.weight": torch.ones(2, 2)}, {}),
        "G_ema": _part(state, arguments),
        "augment_pipe": None,
        **others,
    }
    return _dumped(content, protocol)


def tensorflow_pickle() -> bytes:
    """Three networks of the TensorFlow era."""
    return _dumped((Network(), Network(), Network()), 4)


def _dumped(content: Any, protocol: int) -> bytes:
    with _foreign_modules():
        return pickle.dumps(content, protocol)


def _part(state: State, arguments: dict[str, dict[str, Any]], prefix: str = "") -> _Part:
    own = {name: value for name, value in state.items() if "." not in name}
    names = dict.fromkeys(name.split(".")[0] for name in state if "." in name)
    children = {
        name: _part(
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
        "_init_kwargs": EasyDict(arguments.get(prefix, {})),
    }
    return _Part("Generator" if not prefix else "Layer", attributes)


def torch_file(content: Any, legacy: bool = False) -> bytes:
    """What `torch.save` writes, as an archive or in the older form."""
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def rosinality_file(state: State, average: Tensor | None, legacy: bool = False) -> bytes:
    """A checkpoint of rosinality's training."""
    content: dict[str, Any] = {"g_ema": state, "latent_avg": average}
    return torch_file({k: v for k, v in content.items() if v is not None}, legacy)


def checkpoint_with_decoder(
    state: State, average: Tensor | None, rows: int = 1, legacy: bool = False
) -> bytes:
    """A checkpoint of pSp or e4e, or of StyleCLIP or CF-CLIP, which have no mean of W.

    Where there is one, it is there `rows` times. The file also holds another network,
    and options as e4e and CF-CLIP keep them.
    """
    content: dict[str, Any] = {
        "state_dict": OrderedDict(
            {f"decoder.{name}": value for name, value in state.items()},
            **{"encoder.weight": torch.ones(2, 2)},
        ),
        "opts": Namespace(stylegan_size=64, device="cuda:0"),
    }
    if average is not None:
        content["latent_avg"] = average.repeat(rows, 1) if rows > 1 else average
    return torch_file(content, legacy)


def good_files(generator: StyleGAN2) -> dict[str, bytes]:
    """A generator in a file of every form that opens."""
    state, average = rosinality_state(generator), generator.w_avg
    metadata = {"format": FORMAT.tag, "config": json.dumps(asdict(generator.config))}
    return {
        "nvidia.pkl": nvidia_pickle(nvidia_state(generator)),
        "rosinality.pt": rosinality_file(state, average),
        "legacy.pt": rosinality_file(state, average, legacy=True),
        "decoder.pt": checkpoint_with_decoder(state, average, rows=generator.num_ws),
        "own.safetensors": save(generator.state_dict(), metadata),
    }
