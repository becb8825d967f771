"""Views of an image that training sees: the edit's own perspectives, noise, blur and JPEG."""

from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from cfclip.losses import RandomPerspective
from cfclip.tensors import signed_from_uint8, uint8_from_signed

_NOISE_STD = 0.06
_JPEG_QUALITY = (40, 95)


def perspective(images: Tensor, distortion: float, share: float, seed: int, step: int) -> Tensor:
    """A random perspective of the first `share` of the images; the others stay as they are."""
    count = round(share * len(images))
    if count == 0:
        return images
    warp = RandomPerspective(copies=1, distortion=distortion)
    return torch.cat([warp(images[:count], seed, step), images[count:]])


def degrade(images: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """Noise on a share of the images, low resolution on another; `(batch, 3, H, W)` signed.

    An image encoder that has seen these gives gradients that follow shapes and colours instead of
    single pixels.
    """
    images = images.clone()
    for kind in range(2):
        chosen = torch.from_numpy(rng.random(len(images)) < share).nonzero().flatten()
        if len(chosen) == 0:
            continue
        if kind == 0:
            noise = torch.from_numpy(
                rng.standard_normal((len(chosen), *images.shape[1:]), dtype=np.float32)
            )
            images[chosen] += _NOISE_STD * noise
        else:
            small = functional.avg_pool2d(images[chosen], 2)
            images[chosen] = functional.interpolate(
                small, size=images.shape[-2:], mode="bilinear", align_corners=False
            )
    return images


def jpeg(images: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """JPEG compression of a share of the images, quality 40 to 95."""
    chosen = np.flatnonzero(rng.random(len(images)) < share)
    if len(chosen) == 0:
        return images
    images = images.clone()
    for index, pixels in zip(chosen, uint8_from_signed(images[chosen]).numpy(), strict=True):
        file = BytesIO()
        quality = int(rng.integers(*_JPEG_QUALITY))
        Image.fromarray(pixels).save(file, "JPEG", quality=quality)
        decoded = torch.from_numpy(np.array(Image.open(file)))
        images[index] = signed_from_uint8(decoded.unsqueeze(0))[0]
    return images
