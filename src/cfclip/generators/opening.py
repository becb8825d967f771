"""Opens any generator file, by its content and never by its name, and makes it one of ours."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from cfclip.errors import CheckpointError, InputError, failing_to, shown_name
from cfclip.foreign import (
    LEGACY_START,
    networks_in,
    part_of,
    read_torch_object,
    state_dict_of,
    value_in,
)
from cfclip.generators.layouts import (
    AVERAGE_SAMPLES,
    NOISE_SEED,
    from_nvidia,
    from_rosinality,
    lacks_noise,
)
from cfclip.generators.nvidia_files import (
    GENERATOR,
    Network,
    network_names,
    read_nvidia_pickle,
    state_of_network,
)
from cfclip.generators.stylegan2 import FORMAT, StyleGAN2, load_generator_file, save_generator
from cfclip.io import is_model_file, read_metadata, sha256_of

LICENCE = "licence"
ORIGIN = "origin"
_FILE, _HASH, _LAYOUT = "source_file", "source_sha256", "source_layout"
_NOTES = "source_notes"

_PICKLE_START = b"\x80"
_AVERAGE = "latent_avg"
_PARTS = ("", "decoder.", "generator.", "g_ema.", "G_ema.")
"""What the tensors of a generator begin with where it is a part of a larger network."""
_ROSINALITY = ("input.", "style.", "conv1.", "convs.", "to_rgb1.", "to_rgbs.")
_NVIDIA = ("mapping.", "synthesis.")
"""What their names begin with."""
_NAMES_SHOWN = 3
_MEASURED = f"it holds no mean of W, which was measured over {AVERAGE_SAMPLES:,} draws"
_DRAWN = f"it holds no noise, which was drawn once, by the seed {NOISE_SEED}"


@dataclass(frozen=True)
class OpenedGenerator:
    """A generator with what its file tells about it."""

    generator: StyleGAN2
    layout: str
    """What kind of file it is, in a few words."""
    metadata: Mapping[str, str]
    """What `save_generator` was given; empty for the files of other programs."""
    notes: tuple[str, ...] = ()
    """What the file did not hold and where it is from instead, a line each."""


def load_generator(path: str | Path, device: str | torch.device = "cpu") -> StyleGAN2:
    """The generator in a file of this project, of rosinality's layout or of NVIDIA's.

    Args:
        path: what it is follows from its content, never from its name: safetensors that
            `save_generator` wrote; a pickle of NVIDIA's StyleGAN2 in PyTorch form; what
            `torch.save` wrote with a state dict of rosinality's or NVIDIA's layout, by itself,
            under a key such as `g_ema` or `state_dict`, or as the `decoder.` of pSp, e4e, StyleCLIP
            and CF-CLIP, or with NVIDIA's network itself, as PTI saves it. Nothing in the file is
            imported or run.
        device: where the generator shall be; it is float32, in eval mode and without gradients.

    A file of rosinality's layout without `latent_avg`, as those of StyleCLIP and CF-CLIP, gets the
    mean of W over 10,000 draws, one without noise that of a seed, the same each time.

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
    content = read_torch_object(path, network_names)
    try:
        return _from_torch(content)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def convert_generator(
    source: str | Path, out: str | Path, licence: str | None = None, origin: str | None = None
) -> OpenedGenerator:
    """Write the generator of any file that `load_generator` opens as safetensors, atomically.

    Returns what was opened, with the metadata that the new file has: `licence`, `origin`, and the
    name, SHA-256 and layout of the file that it was made from (`source_file`, `source_sha256`,
    `source_layout`), and what that did not hold (`source_notes`).

    Args:
        source: the file; nothing in it is run.
        out: the file to write, which is replaced if it exists.
        licence: of the weights; no file of another program tells it. None keeps that of a file of
            this project.
        origin: who made the weights, from what. None keeps that of a file of this project, and
            says for others what they were converted from.

    Raises:
        CheckpointError: as `load_generator` does.
        InputError: nothing tells the licence, or `out` is the source, or cannot be written.
    """
    source, out = Path(source), Path(out)
    if out.exists() and source.exists() and out.samefile(source):
        raise InputError(f"{out} is the file to convert, and would be lost; choose another")
    opened = open_generator(source)
    licence = licence or opened.metadata.get(LICENCE)
    if not licence or not licence.strip():
        raise InputError(
            f"{source} does not say which licence its weights have; say so (--licence), as whoever "
            "published them does"
        )
    metadata = {
        ORIGIN: f"converted from {source.name} ({opened.layout})",
        **opened.metadata,
        **({ORIGIN: origin} if origin else {}),
        LICENCE: licence,
        _FILE: source.name,
        _HASH: sha256_of(source),
        _LAYOUT: opened.layout,
        **({_NOTES: "; ".join(opened.notes)} if opened.notes else {}),
    }
    with failing_to(f"write {out}", "make room or choose another place", SafetensorError):
        save_generator(opened.generator, out, metadata)
    return replace(opened, metadata=metadata)


def _from_torch(content: Any) -> OpenedGenerator:
    if isinstance(content, Mapping) and isinstance(content.get(GENERATOR), Network):
        content = content[GENERATOR]
    if isinstance(content, Network):
        return OpenedGenerator(from_nvidia(*state_of_network(content)), "NVIDIA network", {})
    if not isinstance(content, Mapping) or not all(isinstance(name, str) for name in content):
        raise CheckpointError(
            f"it holds a {type(content).__name__}, expected a mapping of names; save one"
        )
    for candidate in networks_in(content):
        for prefix in _PARTS:
            tensors = part_of(candidate, prefix)
            if any(name.startswith(_NVIDIA) for name in tensors):
                state = state_dict_of(tensors, "its generator")
                return OpenedGenerator(from_nvidia(state), "NVIDIA state dict", {})
            if any(name.startswith(_ROSINALITY) for name in tensors):
                layout = "decoder of another checkpoint" if prefix else "rosinality"
                return _from_rosinality(tensors, content, layout)
    names = [shown_name(str(name)) for name in list(next(networks_in(content)))[:_NAMES_SHOWN]]
    raise CheckpointError(
        f"it holds no generator of rosinality's layout or NVIDIA's, but "
        f"{', '.join(names) or 'nothing'}; give a checkpoint with one (docs/WEIGHTS.md lists the "
        "forms)"
    )


def _from_rosinality(
    tensors: Mapping[str, Any], content: Mapping[str, Any], layout: str
) -> OpenedGenerator:
    average = value_in({**content, **tensors}, _AVERAGE)
    state = state_dict_of({n: v for n, v in tensors.items() if n != _AVERAGE}, "its generator")
    notes = [_MEASURED] if average is None else []
    if lacks_noise(state):
        notes.append(_DRAWN)
    mean = None if average is None else _average_of(average)
    return OpenedGenerator(from_rosinality(state, mean), layout, {}, tuple(notes))


def _average_of(value: object) -> Tensor:
    average = state_dict_of({_AVERAGE: value}, "it")[_AVERAGE]
    if average.ndim == 2 and len(average) and bool((average == average[0]).all()):
        return average[0]  # pSp and e4e repeat the mean for every layer
    return average
