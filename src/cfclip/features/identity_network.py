"""The identity network: unit vectors that are alike for pictures of one person.

Source: Deng et al., "ArcFace" (CVPR 2019), as CF-CLIP and pSp use it in their identity loss.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from cfclip.errors import CheckpointError
from cfclip.features.irse import EXPANSION, load_normed, stem_of, units_of, width_of
from cfclip.foreign import network_of, read_torch_file
from cfclip.io import is_model_file, read_tensors, save_tensors, unwrapped
from cfclip.tensors import check_images, unit

_NOUN = "identity network"
_FACE_SIZE = 256
_ROWS = slice(35, 223)
_COLUMNS = slice(32, 220)
"""The face in a picture of `_FACE_SIZE` that is aligned as FFHQ is."""

_INPUT_SIZE = 112
_MAP_SIZE = _INPUT_SIZE >> 4
_LINEAR = "output_layer.3.weight"


class IdentityNetwork(nn.Module):
    """Aligned faces to unit vectors.

    Args:
        width: channels of the first layer, 64 in shared weights.
        dim: length of the vectors, 512 in shared weights.
    """

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.input_layer = stem_of(width)
        self.body = units_of(width)
        channels = width * EXPANSION
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Identity(),  # a dropout in training
            nn.Flatten(),
            nn.Linear(channels * _MAP_SIZE * _MAP_SIZE, dim),
            nn.BatchNorm1d(dim),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Image tensor `(batch, 3, height, width)` in [-1, 1] to `(batch, dim)`; differentiable.

        The images show faces aligned as FFHQ's; of other sizes they are averaged to 256 px. In
        eval mode every image is independent of the rest. Raises `InputError` for another shape.
        """
        check_images(images)
        faces = functional.adaptive_avg_pool2d(images, _FACE_SIZE)[:, :, _ROWS, _COLUMNS]
        faces = functional.adaptive_avg_pool2d(faces, _INPUT_SIZE)
        return unit(self.output_layer(self.body(self.input_layer(faces))))


def load_identity(path: str | Path, device: str | torch.device = "cpu") -> IdentityNetwork:
    """The identity network in a file laid out as `model_ir_se50.pth`: eval mode, no gradients.

    The file is one of torch's or, as `save_identity` writes it, of safetensors.
    Raises `CheckpointError`, naming the tensors, when the file is missing, damaged, of another
    kind, or holds unknown, missing, misshapen or non-finite tensors.
    """
    source = f"{_NOUN} {path}"
    if Path(path).is_file() and is_model_file(path):
        tensors = unwrapped(read_tensors(path, _NOUN)[0])
    else:
        tensors = network_of(read_torch_file(path), source)
    if _LINEAR not in tensors or tensors[_LINEAR].ndim != 2:
        raise CheckpointError(f"{source} has no matrix {_LINEAR}; give a model_ir_se50.pth")
    width, dim = width_of(tensors, source), tensors[_LINEAR].shape[0]
    return load_normed(lambda: IdentityNetwork(width, dim), tensors, source).to(device)


def save_identity(network: IdentityNetwork, path: str | Path) -> None:
    """Write the network to one safetensors file, by the same names, atomically.

    Raises `CheckpointError` when a weight is not finite.
    """
    save_tensors(network.state_dict(), path, _NOUN)
