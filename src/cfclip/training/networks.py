"""The terms of the loss that need a network of their own, from the files of the networks.

CF-CLIP (Yu et al., ACM MM 2022) keeps a face's identity with ArcFace's IR-SE50, and other pictures'
looks with relu5_2 of VGG19.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from cfclip.errors import InputError
from cfclip.features.identity_network import load_identity
from cfclip.features.vgg import load_perceptual
from cfclip.io.files import sha256_of
from cfclip.losses.identity import identity_loss
from cfclip.losses.objective import EditTensors, Term
from cfclip.losses.perceptual import perceptual_loss
from cfclip.training.training_config import TrainingConfig

_LOADERS = {"identity": load_identity, "perceptual": load_perceptual}
_LOSSES = {"identity": identity_loss, "perceptual": perceptual_loss}


@dataclass(frozen=True)
class NetworkFiles:
    """Where the networks are; each is needed if its weight in the `TrainingConfig` is above 0."""

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

    def terms(self, config: TrainingConfig, device: str | torch.device) -> Mapping[str, Term]:
        """What `MapperObjective` takes as `plug_ins`.

        Raises `InputError` for a network whose weight is 0, `CheckpointError` for a file that
        cannot be read whole.
        """
        for name in self.given:
            if not getattr(config, name):
                raise InputError(
                    f"{name} is 0, which leaves its network unused; give it a weight (--{name})"
                )
        return {
            name: network_term(name, _LOADERS[name](path, device))
            for name, path in self.given.items()
        }


def network_term(name: str, network: nn.Module) -> Term:
    """The term `name`, "identity" or "perceptual", of a network: `EditTensors` to `(B,)`.

    Its images are seen without perspectives; the gradient goes to the edited ones only.
    """
    loss = _LOSSES[name]

    def term(tensors: EditTensors) -> Tensor:
        if tensors.images is None or tensors.source_images is None:
            raise InputError(f"the {name} term needs images; give them, or set its weight to 0")
        with torch.no_grad():
            source = network(tensors.source_images)
        return loss(network(tensors.images), source, "none")

    return term
