"""How alike the person in an edit is to the person in the picture it was made of."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image

from cfclip.editing.results import EditResult
from cfclip.features import load_identity
from cfclip.provenance import file_origin
from cfclip.tensors import signed_from_pil


class IdentityMeasure:
    """Compares faces by an identity network.

    Args:
        file: its weights, laid out as `model_ir_se50.pth`.
        device: where to compute.

    Raises:
        CheckpointError: a file that cannot be read whole.
        InputError: no such file.
    """

    def __init__(self, file: str | Path, device: str | torch.device = "cpu") -> None:
        self._network = load_identity(file, device)
        self._device = torch.device(device)
        self._origin = file_origin(file)

    @torch.no_grad()
    def similarity(self, image: Image.Image, other: Image.Image) -> float:
        """Cosine of the two identities: 1 for one picture, about 0 for strangers.

        Both are square and cut as FFHQ's pictures are; their sizes may differ.
        """
        one, two = (
            self._network(signed_from_pil([each], each.width).to(self._device))[0]
            for each in (image, other)
        )
        return float(one @ two)

    def noted(self, result: EditResult, strengths: Sequence[float]) -> EditResult:
        """The result with similarities to its source in its record: of the reproduction before the
        edit, and of the edit at each strength."""
        edited = [
            {
                "strength": float(strength),
                "similarity": self.similarity(result.source, result.at_strength(strength).image),
            }
            for strength in strengths
        ]
        identity = {
            "network": self._origin,
            "reconstruction": self.similarity(result.source, result.reconstruction),
            "edited": edited,
        }
        return replace(result, record={**result.record, "identity": identity})
