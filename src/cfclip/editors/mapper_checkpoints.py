"""Opening any mapper file, by its content: this project's, CF-CLIP's and StyleCLIP's."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from cfclip.editors.latent_mapper import LatentMapper
from cfclip.editors.mapper_layouts import latent_mapper_from_styleclip, text_mapper_from_released
from cfclip.editors.text_mapper import TextMapper, load_text_mapper
from cfclip.errors import CheckpointError
from cfclip.foreign import network_of, options_of, read_torch_file
from cfclip.io import is_model_file

_TEXT_NETWORKS = "text_mapper."


@dataclass(frozen=True)
class ReleasedMapper:
    """What a checkpoint of CF-CLIP or StyleCLIP holds."""

    mapper: TextMapper | LatentMapper
    """A `LatentMapper` knows one edit and takes no text."""
    description: str | None
    """The text that it was trained for, if its options tell."""


def load_mapper(
    path: str | Path, device: str | torch.device = "cpu", num_ws: int | None = None
) -> TextMapper | LatentMapper:
    """The mapper in a file of this project, or in a checkpoint of CF-CLIP or StyleCLIP.

    Args:
        path: what it is follows from its content, never from its name.
        device: where the mapper shall be; it is float32, in eval mode and without gradients.
        num_ws: as in `load_released_mapper`.

    Returns:
        a `TextMapper`; of StyleCLIP a `LatentMapper`, which knows one edit and takes no text.

    Raises:
        CheckpointError: the file is missing, damaged, of another kind, or holds unknown, missing,
            misshapen or non-finite tensors, which it names.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"there is no mapper file at {path}")
    if is_model_file(path):
        return load_text_mapper(path, device)
    return load_released_mapper(path, device, num_ws).mapper


def load_released_mapper(
    path: str | Path, device: str | torch.device = "cpu", num_ws: int | None = None
) -> ReleasedMapper:
    """The mapper in a checkpoint of CF-CLIP or StyleCLIP: `state_dict` and `opts`.

    Both become mappers with the pixel norm that they were trained with. `num_ws` is that of the
    generator to edit, which no tensor of a StyleCLIP mapper tells; if not given, that of the size
    in its options (`stylegan_size`). Raises `CheckpointError` as `load_mapper` does.
    """
    content = read_torch_file(path)
    source = f"mapper checkpoint {path}"
    options = options_of(content, source)
    state = network_of(content, source)
    mapper: TextMapper | LatentMapper
    try:
        if any(name.startswith(_TEXT_NETWORKS) for name in state):
            mapper = text_mapper_from_released(state)
        else:
            mapper = latent_mapper_from_styleclip(state, num_ws or _style_inputs(options, source))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    text = options.get("description")
    description = text.strip() if isinstance(text, str) else None
    return ReleasedMapper(mapper.to(device), description or None)


def _style_inputs(options: Mapping[str, object], source: str) -> int:
    """num_ws of a StyleGAN2 of the size in the options: two for each power of two from 4 px on."""
    size = options.get("stylegan_size")
    if not isinstance(size, int) or size < 4 or size.bit_count() != 1:
        raise CheckpointError(
            f"{source} says stylegan_size {size!r}, expected a power of two from 4 on; say how "
            "many style inputs the generator has (num_ws)"
        )
    return 2 * int(math.log2(size)) - 2
