"""Feature maps of VGG19 for the perceptual loss: relu5_2.

Source: Simonyan and Zisserman, "Very Deep Convolutional Networks" (ICLR 2015), configuration E;
Johnson et al., "Perceptual Losses" (ECCV 2016). Two sets of weights are about, which want their
pixels differently: the original ones (Caffe's) in BGR up to 255, torchvision's normalised RGB.
"""

from itertools import count
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from cfclip.errors import InputError
from cfclip.features.irse import first_width
from cfclip.foreign import network_of, read_torch_file
from cfclip.io import check_tensors, meta_device, shapes_of
from cfclip.tensors import RGB_CHANNELS, check_images, unit_range_from_signed

_STAGES = (2, 2, 4, 4, 4)
_WIDTHS = (1, 2, 4, 8, 8)
_LAST = "conv5_2"
_REDUCTION = 2 ** (len(_STAGES) - 1)
"""Pixels of the image for one of the map."""

_CLASSIFIER = {f"classifier.{layer}.{part}" for layer in (0, 3, 6) for part in ("weight", "bias")}

_CAFFE_MEAN = (0.48501961, 0.45795686, 0.40760392)
_CAFFE_SCALE = 255.0
_TORCHVISION_MEAN = (0.485, 0.456, 0.406)
_TORCHVISION_STD = (0.229, 0.224, 0.225)
"""Of RGB in [0, 1], as published with each set of weights."""


def _names() -> dict[str, str]:
    """The original name of every convolution to torchvision's."""
    names, number = {}, count()
    for stage, convolutions in enumerate(_STAGES, 1):
        for index in range(1, convolutions + 1):
            names[f"conv{stage}_{index}"] = f"features.{next(number)}"
            next(number)  # the activation
        next(number)  # the pooling
    return names


_NAMES = _names()


class VGG19Features(nn.Module):
    """Images to the maps of relu5_2.

    Args:
        width: channels of the first layer, 64 in shared weights.
        caffe: whether the weights are the original ones, rather than torchvision's.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int, caffe: bool) -> None:
        super().__init__()
        self.caffe = caffe
        channels = RGB_CHANNELS
        self.convolutions = nn.ModuleDict()
        for name in _NAMES:
            out = width * _WIDTHS[int(name[len("conv")]) - 1]
            self.convolutions[name] = nn.Conv2d(channels, out, 3, 1, 1)
            channels = out
        mean = torch.tensor(_CAFFE_MEAN if caffe else _TORCHVISION_MEAN, device="cpu")
        std = torch.tensor(_TORCHVISION_STD, device="cpu")
        scale = torch.full_like(mean, _CAFFE_SCALE) if caffe else 1.0 / std
        self.register_buffer("mean", mean.view(-1, 1, 1), persistent=False)
        self.register_buffer("scale", scale.view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Image tensor `(batch, 3, height, width)` in [-1, 1] to `(batch, 8 * width, h, w)`.

        h and w are a sixteenth, rounded down. Differentiable; every image is independent of the
        rest. Raises `InputError` for another shape, or images that are too small for it.
        """
        check_images(images)
        if min(images.shape[-2:]) < _REDUCTION:
            raise InputError(
                f"images are {images.shape[-1]}x{images.shape[-2]}, VGG19 needs {_REDUCTION}x"
                f"{_REDUCTION} or more; leave the perceptual term out (weight 0)"
            )
        maps = (unit_range_from_signed(images) - self.mean) * self.scale
        if self.caffe:
            maps = maps.flip(1)  # to BGR
        stage = 1
        for name, convolution in self.convolutions.items():
            if name != f"conv{stage}_{name[-1]}":
                maps = functional.max_pool2d(maps, 2)
                stage += 1
            maps = convolution(maps).relu()
            if name == _LAST:
                break
        return maps


def load_perceptual(path: str | Path, device: str | torch.device = "cpu") -> VGG19Features:
    """VGG19 from a file of the original weights (`conv1_1.weight`, ...) or of torchvision's.

    The weights' origin, told by their names, decides how pixels are normalised; the two give maps
    of another scale, so the weight of a loss is for one of them. Of torchvision's state dict the
    classifier is not needed and may be left out. The result is float32, in eval mode and without
    gradients. Raises `CheckpointError`, naming the tensors, when the file is missing, damaged, of
    another kind, or holds unknown, missing, misshapen or non-finite tensors.
    """
    source = f"perceptual network {path}"
    tensors = network_of(read_torch_file(path), source)
    caffe = not any(name.startswith("features.") for name in tensors)
    if not caffe:
        tensors = {name: value for name, value in tensors.items() if name not in _CLASSIFIER}
    theirs = {own: own if caffe else torchvision for own, torchvision in _NAMES.items()}
    first = f"{next(iter(theirs.values()))}.weight"
    width = first_width(tensors, first, "a VGG19", source)
    own = shapes_of(lambda: VGG19Features(width, caffe).convolutions, source)
    names = {name: ".".join((theirs[name.split(".")[0]], name.split(".")[1])) for name in own}
    check_tensors({names[name]: shape for name, shape in own.items()}, tensors, source)
    with meta_device():
        network = VGG19Features(width, caffe)
    network.convolutions.to_empty(device="cpu")
    network.convolutions.load_state_dict({name: tensors[names[name]] for name in own})
    return network.eval().requires_grad_(False).to(device)
