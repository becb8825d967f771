"""Put the trained models together as the pack folder that ships."""

import json
import logging
import shutil
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from cfclip.editing import edit_settings, projection_settings
from cfclip.embedders import CONFIG_FILE, MERGES_FILE, WEIGHTS_FILE
from cfclip.errors import InputError
from cfclip.generators import load_generator_file, save_generator
from cfclip.io import atomic_write
from cfclip.packs import (
    CLIP_FOLDER,
    ENCODER_FILE,
    GENERATOR_FILE,
    MANIFEST_FILE,
    Pack,
    PackDefaults,
    PackManifest,
    assemble_pack,
)
from recipes.avatars.avatar_captions import (
    EDIT_TEMPLATES,
    SOURCE_TEXT,
    UNREALISTIC_TEXT,
    aspects,
    vocabulary,
)
from recipes.avatars.evaluation_page import format_goals

_log = logging.getLogger(__name__)

VOCABULARY_FILE = "vocabulary.txt"
# Chosen on validation avatars and prompts (docs/AVATARS.md has the trials).
EDIT_DEFAULTS: dict[str, Any] = {
    "space": "w",
    "steps": 60,
    "lr": 0.1,
    "latent_l2": 0.1,
    "changed_pixels": 8.0,
    "aspects": 30.0,
    "distortion": 0.2,
}
PROJECTION_DEFAULTS: dict[str, Any] = {}
TRAINING_DEFAULTS: dict[str, Any] = {
    "clip_weight": 1.0,
    "latent_l2": 0.1,
    "changed_pixels": 8.0,
    "aspects": 30.0,
    "distortion": 0.2,
    "lr": 1.0,
    "max_gradient": 0.0,
    # Pictures are as varied as samples at psi 1; a mapper of tamer ones stops half way on them.
    "truncation": 1.0,
}


@dataclass(frozen=True)
class Assemble:
    """Put trained models together as a pack."""

    generator: Path
    """`generator.safetensors` of the last finished stage."""
    clip: Path
    """Folder of the trained CLIP."""
    encoder: Path
    """`encoder.safetensors`."""
    out: Path
    """Folder of the pack; what it held before is replaced."""
    version: str = "0.1"
    """Version of the pack."""
    figures: Path | None = None
    """`figures.json` of an `evaluate` of these very models, for the model card."""

    def run(self) -> None:
        """Assemble."""
        assemble(self)


def assemble(config: Assemble) -> None:
    """Copy the models (the generator in float16), hash them, write `pack.toml`, load the result.

    Raises:
        InputError: the folder holds something else than a pack.
        CheckpointError, PackError: models that cannot be read or do not fit each other.
    """
    if (
        config.out.exists()
        and not (config.out / MANIFEST_FILE).is_file()
        and any(config.out.iterdir())
    ):
        raise InputError(f"{config.out} holds other things than a pack; give another --out")
    config.out.parent.mkdir(parents=True, exist_ok=True)
    # Made beside its place, so that a failure leaves the pack of before.
    with TemporaryDirectory(prefix=".pack-", dir=config.out.parent) as made:
        folder = Path(made) / config.out.name
        _write_pack(config, folder)
        shutil.rmtree(config.out, ignore_errors=True)
        folder.replace(config.out)
    pack = Pack.open(config.out)
    size = sum(path.stat().st_size for path in config.out.rglob("*") if path.is_file())
    _log.info("wrote %s (%.1f MB)", pack.folder, size / 1e6)


def _card(figures: Path | None) -> dict[str, str]:
    """The model card: `card.toml` and, where they have been measured, the figures of the goals."""
    text = resources.files("recipes.avatars").joinpath("card.toml").read_text(encoding="utf-8")
    card: dict[str, str] = tomllib.loads(text)
    if figures is not None:
        card["figures"] = format_goals(json.loads(figures.read_text(encoding="utf-8")))
    return card


def _write_pack(config: Assemble, folder: Path) -> None:
    (folder / CLIP_FOLDER).mkdir(parents=True)
    generator = load_generator_file(config.generator)
    save_generator(generator, folder / GENERATOR_FILE, dtype=torch.float16)
    for name in (CONFIG_FILE, WEIGHTS_FILE, MERGES_FILE):
        shutil.copyfile(config.clip / name, folder / CLIP_FOLDER / name)
    shutil.copyfile(config.encoder, folder / ENCODER_FILE)
    with atomic_write(folder / VOCABULARY_FILE) as temporary:
        temporary.write_text("\n".join(vocabulary()) + "\n", encoding="utf-8")
    manifest = PackManifest(
        name="avatars",
        version=config.version,
        licence="CC-BY-4.0",
        origin="trained by recipes/avatars on rendered avatars only",
        attribution="Avatars: remix of ToonHead by Johan Melin, licensed under CC BY 4.0",
        resolution=generator.resolution,
        source_text=SOURCE_TEXT,
        unrealistic_text=UNREALISTIC_TEXT,
        templates=EDIT_TEMPLATES,
        vocabulary=VOCABULARY_FILE,
        defaults=PackDefaults(EDIT_DEFAULTS, PROJECTION_DEFAULTS, TRAINING_DEFAULTS),
        aspects=aspects(),
        card=_card(config.figures),
    )
    pack = assemble_pack(folder, manifest)
    # Models and defaults that do not fit each other fail here, not at a user's first edit.
    pack.encoder()
    pack.embedder()
    edit_settings(pack.manifest)
    projection_settings(pack.manifest)
