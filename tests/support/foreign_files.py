"""Writes generators as other programs do: NVIDIA's pickles, rosinality's and pSp's checkpoints."""

import io
import json
from argparse import Namespace
from collections import OrderedDict
from dataclasses import asdict
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from cfclip.generators.layouts import NVIDIA, ROSINALITY, Layout
from cfclip.generators.modulated_conv import fir_filter
from cfclip.generators.stylegan2 import FORMAT, StyleGAN2
from recipes.rehearsal.forms import State, nvidia_pickle


def _exported(generator: StyleGAN2, layout: Layout) -> State:
    """The generator's tensors in another program's layout, without `w_avg`."""
    state: State = {}
    for name, value in generator.state_dict().items():
        if name != "w_avg":
            theirs, shape = layout.place(name, tuple(value.shape))
            state[theirs] = value.reshape(shape)
    return state


def rosinality_state(generator: StyleGAN2) -> State:
    """A generator of 8 px or more as rosinality's state dict, without the mean of W."""
    state = _exported(generator, ROSINALITY)
    state["convs.0.conv.blur.kernel"] = 4.0 * fir_filter()
    state["to_rgbs.0.upsample.kernel"] = 4.0 * fir_filter()
    return state


def nvidia_state(generator: StyleGAN2) -> State:
    """A generator of 8 px or more as NVIDIA's state dict."""
    state = _exported(generator, NVIDIA)
    state["mapping.w_avg"] = generator.w_avg
    for name in ("b4.", "b4.conv1.", "b8.", "b8.conv0.", "b8.conv1."):
        state[f"synthesis.{name}resample_filter"] = fir_filter()
    return state


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
