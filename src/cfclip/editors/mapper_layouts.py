"""The checkpoint layouts of the released CF-CLIP text mappers and StyleCLIP latent mappers.

Both were trained with the pixel norm over layers, so both become mappers in that mode. A checkpoint
also has the generator that it was trained with, under `decoder.`: that is not read here.
"""

import re
from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor, nn

from cfclip.editors.latent_mapper import LatentMapper
from cfclip.editors.mapper_config import GROUPS, Group, LatentMapperConfig, TextMapperConfig
from cfclip.editors.text_mapper import TextMapper
from cfclip.errors import CheckpointError, InputError
from cfclip.io import check_tensors, meta_device

_CFCLIP = "CF-CLIP checkpoint"
_STYLECLIP = "StyleCLIP checkpoint"
_GENERATOR = "decoder."
_FUSION = "mapper.fc"
_GROUP_NAMES: Mapping[str, str] = {
    "coarse": "mapper.course_mapping",  # spelt so in the files
    "medium": "mapper.medium_mapping",
    "fine": "mapper.fine_mapping",
}
_TEXT_NAME = "text_mapper.mapper_{}"
_TEXT_MAPPER = re.compile(r"text_mapper\.mapper_(\d+)\.")
_LINEAR = re.compile(r"\.mapping\.(\d+)\.weight")

Mapper = TypeVar("Mapper", bound=nn.Module)


def text_mapper_from_released(state: Mapping[str, Tensor]) -> TextMapper:
    """The text mapper in the `state` dict of a released CF-CLIP checkpoint.

    The number of layers, the sizes and the groups that are switched on are read from names and
    shapes. The result is float32, in eval mode and without gradients. Raises `CheckpointError`
    naming every unknown, missing or misshapen tensor.
    """
    weights = _without_generator(state)
    # Counted, not taken from the highest number: a gap then shows as a missing tensor.
    layers = {match[1] for name in weights if (match := _TEXT_MAPPER.match(name))}
    try:
        config = TextMapperConfig(
            num_ws=len(layers),
            w_dim=_size(weights, f"{_FUSION}.weight", 0, _CFCLIP),
            text_dim=_size(weights, f"{_TEXT_NAME.format(0)}.mapping.1.weight", 1, _CFCLIP),
            groups=_groups(weights),
            mapping_layers=_mapping_layers(weights),
            text_layout="all",
            legacy_pixel_norm=True,
        )
    except InputError as error:
        raise CheckpointError(f"{_CFCLIP} is not a usable text mapper: {error}") from error
    with meta_device():
        mapper = TextMapper(config)
    return _load(mapper, weights, _CFCLIP)


def latent_mapper_from_styleclip(state: Mapping[str, Tensor], num_ws: int) -> LatentMapper:
    """The latent mapper in the `state` dict of a released StyleCLIP checkpoint.

    `num_ws` is that of the generator to edit, since no tensor tells it. The rest is as in
    `text_mapper_from_released`; raises `InputError` for a `num_ws` below 1.
    """
    if num_ws < 1:
        raise InputError(f"num_ws is {num_ws}, it must be at least 1")
    weights = _without_generator(state)
    groups = _groups(weights)
    first = _GROUP_NAMES[groups[0] if groups else GROUPS[0]]
    try:
        config = LatentMapperConfig(
            num_ws=num_ws,
            w_dim=_size(weights, f"{first}.mapping.1.weight", 1, _STYLECLIP),
            groups=groups,
            mapping_layers=_mapping_layers(weights),
            legacy_pixel_norm=True,
        )
    except InputError as error:
        raise CheckpointError(f"{_STYLECLIP} is not a usable latent mapper: {error}") from error
    with meta_device():
        mapper = LatentMapper(config)
    return _load(mapper, weights, _STYLECLIP)


def _without_generator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not name.startswith(_GENERATOR)}


def _groups(weights: Mapping[str, Tensor]) -> tuple[Group, ...]:
    """The groups that have any tensor."""
    owners = {name.partition(".mapping.")[0] for name in weights}
    return tuple(group for group in GROUPS if _GROUP_NAMES[group] in owners)


def _mapping_layers(weights: Mapping[str, Tensor]) -> int:
    """Fully connected layers of the mapping networks; the pixel norm before them has number 0."""
    return len({match[1] for name in weights if (match := _LINEAR.search(name))})


def _size(weights: Mapping[str, Tensor], name: str, axis: int, source: str) -> int:
    """Length of one axis of a matrix."""
    if name not in weights:
        raise CheckpointError(f"{source} is of another kind: missing {name}")
    if weights[name].ndim != 2:
        shape = tuple(weights[name].shape)
        raise CheckpointError(f"{source} is damaged: {name} has shape {shape}, expected a matrix")
    return weights[name].shape[axis]


def _load(mapper: Mapper, weights: Mapping[str, Tensor], source: str) -> Mapper:
    """`mapper`, so far without memory, with `weights`; problems are told in the file's names."""
    own = mapper.state_dict()
    theirs = {name: _released_name(name) for name in own}
    check_tensors({theirs[name]: tuple(own[name].shape) for name in own}, weights, source)
    mapper.to_empty(device="cpu")
    mapper.load_state_dict({name: weights[theirs[name]] for name in own})
    return mapper.eval().requires_grad_(False)


def _released_name(name: str) -> str:
    """Our tensor's name to its name in a released checkpoint."""
    *owner, part = name.split(".")
    if owner == ["fusion"]:
        return f"{_FUSION}.{part}"
    *_, kind, key, _, number = owner
    theirs = _TEXT_NAME.format(key) if kind == "text_mappers" else _GROUP_NAMES[key]
    return f"{theirs}.mapping.{int(number) + 1}.{part}"
