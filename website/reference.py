"""The pages of reference: every command's help, and the docstrings of the library."""

import os
from collections.abc import Mapping
from contextlib import redirect_stdout, suppress
from io import StringIO

import cfclip
from cfclip.apps.cli import COMMANDS, parse

PARTS: Mapping[str, tuple[str, ...]] = {
    "Pictures, sources, results": ("images", "sources", "results", "outputs", "sheets", "tensors"),
    "Edits": ("editors.base", "editors.config", "editors.latent_optimisation", "settings"),
    "Text maps and text mappers": (
        *("editors.linear_text_map", "editors.text_mapper", "editors.latent_mapper"),
        *("editors.mapper_config", "mappers", "text_map_fitting", "captions"),
    ),
    "Losses": (
        *("losses.clip_nce", "losses.directional", "losses.global_clip", "losses.logit"),
        *("losses.latent", "losses.changed_pixels", "losses.aspects", "losses.identity"),
        *("losses.perceptual", "losses.augmentation", "losses.rows", "losses.objective"),
    ),
    "Generators": ("generators.base", "generators.stylegan2", "generators.opening"),
    "Embedders": ("embedders.base", "embedders.clip", "embedders.opening", "embedders.prompts"),
    "Encoders and inversion": (
        *("encoders.base", "encoders.config", "encoders.projection", "encoders.checkpoints"),
        "tuned_sources",
    ),
    "Photos": ("photos.config", "photos.photo", "photos.landmarks", "photos.paste_back"),
    "Packs": ("packs.pack", "packs.manifest", "packs.registry", "packs.creation"),
    "Training": (
        *("training.config", "training.presets", "training.runs", "training.trainer"),
        *("training.latents", "mapper_training", "channel_fitting"),
    ),
    "Measuring": ("evaluation.methods", "evaluation.benchmark", "evaluation.tuning"),
    "Records and provenance": (
        *("record", "replay", "provenance", "marking", "credentials", "likeness", "diagnosis"),
    ),
}
"""Heading to modules of `cfclip` whose docstrings are shown."""

_WIDTH = "78"  # letters that fit the column of text


def reference_pages() -> Mapping[str, str]:
    """Place in the site to the page's Markdown."""
    return {
        "reference/commands.md": _commands(),
        "reference/python.md": _facade(),
        "reference/parts.md": _parts(),
    }


def _commands() -> str:
    """What `cfclip COMMAND --help` prints, with the defaults of the shipped pack."""
    parts = ["# Commands\n\nWhat `cfclip COMMAND --help` prints.\n"]
    width, os.environ["COLUMNS"] = os.environ.get("COLUMNS"), _WIDTH
    try:
        for name in COMMANDS:
            with redirect_stdout(StringIO()) as told, suppress(SystemExit):
                parse([name, "--help"])
            parts.append(f"## cfclip {name}\n\n```text\n{told.getvalue().strip()}\n```\n")
    finally:
        if width is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = width
    return "\n".join(parts)


def _facade() -> str:
    """The public names of `cfclip`."""
    names = [name for name in cfclip.__all__ if not name.startswith("__")]
    first = ["Session", "counterfactual_editing", "rerun", "EditResult", "Source"]
    ordered = [*first, *(name for name in names if name not in first)]
    return (
        "# Python\n\nWhat `import cfclip` gives. Everything is loaded on first use.\n\n"
        + "\n".join(f"::: cfclip.{name}\n" for name in ordered)
    )


def _parts() -> str:
    """The documented modules below the facade."""
    parts = [
        "# Parts\n\nThe modules below the facade, from which other tools can be built. "
        "[The architecture](../ARCHITECTURE.md) tells how they hang together.\n"
    ]
    for heading, modules in PARTS.items():
        parts.append(f"## {heading}\n")
        parts += [
            f"::: cfclip.{module}\n    options:\n      heading_level: 3\n" for module in modules
        ]
    return "\n".join(parts)
