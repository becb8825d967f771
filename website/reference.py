"""The pages of reference: every command's help, and the docstrings of the library."""

import os
from collections.abc import Mapping
from contextlib import redirect_stdout, suppress
from io import StringIO

import cfclip
from cfclip.apps.cli import COMMANDS, parse
from cfclip.losses import TERMS, ObjectiveConfig

PARTS: Mapping[str, tuple[str, ...]] = {
    "Pictures and tensors": ("cfclip.images.image_files", "cfclip.tensors"),
    "Editing": (
        *("cfclip.editing.sources", "cfclip.editing.results", "cfclip.editing.methods"),
        *("cfclip.editing.defaults", "cfclip.editing.mappers", "cfclip.editing.replay"),
        *("cfclip.editing.tuned_sources", "cfclip.editing.likeness"),
    ),
    "Editors": (
        *("cfclip.editors.editor", "cfclip.editors.optimisation_config"),
        *("cfclip.editors.latent_optimisation", "cfclip.editors.linear_text_map"),
        *("cfclip.editors.text_mapper", "cfclip.editors.latent_mapper"),
        "cfclip.editors.mapper_config",
    ),
    "Losses": (
        *("cfclip.losses.terms", "cfclip.losses.objective", "cfclip.losses.clip_losses"),
        *("cfclip.losses.changes", "cfclip.losses.aspects", "cfclip.losses.augmentation"),
    ),
    "Generators": (
        *("cfclip.generators.generator", "cfclip.generators.stylegan2"),
        "cfclip.generators.opening",
    ),
    "Embedders": (
        *("cfclip.embedders.embedder", "cfclip.embedders.clip"),
        "cfclip.embedders.prompts",
    ),
    "Encoders and inversion": (
        *("cfclip.encoders.encoder", "cfclip.encoders.projection_config"),
        *("cfclip.encoders.projection", "cfclip.encoders.opening"),
    ),
    "Photos": (
        *("cfclip.photos.photo", "cfclip.photos.landmarks"),
        "cfclip.photos.pasting",
    ),
    "Packs": (
        *("cfclip.packs.pack", "cfclip.packs.manifest", "cfclip.packs.registry"),
        "cfclip.packs.creation",
    ),
    "Fitting and training": (
        *("cfclip.fitting.mapper_training", "cfclip.fitting.text_maps", "cfclip.fitting.channels"),
        *("cfclip.fitting.captioned_pictures", "cfclip.training.training_config"),
        *("cfclip.training.runs", "cfclip.training.trainer", "cfclip.training.latents"),
    ),
    "Measuring": ("cfclip_benchmark.benchmark", "cfclip_benchmark.tuning"),
    "Provenance": (
        *("cfclip.provenance.record", "cfclip.provenance.recorded_edits"),
        *("cfclip.provenance.stamping", "cfclip.provenance.c2pa"),
    ),
    "Looking": ("cfclip.viewing.sheets", "cfclip.viewing.sweeps", "cfclip.viewing.heat_maps"),
}
"""Heading to modules whose docstrings are shown."""

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
        if heading == "Losses":
            parts.append(terms_table())
        parts += [f"::: {module}\n    options:\n      heading_level: 3\n" for module in modules]
    return "\n".join(parts)


def terms_table() -> str:
    """Every term of the objective, with the weight that it has if none is given."""
    rows = [
        "| term | objective | setting | weight | loss of `cfclip` | network | confines | ours |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, term in TERMS.items():
        setting = "" if term.weight is None else f"`{term.weight}`"
        weight = 1.0 if term.weight is None else getattr(ObjectiveConfig(), term.weight)
        objective = "each" if term.objective is None else f"`{term.objective}`"
        marks = (
            "yes" if each else "" for each in (term.network, term.confines, not term.published)
        )
        cells = (f"`{name}`", objective, setting, f"{weight:g}", f"`losses.{term.loss}`", *marks)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"
