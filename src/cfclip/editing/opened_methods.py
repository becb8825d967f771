"""Methods of editing that are opened for a pack, ready to edit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import torch
from torch import Tensor, nn

from cfclip.editing.methods import Method, method_named
from cfclip.editors import (
    BatchEdit,
    Editor,
    EditRequest,
    EditTexts,
    LatentOptimisation,
    OpenMapperEdit,
    mapper_file,
    parse_layers,
)
from cfclip.embedders import check_prompt
from cfclip.errors import InputError
from cfclip.io import field_of
from cfclip.losses import NETWORK_TERMS
from cfclip.packs import Pack, PackManifest
from cfclip.provenance import file_origin
from cfclip.regions import parse_parts
from cfclip.settings import EditSettings

_IDENTITY = "identity"
"""The term whose network a pack may bring."""


@dataclass(frozen=True)
class Opening:
    """What an editor is made of."""

    method: Method
    pack: Pack
    device: str | torch.device
    config: Any
    """The settings, of the method's class."""
    files: tuple[Path, ...]
    text_map: Path | None
    """Instead of the pack's."""

    @property
    def models(self) -> tuple[Any, Any]:
        """The generator and the embedder."""
        return self.pack.generator(self.device), self.pack.embedder(self.device)


@dataclass(frozen=True)
class OpenedMethod:
    """A method that is ready to edit; make one with `open_method`."""

    name: str
    """That of the method, if it was not renamed."""
    method: Method
    config: EditSettings
    editors: tuple[Editor, ...]
    """One; or several, of which each edits by the prompts that it was trained for."""
    files: tuple[Path, ...] = ()
    text_map: Mapping[str, Any] | None = None
    """File of the text map, as records tell it, if it is not the pack's."""

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every setting of its edits, the defaults included, as JSON values."""
        return asdict(self.config)

    @property
    def facts(self) -> dict[str, Any]:
        """What records tell of it."""
        return {
            "method": self.method.name,
            "files": self.origins,
            "text_map": self.text_map,
            "settings": self.settings,
        }

    @cached_property
    def origins(self) -> list[dict[str, Any]]:
        """Its files, as records tell them."""
        known = [dict(editor.origin) for editor in self.editors if editor.origin]
        return known or [file_origin(file) for file in self.files]

    @cached_property
    def seconds_of_training(self) -> float | None:
        """Seconds of work before the first edit, all files together; None if nobody measured."""
        first = self.editors[0]
        if self.method.optimises:  # the fit of a pack's text map was not timed
            mapped = isinstance(first, LatentOptimisation) and first.text_map is not None
            return None if mapped else 0.0
        seconds = [_seconds_of(file, first) for file in self.files]
        known = [each for each in seconds if each is not None]
        return sum(known) if len(known) == len(seconds) else None

    @property
    def one_pass(self) -> bool:
        """Whether edits take no steps, so that many pictures are best edited together."""
        return self.editors[0].one_pass

    @property
    def prompts(self) -> tuple[str, ...]:
        """What it was trained for; none if any text will do."""
        return tuple(dict.fromkeys(each for editor in self.editors for each in editor.prompts))

    def choose(self, texts: Sequence[str], every: bool = False) -> tuple[str, ...]:
        """The prompts that given texts mean, cleaned; see `Editor.choose`."""
        if len(self.editors) > 1:
            from cfclip.editors import choose_prompts

            return choose_prompts(texts, every, self.prompts)
        return self.editors[0].choose(texts, every)

    def editor_of(self, prompts: Sequence[str]) -> Editor:
        """What edits by these prompts.

        Raises `InputError` for a compared method that has no mapper for them.
        """
        if not (self.method.compared and self.prompts):
            return self.editors[0]
        cleaned = tuple(map(check_prompt, prompts))
        for editor in self.editors:
            if len(cleaned) == 1 and cleaned[0] in editor.prompts:
                return editor
        raise InputError(
            f"no mapper of {self.method.name} was trained for {', '.join(map(repr, cleaned))} "
            "alone; train one for it, or leave it out"
        )

    def warnings(self, prompts: Sequence[str]) -> tuple[str, ...]:
        """What a user should know of edits by these prompts, one line each."""
        return self.editors[0].warnings(prompts) if len(self.editors) == 1 else ()

    def with_settings(self, **settings: Any) -> "OpenedMethod":
        """The same with other settings of those that all methods share, see `EditSettings`.

        Raises `InputError` for a value out of its limits.
        """
        config = replace(self.config, **settings)
        editors = tuple(editor.varied(config=config) for editor in self.editors)
        return replace(self, config=config, editors=editors)

    def edit(self, request: EditRequest) -> BatchEdit:
        """Edit a batch of images; what happens to one does not depend on the others.

        Raises `InputError` for a request that the method cannot do, such as a prompt that no
        mapper was trained for.
        """
        return self.editor_of(request.prompts).edit(request)


def open_method(
    name: str,
    pack: Pack,
    settings: Mapping[str, Any] | None = None,
    files: Sequence[str | Path] = (),
    device: str | torch.device = "cpu",
    *,
    config: EditSettings | None = None,
    text_map: str | Path | None = None,
) -> OpenedMethod:
    """A method that is ready to edit.

    Args:
        name: one of `METHODS`.
        pack: the models.
        settings: fields of the method's settings, over its defaults and `config`.
        files: what the method takes, such as one or several runs or files of mappers.
        device: where to compute.
        config: settings of the method; what it was made with goes over the defaults.
        text_map: file of the linear text map that a start "text-map" takes; the pack's if not
            given.

    Raises:
        InputError: an unknown method or setting, or files too many or too few.
        CheckpointError: a file that is missing, damaged or made for other models.
        PackError: a start "text-map" with a pack that has no text map.
    """
    method = method_named(name)
    method.check_files(len(files))
    chosen = method.configure(pack.manifest, pack.folder, config, settings or {})
    own_map = None if text_map is None else Path(text_map)
    if own_map is not None and not method.optimises:
        raise InputError(f"a text map is given, which {name} does not take; leave it out")
    opening = Opening(method, pack, device, chosen, tuple(map(Path, files)), own_map)
    make: Callable[..., Any] = resolve_name(method.editor)
    if isinstance(make, type):
        editors = [make(*opening.models, chosen, *opening.files)]
    else:
        editors = make(opening)
    origin = None if own_map is None else file_origin(own_map)
    parts = pack.parts(device) if pack.has_parts else None
    if chosen.parts and parts is not None:
        parts.chosen(parse_parts(chosen.parts))  # before any edit
    telling = tuple(editor.varied(parts=parts) for editor in editors)
    return OpenedMethod(name, method, chosen, telling, opening.files, origin)


def edit_texts(
    manifest: PackManifest,
    prompts: tuple[str, ...],
    source_text: str | None = None,
    unrealistic_text: str | None = None,
) -> EditTexts:
    """The texts of an edit with a pack: its own, where they are not given.

    Raises `InputError` for a text that is none.
    """
    unrealistic = manifest.unrealistic_text if unrealistic_text is None else unrealistic_text
    return EditTexts(
        prompts=prompts,
        source_text=check_prompt(manifest.source_text if source_text is None else source_text),
        templates=manifest.templates,
        unrealistic_text=check_prompt(unrealistic),
        aspects=manifest.aspects,
    )


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
    texts = vars(edit_texts(manifest, (prompt,)))
    return EditRequest(**texts, latents=latents, seed=seed, indices=indices)


def optimisation(opening: Opening) -> list[Editor]:
    """Latent optimisation, with the text map that it starts from."""
    generator, embedder = opening.models
    config = opening.config
    parse_layers(config.layers, generator.num_ws)
    text_map = None
    if config.start == "text-map":
        text_map = opening.pack.text_map(opening.device, opening.text_map)
        text_map.check_fusion(config.fusion)
    elif opening.text_map is not None:
        raise InputError(
            "a text map is given, but the edit starts from its source; let it start from the map "
            "(--start text-map)"
        )
    return [LatentOptimisation(generator, embedder, config, text_map, _networks(opening))]


def _networks(opening: Opening) -> dict[str, nn.Module]:
    """Those of the objective's terms that have one, of the method's files, in the order of the
    terms; the pack's identity network if it is the one that no file is given for."""
    weights, files = opening.config.weights(), list(opening.files)
    needed = [name for name in NETWORK_TERMS if name in weights]
    own = opening.pack.identity_file if _IDENTITY in needed else None
    if own is not None and len(files) == len(needed) - 1:
        files.insert(needed.index(_IDENTITY), own)
    if len(files) != len(needed):
        of = f" (--files): the network of {' and of '.join(needed)}" if needed else ""
        raise InputError(
            f"{len(files)} files are given for {opening.method.name}, expected {len(needed)}{of}"
        )
    if not needed:
        return {}
    from cfclip.features import NetworkFiles

    return NetworkFiles(**dict(zip(needed, files, strict=True))).load(weights, opening.device)


def instant(opening: Opening) -> list[Editor]:
    """The open mapper of the pack, or that of a run or file."""
    file = mapper_file(opening.files[0]) if opening.files else None
    mapper = opening.pack.open_mapper(opening.device, file)
    origin = None if file is None else file_origin(file)  # records name the pack anyway
    return [OpenMapperEdit(*opening.models, mapper, opening.config, origin)]


def global_directions(opening: Opening) -> list[Editor]:
    """Global directions, with the statistics of their file."""
    from cfclip.editors import GlobalDirections

    (file,) = opening.files
    statistics = opening.pack.channel_statistics(file, opening.device)
    return [GlobalDirections(*opening.models, statistics, opening.config)]


def _seconds_of(file: Path, editor: Editor) -> float | None:
    """Seconds of work that made a file, if it or its training tells."""
    from cfclip.editors import GlobalDirections, channel_report
    from cfclip.training import logged_seconds

    if isinstance(editor, GlobalDirections):
        fitted: float | None = field_of(channel_report(file), "seconds", float | None, None)
        return fitted
    return logged_seconds(file if file.is_dir() else file.parent)
