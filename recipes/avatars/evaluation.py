"""What every measure of `evaluate` works on: the pack, the probes, held-out avatars, inversions."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cfclip.editing import Session
from cfclip.editors import LatentOptimisationConfig
from cfclip.encoders import Inversion, ProjectionConfig, measure_inversion, project
from cfclip.errors import InputError
from cfclip.io import atomic_write
from cfclip.packs import Pack
from cfclip.tensors import signed_from_uint8
from cfclip_benchmark import Architecture, Probe
from recipes.avatars.dataset import Dataset

_INVERSION_BATCH = 25


@dataclass(frozen=True)
class Bench:
    """The subject and the instruments of an evaluation.

    Attributes:
        session: of the pack.
        probes: by architecture, the probes that must agree.
        open, natural: held-out avatars.
        editing, projection: settings of every edit and every inversion.
        out: folder of the figures; inversions are kept in its `inversions/`.
        seed: decides every random draw.
    """

    session: Session
    probes: dict[Architecture, Probe]
    open: Dataset
    natural: Dataset
    editing: LatentOptimisationConfig
    projection: ProjectionConfig
    out: Path
    seed: int

    @property
    def pack(self) -> Pack:
        """The pack that is measured."""
        return self.session.pack

    def inverted(self, count: int) -> tuple[Inversion, float]:
        """The first `count` natural avatars, inverted as a session inverts, and seconds per image.

        Raises:
            InputError: there are fewer avatars.
        """
        if count > len(self.natural):
            raise InputError(
                f"{count} avatars are asked for and there are {len(self.natural)}; render more"
            )
        parts = [
            self._inverted_batch(start, min(start + _INVERSION_BATCH, len(self.natural)))
            for start in range(0, count, _INVERSION_BATCH)
        ]
        latents = torch.cat([part["latents"] for part in parts])[:count]
        seconds = sum(part["seconds"] for part in parts) / sum(len(p["latents"]) for p in parts)
        inversion = measure_inversion(
            self.pack.generator(),
            self.pack.embedder(),
            pixels(self.natural, np.arange(count)),
            latents,
            self.projection.warn_below_psnr,
        )
        return inversion, seconds

    def _inverted_batch(self, start: int, stop: int) -> dict[str, Any]:
        """`latents` of some natural avatars and the `seconds` they took; kept on disk."""
        path = self.out / "inversions" / f"{start:06d}.pt"
        if path.exists():
            kept: dict[str, Any] = torch.load(path, weights_only=True)
            return kept
        images = pixels(self.natural, np.arange(start, stop))
        began = time.monotonic()
        found = project(
            self.pack.generator(),
            self.pack.embedder(),
            images,
            self.pack.encoder().encode(images),
            self.projection,
        )
        made = {"latents": found.latents, "seconds": time.monotonic() - began}
        path.parent.mkdir(exist_ok=True)
        with atomic_write(path) as temporary:
            torch.save(made, temporary)
        return made


def pixels(data: Dataset, rows: NDArray[np.integer]) -> Tensor:
    """Rows of a dataset as an image tensor."""
    return signed_from_uint8(torch.from_numpy(np.ascontiguousarray(data.images[rows])))


def parse_settings(given: Sequence[str]) -> dict[str, Any]:
    """Settings written as `name=value`; a value is a number, or else a text.

    >>> parse_settings(["steps=60", "lr=0.1", "layers=0-3"])
    {'steps': 60, 'lr': 0.1, 'layers': '0-3'}

    Raises:
        InputError: a text without `=`.
    """
    settings: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"setting {text!r} is not of the form name=value, such as steps=60")
        try:
            settings[name] = json.loads(value)
        except json.JSONDecodeError:
            settings[name] = value
    return settings
