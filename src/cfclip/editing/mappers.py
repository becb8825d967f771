"""Trained text mappers with a pack: opening one, and editing any number of pictures with it.

A mapper is a file of `cfclip.editors.text_mapper` whose metadata tells what it belongs to::

    pack, pack_version   for messages
    models               file name to SHA-256 of the generator and the embedder it was trained with
    prompts              what it was trained for
    step, validation     of the training; and source_text, latents, start, settings, cfclip

The checkpoints of CF-CLIP and StyleCLIP are opened too. They do not tell for which models they were
made: they are held to the sizes of the pack's, and their edits come with a warning.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from cfclip.editing.results import EditResult, circumstances
from cfclip.editing.sources import Source
from cfclip.editing.tuned_sources import generator_of
from cfclip.editors.latent_mapper import LatentMapper
from cfclip.editors.mapper_checkpoints import load_released_mapper
from cfclip.editors.optimisation_config import LatentOptimisationConfig
from cfclip.editors.text_mapper import (
    TextMapper,
    load_text_mapper,
    mapper_file,
    text_mapper_metadata,
)
from cfclip.embedders.prompts import check_prompt
from cfclip.errors import CheckpointError, InputError
from cfclip.generators.generator import Generator
from cfclip.io.text_formats import FormatError, field_of, named
from cfclip.io.weights import is_model_file
from cfclip.optim.descent import COMPLETED
from cfclip.packs.pack import Pack
from cfclip.provenance.output_names import edit_name
from cfclip.provenance.record import APPLY_KIND, file_origin
from cfclip.settings import MOST_AT_ONCE, check_number
from cfclip.tensors import pil_from_signed

BATCH = 16
"""Pictures that are edited at a time, at most."""

_PROMPTS_SHOWN = 10


@dataclass(frozen=True)
class PackMapper:
    """A mapper that fits an opened pack; make one with `open_mapper`."""

    mapper: TextMapper | LatentMapper
    """A `LatentMapper` knows one edit, whatever it is called."""
    device: torch.device
    prompts: tuple[str, ...]
    """What it was trained for; none if a released checkpoint does not tell."""
    origin: Mapping[str, Any]
    """Its file, hash and step, as records tell them."""
    released: bool = False
    """Whether it is a released checkpoint, which cannot tell whether it is for these models."""

    @property
    def reads_text(self) -> bool:
        """Whether the text makes a difference; otherwise it knows one edit."""
        return isinstance(self.mapper, TextMapper) and self.mapper.config.reads_text

    def choose(self, texts: Sequence[str], every: bool = False) -> tuple[str, ...]:
        """The prompts of an edit: the given ones, all that it was trained for, or the only one.

        Raises `InputError` for an unusable text, for both, for neither where it knows several, or
        for another text than its own where it reads none.
        """
        if texts and every:
            raise InputError("give texts or ask for all of them, not both (--text, --all-texts)")
        if not texts and not self.prompts:
            raise InputError("this mapper does not tell its texts; give one (--text)")
        if texts:
            chosen = tuple(dict.fromkeys(check_prompt(text) for text in texts))
            if not self.reads_text and (len(chosen) > 1 or self.prompts not in ((), chosen)):
                own = ", ".join(map(repr, self.prompts)) or "whatever it is called"
                raise InputError(
                    f"this mapper knows one edit, {own}, not {', '.join(map(repr, chosen))}; train "
                    "one for that, or a text mapper"
                )
            return chosen
        if every or len(self.prompts) == 1:
            return self.prompts
        shown = ", ".join(repr(prompt) for prompt in self.prompts[:_PROMPTS_SHOWN])
        rest = len(self.prompts) - _PROMPTS_SHOWN
        more = f" and {rest} more" if rest > 0 else ""
        raise InputError(
            f"this mapper was trained for {len(self.prompts)} texts, give one of them (--text) or "
            f"ask for all (--all-texts): {shown}{more}"
        )

    def warnings(self, prompts: Sequence[str]) -> tuple[str, ...]:
        """A line for each prompt that it was not trained for, and for models it does not name."""
        unknown = (
            ("the mapper does not tell for which models it was made; they fit by their sizes only",)
            if self.released
            else ()
        )
        known = set(self.prompts or prompts)
        return unknown + tuple(
            f"the mapper was not trained for {prompt!r}; the edit may have no effect or another one"
            for prompt in prompts
            if prompt not in known
        )

    def text_codes(self, features: Tensor) -> Tensor | None:
        """What `offset` takes, of a prompt's raw features `(text_dim,)`; None without a text."""
        return self.mapper.text_codes(features) if isinstance(self.mapper, TextMapper) else None

    def offset(self, ws: Tensor, codes: Tensor | None) -> Tensor:
        """What an edit adds to latents at strength 1, `(batch, num_ws, w_dim)`."""
        if isinstance(self.mapper, LatentMapper):
            return self.mapper.offset(ws)
        assert codes is not None  # of `text_codes`
        return self.mapper.offset(ws, codes)


def open_mapper(
    pack: Pack, run_or_file: str | Path, device: str | torch.device = "cpu"
) -> PackMapper:
    """The mapper of a training's folder (the best one) or of a file, checked against a pack.

    A file may also be a checkpoint of CF-CLIP or StyleCLIP. Raises `CheckpointError` when there is
    none, it is damaged, or was trained for other models.
    """
    path = mapper_file(run_or_file)
    # The folder of a training holds files of this project only.
    if Path(run_or_file).is_file() and not is_model_file(path):
        return _open_released(pack, path, device)
    about = text_mapper_metadata(path)
    with named(path, "give a mapper that cfclip train made", CheckpointError):
        models = field_of(about, "models", Mapping[str, str])
        prompts = tuple(map(check_prompt, field_of(about, "prompts", tuple[str, ...])))
        step = field_of(about, "step", int | None, None)
        if not prompts:
            raise FormatError("it does not tell for which prompts it was trained")
    name = f"{about.get('pack')} {about.get('pack_version')}"
    pack.check_models(path, models, f"it is one for pack {name}: open that, or train one for this")
    mapper = load_text_mapper(path, device)
    _check_sizes(pack, path, mapper, device)
    origin = {**file_origin(path), "step": step}
    return PackMapper(mapper, torch.device(device), prompts, origin)


def _open_released(pack: Pack, path: Path, device: str | torch.device) -> PackMapper:
    found = load_released_mapper(path, device, pack.generator(device).num_ws)
    _check_sizes(pack, path, found.mapper, device)
    prompts = () if found.description is None else (check_prompt(found.description),)
    return PackMapper(found.mapper, torch.device(device), prompts, file_origin(path), True)


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


def apply_mapper(
    pack: Pack,
    mapper: PackMapper,
    sources: Sequence[Source],
    prompt: str,
    strength: float = 1.0,
    batch: int = BATCH,
    notes: Sequence[str] = (),
) -> list[EditResult]:
    """Edit every source by one prompt, `batch` at a time; the results are in their order.

    An edit takes one pass of the mapper and one rendering. Of large pictures fewer are edited at a
    time (`Generator.images_at_once`).

    Args:
        pack: what `mapper` was opened with.
        mapper: what edits.
        sources: with latents of the pack's generator.
        prompt: a cleaned text.
        strength: factor on the edit.
        batch: the most at a time, at least 1.
        notes: warnings for every result.

    Raises:
        InputError: a text that the embedder cannot read, or a number out of its limits.
    """
    check_number("batch", batch, 1, MOST_AT_ONCE)
    LatentOptimisationConfig(strength=strength)  # which knows the limits
    facts = {
        "kind": APPLY_KIND,
        **circumstances(pack, mapper.device),
        "prompts": [prompt],
        "source_text": pack.manifest.source_text,
        "mapper": dict(mapper.origin),
        "strength": strength,
    }
    generator = pack.generator(mapper.device)
    with torch.no_grad():
        features = pack.embedder(mapper.device).text_features([prompt])[0]
        codes = mapper.text_codes(features)
    results: list[EditResult] = []
    for group in _groups(sources, min(batch, generator.images_at_once)):
        results += _apply(generator, mapper, codes, group, strength, facts, notes)
    return results


def _groups(sources: Sequence[Source], size: int) -> Iterator[Sequence[Source]]:
    """All of the sources, the last group as small as it has to be."""
    for start in range(0, len(sources), size):
        yield sources[start : start + size]


@torch.no_grad()
def _apply(
    generator: Generator,
    mapper: PackMapper,
    codes: Tensor | None,
    sources: Sequence[Source],
    strength: float,
    facts: Mapping[str, Any],
    notes: Sequence[str],
) -> list[EditResult]:
    """The edits of one group of sources."""
    began = time.perf_counter()
    generator = generator_of(sources, generator)
    latents = torch.stack([source.latents for source in sources]).to(mapper.device)
    offset = mapper.offset(latents, codes)
    images = edited_pictures(generator, latents, offset, strength)
    seconds = time.perf_counter() - began
    return [
        _result(generator, source, change, image, strength, facts, notes, seconds, len(sources))
        for source, change, image in zip(sources, offset, images, strict=True)
    ]


def edited_pictures(
    generator: Generator, latents: Tensor, offset: Tensor, strength: float | Tensor
) -> list[Image.Image]:
    """The pictures of latents moved by what `PackMapper.offset` gave for them.

    `strength` is one factor, or a tensor of one per picture, `(batch, 1, 1)`.
    """
    return pil_from_signed(generator.synthesis(latents + strength * offset))


def _result(
    generator: Generator,
    source: Source,
    offset: Tensor,
    image: Image.Image,
    strength: float,
    facts: Mapping[str, Any],
    notes: Sequence[str],
    seconds: float,
    batch: int,
) -> EditResult:
    @torch.no_grad()
    def render(factor: float) -> Image.Image:
        moved = source.latents.to(offset.device) + factor * offset
        return pil_from_signed(generator.synthesis(moved[None]))[0]

    warnings = (*source.warnings, *notes)
    prompts = tuple(facts["prompts"])
    record = {
        **facts,
        "batch": batch,
        "source": dict(source.origin),
        "inversion": source.inversion,
        "steps": 0,
        "stop_reason": COMPLETED,
        "stopped_from_outside": False,
        "interrupted": False,
        "seconds": round(seconds, 3),
        "warnings": list(warnings),
        "loss": {},
        "history": {},
    }
    return EditResult(
        image=image,
        source=source.image,
        reconstruction=source.reconstruction,
        latents=source.latents,
        offset=offset.clone().cpu(),
        strength=strength,
        prompts=prompts,
        history={},
        warnings=warnings,
        stop_reason=COMPLETED,
        steps=0,
        seconds=seconds,
        record=record,
        name=edit_name(source.name, prompts),
        render=render,
        photo=source.photo,
    )
