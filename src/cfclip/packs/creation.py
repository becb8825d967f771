"""Makes a pack of models that were trained elsewhere: a generator, a CLIP, and what helps them.

Every model is opened by its content, checked against the others, written in the pack's formats and
tried once, before the pack appears under its name; until then nothing of it can be seen.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from cfclip.embedders import (
    MERGES_FILE,
    OpenedClip,
    check_prompt,
    fill_templates,
    imagenet_templates,
    load_tokenizer,
    open_clip_model,
    save_clip,
)
from cfclip.encoders import StyleEncoderKind, load_encoder, save_encoder
from cfclip.errors import CheckpointError, PackError
from cfclip.features import load_identity, save_identity
from cfclip.generators import (
    LatentStatistics,
    OpenedGenerator,
    StyleGAN2,
    measure_latents,
    open_generator,
    save_generator,
    save_latent_statistics,
)
from cfclip.io import sha256_of
from cfclip.packs.assembly import assemble_pack
from cfclip.packs.manifest import PackDefaults, PackManifest
from cfclip.packs.pack import (
    CLIP_FOLDER,
    ENCODER_FILE,
    GENERATOR_FILE,
    IDENTITY_FILE,
    LATENT_STATISTICS_FILE,
    Pack,
)
from cfclip.packs.registry import built_aside, free_folder
from cfclip.tensors import RGB_CHANNELS

VERSION = "1"
UNREALISTIC_TEXT = "a blurry, distorted picture"
"""What a broken picture of any pack looks like, where its maker says nothing better."""
UNSTATED = "not stated"

_EDIT_DEFAULTS = {"region": "changed"}
"""Until the pack knows its parts. Of 174 validation edits of avatars 72 % were exact unconfined,
77 % confined by what changes."""
_FARTHEST_MEAN = 0.5
"""Distance of a generator's own mean latent from the measured one, in spreads, that is told; that
of 10,000 samples is off by 0.01."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class PackParts:
    """What a pack is made of."""

    name: str
    """Lower-case letters, digits and hyphens."""
    generator: Path
    """A file that `load_generator` opens."""
    clip: str
    """A source that `open_clip_model` opens."""
    source_text: str
    """What any picture of the generator shows."""
    encoder: Path | None = None
    """A file that `load_encoder` opens, for this generator."""
    encoder_kind: StyleEncoderKind | None = None
    """Of an encoder whose file does not tell."""
    identity: Path | None = None
    """A file laid out as `model_ir_se50.pth`; for faces."""
    unrealistic_text: str = UNREALISTIC_TEXT
    """What a broken picture looks like."""
    licence: str = UNSTATED
    """Of the weights."""
    attribution: str = ""
    """Whom to credit."""
    origin: str = ""
    """Where the weights are from; their file names and hashes are always told."""
    templates: tuple[str, ...] = field(default_factory=imagenet_templates)
    """Prompt templates."""


@dataclass(frozen=True)
class CreatedPack:
    """A pack that was made, and what is worth knowing about it."""

    pack: Pack
    warnings: tuple[str, ...]


def create_pack(
    parts: PackParts, place: str | Path, report: Report = lambda line: None
) -> CreatedPack:
    """Make the pack `place`/NAME; `place` is made if needed.

    Args:
        parts: what it is made of.
        place: folder that the pack's folder shall be in.
        report: told in a line before each step that takes long, and what was found.

    Raises:
        InputError: a text that cannot be used, or a name that is taken.
        CheckpointError: a file that cannot be opened, or models that do not fit each other.
        PackError: a name of another form, or a pack that does not work when it is tried.
    """
    source_text, unrealistic = check_prompt(parts.source_text), check_prompt(parts.unrealistic_text)
    folder = free_folder(place, parts.name)
    report(f"opening the generator {parts.generator}")
    opened = open_colour_generator(parts.generator)
    generator = opened.generator
    statistics = measure_latents(generator)
    report(f"opening the CLIP {parts.clip}")
    clip = open_clip_model(parts.clip)
    report(f"CLIP with {clip.activation}")
    report(f"writing and trying {folder}")
    with built_aside(folder) as building:
        save_generator(generator, building / GENERATOR_FILE)
        save_latent_statistics(statistics, building / LATENT_STATISTICS_FILE)
        _write_clip(clip, building / CLIP_FOLDER)
        if parts.encoder is not None:
            _write_encoder(parts.encoder, parts.encoder_kind, generator, building / ENCODER_FILE)
        if parts.identity is not None:
            save_identity(load_identity(parts.identity), building / IDENTITY_FILE)
        manifest = PackManifest(
            name=parts.name,
            version=VERSION,
            licence=parts.licence,
            origin=_origin(parts, clip),
            attribution=parts.attribution,
            resolution=generator.resolution,
            source_text=source_text,
            unrealistic_text=unrealistic,
            templates=parts.templates,
            defaults=PackDefaults(edit=_EDIT_DEFAULTS),
            card={"models": _models_text(parts, opened, statistics, clip)},
        )
        _try(assemble_pack(building, manifest))
    return CreatedPack(Pack.open(folder), _warnings(parts, opened, statistics))


def open_colour_generator(path: Path) -> OpenedGenerator:
    """The generator of a pack to be. Raises `CheckpointError` for a file that holds none."""
    opened = open_generator(path)
    if opened.generator.img_channels != RGB_CHANNELS:
        raise CheckpointError(
            f"{path} makes pictures of {opened.generator.img_channels} channels, expected "
            f"{RGB_CHANNELS}; packs are of colour pictures"
        )
    return opened


def _write_clip(clip: OpenedClip, folder: Path) -> None:
    model_cfg, preprocess_cfg = clip.config["model_cfg"], clip.config["preprocess_cfg"]
    save_clip(clip.model, model_cfg, preprocess_cfg, folder, _smallest_exact(clip.model))
    if clip.merges is not None:
        shutil.copyfile(clip.merges, folder / MERGES_FILE)
        load_tokenizer(folder / MERGES_FILE, clip.tokenizer.context_length)


def _smallest_exact(model: nn.Module) -> torch.dtype:
    """float16 if it holds every matrix exactly, as OpenAI's weights are; else float32."""
    matrices = (value for value in model.state_dict().values() if value.ndim > 1)
    exact = all(torch.equal(value.half().to(value.dtype), value) for value in matrices)
    return torch.float16 if exact else torch.float32


def _write_encoder(
    path: Path, kind: StyleEncoderKind | None, generator: StyleGAN2, target: Path
) -> None:
    encoder = load_encoder(path, kind=kind)
    found, expected = (encoder.num_ws, encoder.w_dim), (generator.num_ws, generator.w_dim)
    if found != expected:
        raise CheckpointError(
            f"{path} gives latents of (num_ws, w_dim) {found}, the generator takes {expected}; "
            "give the encoder that was trained for this generator"
        )
    save_encoder(encoder, target)


@torch.no_grad()
def _try(pack: Pack) -> None:
    """Render, encode and embed once. Raises `PackError` for a pack that does not work."""
    generator, embedder = pack.generator(), pack.embedder()
    latents = generator.w_avg.expand(1, generator.num_ws, -1)
    images = generator.synthesis(latents)
    manifest = pack.manifest
    results = {
        GENERATOR_FILE: images,
        CLIP_FOLDER: embedder.embed_images(images),
        f"{CLIP_FOLDER} (texts)": embedder.embed_texts(
            [
                *fill_templates(manifest.templates, manifest.source_text),
                *fill_templates(manifest.templates, manifest.unrealistic_text),
            ]
        ),
    }
    if pack.has_encoder:
        results[ENCODER_FILE] = pack.encoder().encode(images)
    if pack.identity_file is not None:
        results[IDENTITY_FILE] = pack.identity()(images)
    for name, values in results.items():
        if not torch.isfinite(values).all():
            raise PackError(
                f"{name} of pack {manifest.name!r} gives values that are not finite for the mean "
                "picture; its weights are damaged, get them again"
            )


def _warnings(
    parts: PackParts, opened: OpenedGenerator, statistics: LatentStatistics
) -> tuple[str, ...]:
    warnings = [f"{parts.generator}: {note}" for note in opened.notes]
    distance = statistics.distance(opened.generator.w_avg)
    if distance > _FARTHEST_MEAN:
        warnings.append(
            f"the mean latent in {parts.generator} is {distance:.1f} spreads from that of "
            f"{statistics.count} samples; truncated samples and inversions start from an odd "
            "picture"
        )
    if parts.licence == UNSTATED:
        warnings.append(
            "the licence of the weights is not stated; find out what it allows, and give it "
            "(--licence)"
        )
    return tuple(warnings)


def _origin(parts: PackParts, clip: OpenedClip) -> str:
    files = [parts.generator, parts.encoder, parts.identity]
    made_of = [f"{path.name} (SHA-256 {sha256_of(path)})" for path in files if path is not None]
    made_of.append(clip.origin)
    stated = f"{parts.origin}; " if parts.origin else ""
    return f"{stated}made by cfclip packs create of {', '.join(made_of)}"


def _models_text(
    parts: PackParts, opened: OpenedGenerator, statistics: LatentStatistics, clip: OpenedClip
) -> str:
    generator = opened.generator
    lines = [
        f"StyleGAN2 of {generator.resolution} px, {generator.num_ws} layers of {generator.w_dim}; "
        f"latents spread {statistics.spread:.3g} about their mean ({statistics.count} samples).",
        *(f"Of the generator: {note}." for note in opened.notes),
        f"CLIP: {clip.origin}; {clip.activation}.",
    ]
    if parts.encoder is not None:
        lines.append(f"Encoder: {parts.encoder.name}.")
    if parts.identity is not None:
        lines.append(f"Identity network: {parts.identity.name}.")
    return "\n".join(lines)
