"""Edits of edits: the result of one as the source of the next."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageChops
from torch import Tensor

from cfclip.editing.results import EditResult
from cfclip.editing.session import Session
from cfclip.editing.sources import Source, SourceMaker
from cfclip.editors import ALL_LAYERS, parse_layers
from cfclip.encoders import ProjectionConfig
from cfclip.optim import Callback

_ROUNDING = 1
"""Grey levels that the same picture may differ by when it is rendered another way."""


def source_of(
    session: Session,
    result: EditResult,
    projection: ProjectionConfig | None = None,
    callback: Callback | None = None,
) -> Source:
    """The picture of an edit, at its strength, as the source of another edit.

    Its latents are those before the edit and the offset, so that nothing is lost by inverting.
    Where these do not give the picture it is inverted: styles were moved, a mask was used, the
    generator was tuned.

    Args:
        session: on the pack that the edit was made with.
        result: the edit.
        projection: settings of an inversion; what it was made with goes over the pack's.
        callback: of an inversion; returning False ends it with what has been reached.

    Returns:
        a source whose origin tells of the earlier edits, and so do pictures that are made of it.

    Raises:
        KeyboardInterrupt: Ctrl-C during an inversion.
    """
    earlier = {"edited_from": _story(result)}
    moved = _moved(session, result)
    if moved is not None:
        exact = SourceMaker(session.pack, session.device).from_latents(moved)
        if _alike(exact.image, result.image):
            return replace(exact, origin={**exact.origin, **earlier}, name=result.name)
    found = session.invert(result.image, projection, callback)
    return replace(found, origin={**found.origin, **earlier}, name=result.name)


def _story(result: EditResult) -> dict[str, Any]:
    """What the first edit started from, and all edits up to this one."""
    origin: Mapping[str, Any] = result.record["source"]
    own = {"prompts": list(result.prompts), "strength": result.strength}
    before = origin.get("edited_from")
    if before is not None:
        return {"source": before["source"], "edits": [*before["edits"], own]}
    return {"source": {k: v for k, v in origin.items() if k != "float32"}, "edits": [own]}


def _moved(session: Session, result: EditResult) -> Tensor | None:
    """The latents `(num_ws, w_dim)` after the edit, if it moved latents."""
    num_ws, width = result.latents.shape
    if result.offset.ndim != 2 or result.offset.shape[1] != width:
        return None
    layers = result.record.get("settings", {}).get("layers", ALL_LAYERS)
    chosen = torch.zeros(num_ws, 1)
    chosen[list(parse_layers(layers, session.generator.num_ws))] = 1.0
    return result.latents + result.strength * result.offset * chosen


def _alike(one: Image.Image, other: Image.Image) -> bool:
    if one.size != other.size:
        return False
    return bool(np.asarray(ImageChops.difference(one, other)).max() <= _ROUNDING)
