"""A sweep over strength: an edit as it grows, as an animation."""

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from cfclip.errors import InputError
from cfclip.provenance import MARKED, Marking, Provenance, write_animation
from cfclip.viewing.sheets import enlarged

SWEEP_FRAMES = 13
"""Strengths of a sweep, the first of them 0: enough for a smooth change, quick to render."""
_MOST_FRAMES = 200
_FRAME_MILLISECONDS = 80
_ENDS_MILLISECONDS = 900
"""How long source and edit are shown; in between they pass."""


def sweep_strengths(strength: float, frames: int = SWEEP_FRAMES) -> tuple[float, ...]:
    """Strengths from 0 to `strength` in equal steps.

    Raises `InputError` for fewer than 2 or more than 200 frames.

    >>> sweep_strengths(1.0, 5)
    (0.0, 0.25, 0.5, 0.75, 1.0)
    """
    if not 2 <= frames <= _MOST_FRAMES:
        raise InputError(f"frames is {frames}, it must be from 2 to {_MOST_FRAMES}")
    return tuple(strength * index / (frames - 1) for index in range(frames))


def write_sweep(
    render: Callable[[float], Image.Image],
    strength: float,
    path: str | Path,
    provenance: Provenance,
    frames: int = SWEEP_FRAMES,
    marking: Marking = MARKED,
    overwrite: bool = False,
) -> None:
    """Write a GIF of an edit that grows from nothing to its strength and goes back.

    `render` gives the picture at a strength, as `EditResult.render` does; each of `frames` is
    rendered once. Raises `InputError` for
    another number of frames than 2 to 200, and as `stamping.write_animation` does.
    """
    strengths = sweep_strengths(strength, frames)
    images = [enlarged(render(each)) for each in strengths]
    shown = [*zip(images, _times(frames), strict=True)]
    back = [(image, _FRAME_MILLISECONDS) for image in reversed(images[1:-1])]
    write_animation([*shown, *back], path, provenance, marking, overwrite)


def _times(frames: int) -> list[int]:
    between = [_FRAME_MILLISECONDS] * (frames - 2)
    return [_ENDS_MILLISECONDS, *between, _ENDS_MILLISECONDS]
