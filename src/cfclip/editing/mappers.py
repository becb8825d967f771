"""Trained text mappers with a pack: opening one, checked against the models.

A mapper is a file of `cfclip.editors.text_mapper` whose metadata tells what it belongs to::

    pack, pack_version   for messages
    models               file name to SHA-256 of the generator and the embedder it was trained with
    prompts              what it was trained for
    step, validation     of the training; and source_text, latents, start, settings, cfclip

The checkpoints of CF-CLIP and StyleCLIP are opened too. They do not tell for which models they were
made: they are held to the sizes of the pack's, and their edits come with a warning.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from cfclip.editors import (
    Editor,
    LatentMapper,
    MapperEdit,
    MapperEditConfig,
    TextMapper,
    load_released_mapper,
    load_text_mapper,
    mapper_file,
    text_mapper_metadata,
)
from cfclip.embedders import check_prompt
from cfclip.errors import CheckpointError, InputError
from cfclip.io import FormatError, field_of, is_model_file, named
from cfclip.losses import ObjectiveName, beyond_published
from cfclip.packs import Pack
from cfclip.provenance import file_origin

if TYPE_CHECKING:
    from cfclip.editing.opened_methods import Opening


def open_mapper(
    pack: Pack,
    run_or_file: str | Path,
    device: str | torch.device = "cpu",
    config: MapperEditConfig | None = None,
) -> MapperEdit:
    """The mapper of a training's folder (the best one) or of a file, checked against a pack.

    A file may also be a checkpoint of CF-CLIP or StyleCLIP. Raises `CheckpointError` when there is
    none, it is damaged, or was trained for other models.
    """
    path = mapper_file(run_or_file)
    mapper: TextMapper | LatentMapper
    prompts: tuple[str, ...] = ()
    # The folder of a training holds files of this project only.
    released = Path(run_or_file).is_file() and not is_model_file(path)
    origin = file_origin(path)
    if released:
        found = load_released_mapper(path, device, pack.generator(device).num_ws)
        mapper = found.mapper
        if found.description is not None:
            prompts = (check_prompt(found.description),)
    else:
        metadata = text_mapper_metadata(path)
        with named(path, "give a mapper that cfclip train made", CheckpointError):
            models = field_of(metadata, "models", Mapping[str, str])
            prompts = tuple(map(check_prompt, field_of(metadata, "prompts", tuple[str, ...])))
            origin["step"] = field_of(metadata, "step", int | None, None)
            if not prompts:
                raise FormatError("it does not tell for which prompts it was trained")
        name = f"{metadata.get('pack')} {metadata.get('pack_version')}"
        remedy = f"it is one for pack {name}: open that, or train one for this"
        pack.check_models(path, models, remedy)
        mapper = load_text_mapper(path, device)
    _check_sizes(pack, path, mapper, device)
    models_of_pack = pack.generator(device), pack.embedder(device)
    return MapperEdit(*models_of_pack, mapper, config, prompts, origin, released)


def _check_sizes(
    pack: Pack, path: Path, mapper: TextMapper | LatentMapper, device: str | torch.device
) -> None:
    names, generator = ["num_ws", "w_dim"], pack.generator(device)
    expected = [generator.num_ws, generator.w_dim]
    if isinstance(mapper, TextMapper):
        names.append("text_dim")
        expected.append(pack.embedder(device).dim)
    found = [getattr(mapper.config, name) for name in names]
    if found != expected:
        raise CheckpointError(
            f"{path} has ({', '.join(names)}) {tuple(found)}, the models of the pack "
            f"{tuple(expected)}; give the mapper of this pack, or the pack of this mapper"
        )


def mappers(opening: "Opening") -> list[Editor]:
    """Mappers of any kind; of compared methods CF-CLIP's, which read their text, however they were
    trained, or StyleCLIP's, which do not and are trained as published."""
    editors: list[Editor] = []
    name, published = opening.method.name, opening.method.published
    for file in opening.files:
        mapper = open_mapper(opening.pack, file, opening.device, opening.config)
        if opening.method.compared and mapper.reads_text != (published is None):
            kind = "text" if published is None else "latent"
            raise InputError(f"{file} is no {kind} mapper, which {name} takes (--mapper {kind})")
        if published is not None:
            _check_published(name, file, published)
        editors.append(mapper)
    return editors


def _check_published(name: str, file: Path, objective: ObjectiveName) -> None:
    """A result of ours must not go by the name of a published method."""
    settings = text_mapper_metadata(mapper_file(file)).get("settings")
    beyond = list(beyond_published(settings if isinstance(settings, dict) else {}, objective))
    if beyond:
        raise InputError(
            f"{file} was trained with {', '.join(beyond)}, which {name} does not take; train it "
            f"with --preset {name}"
        )
