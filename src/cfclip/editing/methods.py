"""The methods of editing that are compared, by name: the one place that says what each of them is.

    method                     settings                   files
    cfclip-optimisation        LatentOptimisationConfig   -
    cfclip-mapper              MapperEditConfig           runs of `cfclip train`
    logit-text-map             LatentOptimisationConfig   -
    styleclip-optimisation     LatentOptimisationConfig   -
    styleclip-mapper           MapperEditConfig           runs of --preset styleclip-mapper
    styleclip-global           GlobalDirectionsConfig     file of `cfclip fit-global-directions`
    directional-optimisation   LatentOptimisationConfig   -
    directional-mapper         MapperEditConfig           runs of --preset directional-mapper

`cfclip-optimisation` and `logit-text-map` begin with the pack's own defaults, the baselines with
the published settings, which docs/BASELINES.md lists. All of them take an `EditRequest` and give
an `EditResult`, so that strength, masks and rendering are the same code for all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import torch
from torch import Tensor

from cfclip.editing.defaults import edit_settings, make_config
from cfclip.editing.mappers import open_mapper
from cfclip.editors.channel_statistics import channel_report
from cfclip.editors.editor import Editor, EditRequest, EditResult
from cfclip.editors.global_config import GlobalDirectionsConfig
from cfclip.editors.global_directions import GlobalDirections
from cfclip.editors.latent_optimisation import LatentOptimisation
from cfclip.editors.mapper_config import MapperEditConfig
from cfclip.editors.mapper_editor import MapperEdit
from cfclip.editors.optimisation_config import LatentOptimisationConfig
from cfclip.editors.presets import (
    LOGIT_TEXT_MAP,
    directional_optimisation,
    styleclip_optimisation,
)
from cfclip.editors.text_mapper import mapper_file, text_mapper_metadata
from cfclip.embedders.prompts import check_prompt
from cfclip.errors import InputError
from cfclip.io.text_formats import field_of
from cfclip.losses.terms import ObjectiveName, beyond_published
from cfclip.packs.manifest import PackManifest
from cfclip.packs.pack import Pack
from cfclip.training.runs import logged_seconds


class Method(Protocol):
    """What a comparison needs of a method."""

    @property
    def name(self) -> str:
        """One of `METHODS`."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Every setting of its edits, the defaults included, as JSON values."""

    @property
    def seconds_of_training(self) -> float | None:
        """Seconds of work before the first edit, all files together; None if nobody measured."""

    def edit(self, request: EditRequest) -> EditResult:
        """Edit a batch of images; what happens to one does not depend on the others.

        Raises `InputError` for a request that the method cannot do, such as a prompt that no
        mapper was trained for.
        """


@dataclass(frozen=True)
class Ingredients:
    """What a method is made of."""

    name: str
    """One of `METHODS`."""
    pack: Pack
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the method's configuration, over its defaults."""
    files: tuple[Path, ...] = ()
    """Runs, mappers or statistics that the method takes, see the module."""
    device: str | torch.device = "cpu"

    def models(self) -> tuple[Any, Any]:
        """The generator and the embedder."""
        return self.pack.generator(self.device), self.pack.embedder(self.device)


@dataclass(frozen=True)
class PlainMethod:
    """A method that edits every prompt with one editor."""

    name: str
    editor: Editor
    settings: Mapping[str, Any]
    seconds_of_training: float | None

    def edit(self, request: EditRequest) -> EditResult:
        return self.editor.edit(request)


@dataclass(frozen=True)
class MapperMethod:
    """A method with mappers: a prompt is edited by the first mapper that was trained for it."""

    name: str
    editors: Mapping[str, Editor]
    """Prompt to what edits by it."""
    settings: Mapping[str, Any]
    seconds_of_training: float | None

    def edit(self, request: EditRequest) -> EditResult:
        prompts = tuple(check_prompt(prompt) for prompt in request.prompts)
        if len(prompts) != 1 or prompts[0] not in self.editors:
            raise InputError(
                f"no mapper of {self.name} was trained for {', '.join(map(repr, prompts))} alone; "
                "train one for it, or leave it out"
            )
        return self.editors[prompts[0]].edit(request)


def open_method(
    name: str,
    pack: Pack,
    settings: Mapping[str, Any] | None = None,
    files: Sequence[str | Path] = (),
    device: str | torch.device = "cpu",
) -> Method:
    """A method that is ready to edit.

    Args:
        name: one of `METHODS`.
        pack: the models.
        settings: fields of the method's configuration, over its defaults.
        files: what the method takes, see the module: for mappers one or several runs (folders) or
            mapper files; for `styleclip-global` the file of channel statistics.
        device: where to compute.

    Raises:
        InputError: an unknown method or setting, or files too many or too few.
        CheckpointError: a file that is missing, damaged or made for other models.
        PackError: `logit-text-map` with a pack that has no text map.
    """
    if name not in METHODS:
        raise InputError(f"method is {name!r}, expected one of {', '.join(METHODS)}")
    return METHODS[name](Ingredients(name, pack, settings or {}, tuple(map(Path, files)), device))


def edit_request(
    manifest: PackManifest,
    latents: Tensor,
    prompt: str,
    seed: int,
    indices: Sequence[int] | None = None,
) -> EditRequest:
    """What a method is asked for, with the pack's texts as a session gives them.

    Args:
        manifest: of the pack.
        latents: `(batch, num_ws, w_dim)` of the sources.
        prompt: the text of the edit.
        seed: of every random draw.
        indices: see `EditRequest`.
    """
    return EditRequest(
        latents=latents,
        prompts=(prompt,),
        source_text=manifest.source_text,
        templates=manifest.templates,
        unrealistic_text=manifest.unrealistic_text,
        aspects=tuple(manifest.aspects.values()),
        seed=seed,
        indices=indices,
    )


def _optimisation(made_of: Ingredients, config: LatentOptimisationConfig) -> Method:
    _check_files(made_of, 0, 0)
    text_map = made_of.pack.text_map(made_of.device) if config.start == "text-map" else None
    editor = LatentOptimisation(*made_of.models(), config, text_map)
    # Nothing is trained for the first; the fit of a pack's text map was not timed.
    seconds = 0.0 if text_map is None else None
    return PlainMethod(made_of.name, editor, asdict(config), seconds)


def _of_pack(preset: Mapping[str, Any]) -> Callable[[Ingredients], Method]:
    """Optimisation with a pack's defaults, then `preset`, then the settings."""

    def build(made_of: Ingredients) -> Method:
        values = {**preset, **made_of.settings}
        return _optimisation(made_of, edit_settings(made_of.pack.manifest, **values))

    return build


def _as_published(preset: Callable[[Any], Mapping[str, Any]]) -> Callable[[Ingredients], Method]:
    """Optimisation with the settings of a publication, whatever the pack's defaults."""

    def build(made_of: Ingredients) -> Method:
        generator, _ = made_of.models()
        values = {**preset(generator), **made_of.settings}
        return _optimisation(made_of, make_config(LatentOptimisationConfig, values))

    return build


def _mappers(published: ObjectiveName | None) -> Callable[[Ingredients], Method]:
    """Mappers of runs: CF-CLIP's, which read their text, however they were trained; or StyleCLIP's,
    which do not, trained with one objective and without terms of ours."""

    def build(made_of: Ingredients) -> Method:
        _check_files(made_of, 1, None)
        config = make_config(MapperEditConfig, made_of.settings)
        editors: dict[str, Editor] = {}
        for file in made_of.files:
            opened = open_mapper(made_of.pack, file, made_of.device)
            if opened.reads_text != (published is None):
                kind = "text" if published is None else "latent"
                raise InputError(
                    f"{file} is no {kind} mapper, which {made_of.name} takes (--mapper {kind})"
                )
            if published is not None:
                _check_published(made_of.name, file, published)
            editor = MapperEdit(*made_of.models(), opened.mapper, config)
            editors = {**dict.fromkeys(opened.prompts, editor), **editors}
        return MapperMethod(made_of.name, editors, asdict(config), _seconds(made_of.files))

    return build


def _global(made_of: Ingredients) -> Method:
    _check_files(made_of, 1, 1)
    config = make_config(GlobalDirectionsConfig, made_of.settings)
    (file,) = made_of.files
    statistics = made_of.pack.channel_statistics(file, made_of.device)
    editor = GlobalDirections(*made_of.models(), statistics, config)
    seconds = field_of(channel_report(file), "seconds", float | None, None)
    return PlainMethod(made_of.name, editor, asdict(config), seconds)


METHODS: Mapping[str, Callable[[Ingredients], Method]] = MappingProxyType(
    {
        "cfclip-optimisation": _of_pack({"objective": "clip_nce"}),
        "cfclip-mapper": _mappers(published=None),
        "logit-text-map": _of_pack(LOGIT_TEXT_MAP),
        "styleclip-optimisation": _as_published(styleclip_optimisation),
        "styleclip-mapper": _mappers(published="global"),
        "styleclip-global": _global,
        "directional-optimisation": _as_published(directional_optimisation),
        "directional-mapper": _mappers(published="directional"),
    }
)
"""What makes each method of its ingredients; use `open_method`."""

OURS = ("cfclip-optimisation", "cfclip-mapper", "logit-text-map")
"""CF-CLIP's; the others are what it is compared with."""

OPTIMISATIONS = (
    *("cfclip-optimisation", "logit-text-map"),
    *("styleclip-optimisation", "directional-optimisation"),
)
"""The methods that take steps for each edit, and no files."""


def _check_files(made_of: Ingredients, fewest: int, most: int | None) -> None:
    count = len(made_of.files)
    if count < fewest or (most is not None and count > most):
        wanted = str(fewest) if fewest == most else f"{fewest} or more"
        raise InputError(f"{count} files are given for {made_of.name}, expected {wanted}")


def _check_published(name: str, file: Path, objective: ObjectiveName) -> None:
    """A result of ours must not go by the name of a published method."""
    found = text_mapper_metadata(mapper_file(file)).get("settings")
    beyond = list(beyond_published(found if isinstance(found, dict) else {}, objective))
    if beyond:
        raise InputError(
            f"{file} was trained with {', '.join(beyond)}, which {name} does not take; train it "
            f"with --preset {name}"
        )


def _seconds(files: Sequence[Path]) -> float | None:
    seconds = [logged_seconds(file if file.is_dir() else file.parent) for file in files]
    known = [each for each in seconds if each is not None]
    return sum(known) if len(known) == len(files) else None
