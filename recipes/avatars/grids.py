"""Grids of pictures, to look at a model with one's own eyes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cfclip.io import atomic_write
from cfclip.tensors import uint8_from_signed


def save_grid(rows: Sequence[Tensor], path: Path) -> None:
    """Write rows of equally many image tensors `(columns, 3, side, side)` as one PNG."""
    lines = [torch.cat(list(uint8_from_signed(row)), dim=1) for row in rows]
    with atomic_write(path) as temporary:
        Image.fromarray(torch.cat(lines).numpy()).save(temporary)


def stack_grids(parts: Sequence[Path], path: Path) -> None:
    """Write pictures of equal width, one below the other, as one PNG."""
    pixels = []
    for part in parts:
        with Image.open(part) as picture:
            pixels.append(np.asarray(picture.convert("RGB")))
    with atomic_write(path) as temporary:
        Image.fromarray(np.concatenate(pixels)).save(temporary)
