"""The networks that terms compare images by, from their files.

CF-CLIP (Yu et al., ACM MM 2022) keeps a face's identity with ArcFace's IR-SE50, and other pictures'
looks with relu5_2 of VGG19.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from cfclip.errors import InputError
from cfclip.features.identity_network import load_identity
from cfclip.features.vgg import load_perceptual
from cfclip.io import sha256_of

_LOADERS = {"identity": load_identity, "perceptual": load_perceptual}


@dataclass(frozen=True)
class NetworkFiles:
    """Where the networks are; each is needed if the weight of its term is above 0."""

    identity: Path | None = None
    """A file laid out as `model_ir_se50.pth`."""
    perceptual: Path | None = None
    """VGG19 as `vgg19_conv.pth` or as torchvision's state dict."""

    @property
    def given(self) -> dict[str, Path]:
        """The files by the names of their terms."""
        files = {"identity": self.identity, "perceptual": self.perceptual}
        return {name: path for name, path in files.items() if path is not None}

    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file, by the name of its term."""
        return {name: sha256_of(path) for name, path in self.given.items()}

    def check_used(self, weights: Mapping[str, float]) -> None:
        """Raise `InputError` for a network whose term has no weight, see `load`."""
        for name in self.given:
            if name not in weights:
                raise InputError(
                    f"{name} is 0, which leaves its network unused; give it a weight (--{name})"
                )

    def load(
        self, weights: Mapping[str, float], device: str | torch.device
    ) -> dict[str, nn.Module]:
        """The networks by the names of their terms, as `cfclip.losses.objective.Objective` takes
        them.

        Args:
            weights: of the terms that have one, see `ObjectiveConfig.weights`.
            device: where they shall be.

        Raises:
            InputError: a network whose term has no weight.
            CheckpointError: a file that cannot be read whole.
        """
        self.check_used(weights)
        return {name: _LOADERS[name](path, device) for name, path in self.given.items()}
