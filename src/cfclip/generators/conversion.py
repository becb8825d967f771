"""Generator files of other programs as safetensors, which say where they came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from cfclip.errors import InputError, reason_of
from cfclip.generators.checkpoints import save_generator
from cfclip.generators.opening import open_generator
from cfclip.generators.stylegan2 import StyleGAN2Config
from cfclip.io.files import sha256_of

LICENCE = "licence"
ORIGIN = "origin"
_FILE, _HASH, _LAYOUT = "source_file", "source_sha256", "source_layout"
_NOTES = "source_notes"


@dataclass(frozen=True)
class Conversion:
    """What was written."""

    config: StyleGAN2Config
    """The sizes of the generator."""
    metadata: Mapping[str, str]
    """What the file says of itself: `licence`, `origin`, and the name, SHA-256 and layout of the
    file that it was made from (`source_file`, `source_sha256`, `source_layout`), and what that did
    not hold (`source_notes`)."""
    notes: tuple[str, ...] = ()
    """What the source did not hold and where it is from instead, a line each."""


def convert_generator(
    source: str | Path, out: str | Path, licence: str | None = None, origin: str | None = None
) -> Conversion:
    """Write the generator of any file that `load_generator` opens as safetensors, atomically.

    Args:
        source: the file; nothing in it is run.
        out: the file to write, which is replaced if it exists.
        licence: of the weights; no file of another program tells it. None keeps that of a file of
            this project.
        origin: who made the weights, from what. None keeps that of a file of this project, and
            says for others what they were converted from.

    Raises:
        CheckpointError: as `load_generator` does.
        InputError: nothing tells the licence, or `out` is the source, or cannot be written.
    """
    source, out = Path(source), Path(out)
    if out.exists() and source.exists() and out.samefile(source):
        raise InputError(f"{out} is the file to convert, and would be lost; choose another")
    opened = open_generator(source)
    licence = licence or opened.metadata.get(LICENCE)
    if not licence or not licence.strip():
        raise InputError(
            f"{source} does not say which licence its weights have; say so (--licence), as whoever "
            "published them does"
        )
    metadata = {
        ORIGIN: f"converted from {source.name} ({opened.layout})",
        **opened.metadata,
        **({ORIGIN: origin} if origin else {}),
        LICENCE: licence,
        _FILE: source.name,
        _HASH: sha256_of(source),
        _LAYOUT: opened.layout,
        **({_NOTES: "; ".join(opened.notes)} if opened.notes else {}),
    }
    try:
        save_generator(opened.generator, out, metadata)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"cannot write {out}: {reason_of(error)}; make room or choose another place"
        ) from error
    return Conversion(opened.generator.config, metadata, opened.notes)
