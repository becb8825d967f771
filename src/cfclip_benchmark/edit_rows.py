"""Rows of a grid of edits: one picture, edited at several strengths, for several texts or by
several methods."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cfclip.editing.methods import Method, edit_request
from cfclip.editing.results import circumstances
from cfclip.editing.session import Session
from cfclip.editing.sources import Source
from cfclip.editors.editor import EditResult
from cfclip.optim.descent import INTERRUPTED
from cfclip.provenance.metadata import Provenance, provenance_of
from cfclip.tensors import pil_from_signed
from cfclip.viewing.sheets import Tile


@dataclass(frozen=True)
class EditColumn:
    """What a column of a grid shows."""

    head: str
    """What is written above it."""
    method: Method
    text: str
    strength: float = 1.0
    """Factor on the edit; 1 is the method's own."""


def edits_of(columns: Sequence[EditColumn]) -> int:
    """How many edits a row takes; columns of other strengths take none.

    >>> edits_of([EditColumn(str(s), None, "green hair", s) for s in (0.5, 1.0)])  # no method
    1
    """
    return len({(id(column.method), column.text) for column in columns})


def edit_row(
    session: Session,
    source: Source,
    columns: Sequence[EditColumn],
    seed: int,
    done: Callable[[], None],
) -> tuple[list[Tile], Provenance]:
    """The tiles of a row, the source first, and what the pictures tell of how they were made.

    Args:
        session: of the pack that the methods were opened with.
        source: what is edited.
        columns: what is made of it.
        seed: of every edit.
        done: called after each edit.

    Raises:
        InputError: an edit that a method cannot do.
        KeyboardInterrupt: Ctrl-C.
    """
    found: dict[tuple[int, str], EditResult] = {}
    tiles: list[Tile] = [(source.image, "")]
    latents = source.latents[None].to(session.device)
    for column in columns:
        key = (id(column.method), column.text)
        if key not in found:
            request = edit_request(session.pack.manifest, latents, column.text, seed)
            found[key] = column.method.edit(request)
            if INTERRUPTED in found[key].stop_reasons:
                raise KeyboardInterrupt
            done()
        result = found[key]
        (picture,) = pil_from_signed(result.at_strength(column.strength * result.strength))
        tiles.append((picture, ""))
    facts = {
        **circumstances(session.pack, session.device),
        "source": dict(source.origin),
        "prompts": list(dict.fromkeys(column.text for column in columns)),
        "seed": seed,
    }
    return tiles, provenance_of(facts)
