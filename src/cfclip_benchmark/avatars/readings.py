"""A picture back to a record: what the probes and the pixels say that an avatar looks like.

Shapes are read by the probes. Colours are read without any network, as the colour that most of a
part's pixels show, inside the masks of an avatar with the shapes that were read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cfclip.errors import InputError
from cfclip.tensors import check_images, uint8_from_signed
from cfclip_benchmark import Probe, evaluate_in_batches
from cfclip_benchmark.avatars.attributes import (
    ATTRIBUTES,
    COLOURS,
    AttributeTable,
    AvatarRecord,
)
from cfclip_benchmark.avatars.renderer import PART_COLOURS, render_masks, visibility

_BATCH = 100


@dataclass(frozen=True)
class Readings:
    """What was read of N pictures.

    Attributes:
        table: the avatars as read. A shape is the class of the highest mean probability over the
            probes: where they agree it is the class that they agree on, and where they do not, the
            surer one decides, whatever their order. A colour is the median of its pixels, channel
            by channel, which a shifted outline does not move as it moves the mean.
        confidence: attribute -> (N,) float32 in [0, 1]. The smallest of the probes' probabilities
            of the class that they agree on, 0 where they do not. Of a colour too it is the probes'
            own opinion, not that of the pixels.
        visibility: attribute -> (N,) bool, which attributes an avatar like that one lets be read:
            `renderer.visibility`, and for colours, at least one pixel that shows them.
    """

    table: AttributeTable
    confidence: Mapping[str, NDArray[np.float32]]
    visibility: Mapping[str, NDArray[np.bool_]]

    def __len__(self) -> int:
        return len(self.table)


def read_back(images: Tensor, probes: Sequence[Probe]) -> Readings:
    """Read every attribute of every picture.

    Args:
        images: image tensor `(batch, 3, side, side)` in [-1, 1]; values outside are clamped when
            colours are read. Square: the masks are rendered at the same side.
        probes: in evaluation mode, at least one; each knows every one of `ATTRIBUTES`.

    Raises:
        InputError: images of another shape, or no probes.
    """
    check_images(images, images.shape[-1])
    if not probes:
        raise InputError("no probes; give at least one to read with")
    sizes = [probes[0].classes[name] for name in ATTRIBUTES]
    each = [evaluate_in_batches(partial(_shares, probe), images, _BATCH) for probe in probes]
    codes, confidence = {}, {}
    columns = torch.stack(each).split(sizes, 2)
    for name, shares in zip(ATTRIBUTES, columns, strict=True):  # (probes, batch, classes)
        surest, classes = shares.max(2)
        agreed = (classes == classes[0]).all(0)
        confidence[name] = (surest.amin(0) * agreed).numpy()
        codes[name] = shares.mean(0).argmax(1).numpy()
    rgb, shown = _read_colours(uint8_from_signed(images).numpy(), codes)
    table = AttributeTable.of(codes, rgb)
    seen = visibility(table)
    return Readings(table, confidence, {name: seen[name] & shown.get(name, True) for name in seen})


def _shares(probe: Probe, images: Tensor) -> Tensor:
    """(batch, classes of all attributes): probabilities, attribute by attribute."""
    logits = probe(images)
    return torch.cat([logits[name].softmax(1) for name in ATTRIBUTES], 1)


def _read_colours(
    images: NDArray[np.uint8], codes: Mapping[str, NDArray[np.integer]]
) -> tuple[dict[str, NDArray[np.uint8]], dict[str, NDArray[np.bool_]]]:
    """By colour attribute: what the pictures show (N, 3), and whether any pixel shows it (N,)."""
    rgb = {name: np.zeros((len(images), 3), dtype=np.uint8) for name in COLOURS}
    shown = {name: np.zeros(len(images), dtype=np.bool_) for name in COLOURS}
    shapes = AttributeTable.of(codes, rgb)
    for row, image in enumerate(images):
        for name, mask in colour_masks(shapes.record(row), image.shape[0]).items():
            shown[name][row] = mask.any()
            # At a small side a part may have no pixel of its own; then the picture lends it one.
            pixels = image[mask if mask.any() else ~mask]
            rgb[name][row] = np.median(pixels, axis=0).round()
    return rgb, shown


def colour_masks(record: AvatarRecord, resolution: int) -> dict[str, NDArray[np.bool_]]:
    """Colour attribute -> (resolution, resolution): every pixel that shows that colour.

    Masks depend on the shapes alone; the renderer keeps those that it made last.
    """
    masks = render_masks(record, resolution)
    return {
        name: np.any([masks[part] for part, of in PART_COLOURS.items() if of == name], axis=0)
        for name in COLOURS
    }
