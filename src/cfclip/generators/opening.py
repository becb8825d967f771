"""Opening any generator file, by its content and never by its name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cfclip.errors import CheckpointError
from cfclip.foreign_checkpoints import state_dict_of
from cfclip.generators.checkpoints import FORMAT, load_generator_file, size_of
from cfclip.generators.nvidia_pickle import read_nvidia_pickle
from cfclip.generators.rosinality import from_rosinality
from cfclip.generators.stylegan2 import StyleGAN2
from cfclip.torch_files import read_torch_file
from cfclip.torch_layout import LEGACY_START
from cfclip.weights import is_model_file, read_metadata

_PICKLE_START = b"\x80"
_GENERATOR = "g_ema"
_AVERAGE = "latent_avg"
_DECODER = "decoder."
_FIRST_LAYER = "style.1.weight"
_AVERAGE_SAMPLES = 10_000
"""Of z, for a mean of W that a file does not hold; as many as e4e takes."""
_AVERAGE_BATCH = 1_000
_AVERAGE_SEED = 0


@dataclass(frozen=True)
class OpenedGenerator:
    """A generator with what its file tells about it."""

    generator: StyleGAN2
    layout: str
    """What kind of file it is, in a few words."""
    metadata: Mapping[str, str]
    """What `save_generator` was given; empty for the files of other programs."""


def load_generator(path: str | Path, device: str | torch.device = "cpu") -> StyleGAN2:
    """The generator in a file of this project, of rosinality's layout or of NVIDIA's.

    Args:
        path: what it is follows from its content, never from its name: safetensors that
            `save_generator` wrote; what `torch.save` wrote with `g_ema`, or with `state_dict` and
            in it `decoder.`, as pSp, e4e, StyleCLIP and CF-CLIP have it; a pickle of NVIDIA's
            StyleGAN2 in PyTorch form with `G_ema`. Nothing in the file is imported or run.
        device: where the generator shall be; it is float32, in eval mode and without gradients.

    A file of rosinality's layout without `latent_avg`, as those of StyleCLIP and CF-CLIP, gets the
    mean of W over 10,000 draws, the same ones each time.

    Raises:
        CheckpointError: the file is missing, damaged, larger than any model, of another kind, asks
            for what is not on the list, or holds unknown, missing, misshapen or non-finite
            tensors; it names them.
    """
    return open_generator(path).generator.to(device)


def open_generator(path: str | Path) -> OpenedGenerator:
    """The generator in a file, on the CPU, and what the file tells; otherwise `load_generator`."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no generator file at {path}")
    if is_model_file(path):
        metadata = read_metadata(path, FORMAT)
        return OpenedGenerator(load_generator_file(path), "cfclip", metadata)
    with path.open("rb") as file:
        start = file.read(len(LEGACY_START))
    if start.startswith(_PICKLE_START) and start != LEGACY_START:
        return OpenedGenerator(read_nvidia_pickle(path), "NVIDIA pickle", {})
    content = read_torch_file(path)
    layout = "rosinality" if _GENERATOR in content else "decoder of another checkpoint"
    return OpenedGenerator(_from_torch(content, path), layout, {})


def _from_torch(content: Mapping[str, Any], path: Path) -> StyleGAN2:
    source = f"generator checkpoint {path}"
    inside = content.get("state_dict")
    if _GENERATOR in content:
        state = state_dict_of(content[_GENERATOR], f"{source}: {_GENERATOR}")
    elif isinstance(inside, Mapping):
        decoder = {
            name.removeprefix(_DECODER): value
            for name, value in inside.items()
            if isinstance(name, str) and name.startswith(_DECODER)
        }
        state = state_dict_of(decoder, f"{source}: {_DECODER}")
    else:
        raise CheckpointError(
            f"{source} holds no generator: neither {_GENERATOR} nor state_dict with {_DECODER}; "
            "give a checkpoint with one"
        )
    try:
        if content.get(_AVERAGE) is not None:
            return from_rosinality(state, _average_of(content[_AVERAGE], source))
        width = size_of(state, _FIRST_LAYER, 0, source)
        return _with_average(from_rosinality(state, torch.zeros(width)))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _average_of(value: object, source: str) -> Tensor:
    average = state_dict_of({_AVERAGE: value}, source)[_AVERAGE]
    if average.ndim == 2 and len(average) and bool((average == average[0]).all()):
        return average[0]  # pSp and e4e repeat the mean for every layer
    return average


def _with_average(generator: StyleGAN2) -> StyleGAN2:
    draws = torch.Generator().manual_seed(_AVERAGE_SEED)
    z = torch.randn(_AVERAGE_SAMPLES, generator.z_dim, generator=draws)
    with torch.no_grad():
        means = [generator.mapping(part)[:, 0].mean(0) for part in z.split(_AVERAGE_BATCH)]
        generator.w_avg.copy_(torch.stack(means).mean(0))
    return generator
