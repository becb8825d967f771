"""Attribute probes: small classifiers that read every attribute of a picture back.

Probes measure; they never enter a loss, an initialisation or a choice between candidates. Two
architectures are trained apart, and a reading counts only where both agree (DESIGN, "Measuring
edits").
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from cfclip.embedders import HalvingBlock, conv_norm_relu
from cfclip.errors import CheckpointError
from cfclip.io import ModelFormat, field_of, load_tensors, read_model, save_model

Architecture = Literal["plain", "residual"]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)
FORMAT = ModelFormat("cfclip.probe.v2", "probe")

_PLAIN_WIDTHS = (24, 48, 96, 160)
_RESIDUAL_WIDTHS = (16, 32, 64, 128)
_POOLED_SIDE = 8
"""Side of the last map. At half of it a cell holds a brow, an eye, hair and skin at once, and the
colour of brows was read right in 96.5 % of avatars."""
_NECK = 48
_HIDDEN = 256


class Probe(nn.Module):
    """Classify each attribute of an image.

    Args:
        classes: number of classes of each attribute, by name.
        architecture: "plain" (strided 3x3 convolutions) or "residual".

    `forward(images)` takes an image tensor `(batch, 3, 128, 128)` in [-1, 1] (any side that is a
    multiple of 64 works) and gives logits `(batch, classes)` by attribute name. `features` gives
    the `(batch, 256)` activations before the heads, for distances and KID.
    """

    def __init__(self, classes: Mapping[str, int], architecture: Architecture) -> None:
        super().__init__()
        self.classes = dict(classes)
        self.architecture = architecture
        if architecture == "plain":
            widths = _PLAIN_WIDTHS
            layers: list[nn.Module] = [conv_norm_relu(3, widths[0], 2)]
            layers += [conv_norm_relu(a, b, 2) for a, b in pairwise(widths)]
        elif architecture == "residual":
            widths = _RESIDUAL_WIDTHS
            layers = [conv_norm_relu(3, widths[0], 2)]
            layers += [HalvingBlock(a, b) for a, b in pairwise(widths)]
        else:
            raise CheckpointError(f"unknown probe architecture {architecture!r}")
        self.trunk = nn.Sequential(*layers, conv_norm_relu(widths[-1], widths[-1], 1))
        self.neck = nn.Conv2d(widths[-1], _NECK, 1)
        self.hidden = nn.Linear(_NECK * _POOLED_SIDE**2, _HIDDEN)
        self.heads = nn.ModuleDict({name: nn.Linear(_HIDDEN, n) for name, n in classes.items()})

    def features(self, images: Tensor) -> Tensor:
        """Activations `(batch, 256)` before the heads."""
        maps = functional.adaptive_avg_pool2d(self.neck(self.trunk(images)), _POOLED_SIDE)
        return functional.relu(self.hidden(functional.relu(maps).flatten(1)))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.features(images)
        return {name: head(features) for name, head in self.heads.items()}

    @torch.no_grad()
    def log_shares(self, images: Tensor) -> dict[str, Tensor]:
        """Logarithm of the probability of each class `(batch, classes)`, by attribute."""
        return {name: logits.log_softmax(1) for name, logits in self(images).items()}

    @torch.no_grad()
    def read(self, images: Tensor) -> dict[str, Tensor]:
        """The most likely class of each attribute, int64 `(batch,)`, and nothing else."""
        return {name: logits.argmax(1) for name, logits in self(images).items()}


def save_probe(probe: Probe, path: str | Path) -> None:
    """Write weights (matrices and kernels as float16) and architecture to a safetensors file.

    Raises:
        CheckpointError: a weight that is not finite as stored; nothing is written.
    """
    config = {"classes": probe.classes, "architecture": probe.architecture}
    save_model(probe, config, FORMAT, path, dtype=torch.float16)


def load_probe(path: str | Path) -> Probe:
    """Read a probe written by `save_probe`: evaluation mode, float32, no gradients.

    Raises:
        CheckpointError: the file is missing, damaged or not a probe, or holds unknown, missing,
            misshapen or non-finite tensors (it names them).
    """
    probe, tensors = read_model(path, FORMAT, _build_probe)
    load_tensors(probe, tensors, str(path))
    return probe.eval().requires_grad_(False)


def _build_probe(config: dict[str, Any]) -> Probe:
    classes = field_of(config, "classes", Mapping[str, int])
    return Probe(classes, field_of(config, "architecture", str))


def evaluate_in_batches(function: Callable[[Tensor], Tensor], inputs: Tensor, batch: int) -> Tensor:
    """`function` over `inputs`, `batch` rows at a time, without gradients, concatenated."""
    with torch.no_grad():
        return torch.cat([function(chunk) for chunk in inputs.split(batch)])
