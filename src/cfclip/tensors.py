"""Image tensors: axis order, pixel ranges and checks. Pixels change range only here.

An *image tensor* is float32 `(batch, 3, height, width)`, RGB, in [-1, 1] ("signed"), which is what
StyleGAN2 makes. Latents are `(batch, num_ws, w_dim)`. Here is also what device a tensor may be on,
and what random numbers are drawn from.
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from cfclip.errors import InputError
from cfclip.settings import MOST_SEED, Precision

RGB_CHANNELS = 3
_HALF_RANGE = 127.5
_SIGNED_SPAN = 2.0

DEVICE_TYPES = ("cpu", "cuda", "mps")
_BFLOAT16_CAPABILITIES = ("avx512_bf16", "amx_bf16", "arm_bf16")


def checked_device(device: str) -> torch.device:
    """The device of that name, such as "cpu" or "cuda:1".

    Raises `InputError` for another name, or a device that this machine does not have.
    """
    try:
        checked = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"unknown device {device!r}; use {', '.join(DEVICE_TYPES)}") from error
    if checked.type not in DEVICE_TYPES:
        raise InputError(f"unknown device {device!r}; use {', '.join(DEVICE_TYPES)}")
    missing = (
        (checked.type == "mps" and not torch.backends.mps.is_available())
        or (checked.type == "cuda" and not torch.cuda.is_available())
        or (checked.type == "cuda" and (checked.index or 0) >= torch.cuda.device_count())
    )
    if missing:
        raise InputError(f"this machine has no usable device {device!r}; use cpu")
    return checked


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 in hardware; elsewhere it is slower than float32.

    Of processors, what torch tells of their capabilities counts (from torch 2.10 on).
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return False
    known = torch.cpu.get_capabilities()
    return any(known.get(name, False) for name in _BFLOAT16_CAPABILITIES)


def mixed_precision(device: torch.device, precision: Precision) -> torch.autocast:
    """A block in which networks compute in `precision`; their weights stay as they are."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def signed_from_uint8(pixels: Tensor) -> Tensor:
    """uint8 `(batch, height, width, 3)` in 0..255 to an image tensor in [-1, 1]."""
    return pixels.permute(0, 3, 1, 2).float().div(_HALF_RANGE).sub(1.0)


def uint8_from_signed(images: Tensor) -> Tensor:
    """Image tensor to uint8 `(batch, height, width, 3)`: clamped to [-1, 1] and rounded."""
    scaled = images.detach().float().clamp(-1.0, 1.0).add(1.0).mul(_HALF_RANGE).round()
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def unit_range_from_signed(images: Tensor) -> Tensor:
    """Image tensor in [-1, 1] to [0, 1], unclamped and differentiable: what CLIP normalises."""
    return images.add(1.0).div(_SIGNED_SPAN)


def signed_from_pil(images: Sequence[Image.Image], size: int) -> Tensor:
    """PIL images to an image tensor `(len(images), 3, size, size)`, resized by Lanczos if needed.

    The images are taken as they are: cropping and colour modes are settled by `cfclip.images`.
    """
    arrays = []
    for image in images:
        rgb = image.convert("RGB")
        if rgb.size != (size, size):
            rgb = rgb.resize((size, size), Image.Resampling.LANCZOS)
        arrays.append(np.array(rgb))
    return signed_from_uint8(torch.from_numpy(np.stack(arrays)))


def pil_from_signed(images: Tensor) -> list[Image.Image]:
    """Image tensor to a list of 8-bit RGB PIL images."""
    return [Image.fromarray(array) for array in uint8_from_signed(images).cpu().numpy()]


def grey_from_unit(values: Tensor) -> Image.Image:
    """Values `(height, width)` in [0, 1], such as a mask, to an 8-bit grey PIL image."""
    return Image.fromarray(
        uint8_from_signed(values.mul(_SIGNED_SPAN).sub(1.0)[None, None])[0, :, :, 0].cpu().numpy()
    )


def resize_images(images: Tensor, size: int) -> Tensor:
    """Image tensor to `(batch, 3, size, size)`, antialiased bicubic, differentiable."""
    if images.shape[-2:] == (size, size):
        return images
    return functional.interpolate(
        images, size=(size, size), mode="bicubic", antialias=True, align_corners=False
    )


def unit(vectors: Tensor, eps: float = 0.0) -> Tensor:
    """`v / sqrt(|v|^2 + eps^2)` over the last dimension.

    With `eps > 0` the result and its gradient are bounded at `v = 0` (gradient at most `1/eps`).

    >>> unit(torch.tensor([3.0, 4.0]))
    tensor([0.6000, 0.8000])
    """
    return vectors / vectors.square().sum(-1, keepdim=True).add(eps * eps).sqrt()


def psnr(images: Tensor, reference: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB per image, `(batch,)`, both clamped to [-1, 1].

    >>> psnr(torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.2))
    tensor([20.])
    """
    error = images.clamp(-1.0, 1.0) - reference.clamp(-1.0, 1.0)
    mean_square = error.square().flatten(1).mean(1)
    return 10.0 * torch.log10(_SIGNED_SPAN**2 / mean_square.clamp_min(1e-12))


def check_images(images: Tensor, size: int | None = None) -> None:
    """Raise `InputError` unless `images` is `(batch, 3, height, width)`, `size` high and wide."""
    if images.ndim != 4 or images.shape[1] != RGB_CHANNELS:
        raise InputError(
            f"images have shape {tuple(images.shape)}, expected (batch, 3, height, width)"
        )
    if size is not None and images.shape[-2:] != (size, size):
        raise InputError(
            f"images are {images.shape[-1]}x{images.shape[-2]}, expected {size}x{size}; "
            "resize them with cfclip.tensors.resize_images"
        )


def check_latents(ws: Tensor, num_ws: int, w_dim: int) -> None:
    """Raise `InputError` unless `ws` is `(batch, num_ws, w_dim)`."""
    if ws.ndim != 3 or tuple(ws.shape[1:]) != (num_ws, w_dim):
        raise InputError(
            f"latents have shape {tuple(ws.shape)}, expected (batch, {num_ws}, {w_dim})"
        )


def mixed_seed(*numbers: int) -> int:
    """A seed of 63 bits; nearby `numbers`, none of them negative, give unrelated ones."""
    mixed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
    return mixed & MOST_SEED


def seeded(*numbers: int) -> torch.Generator:
    """A generator on the CPU that draws what `numbers` decide."""
    return torch.Generator().manual_seed(mixed_seed(*numbers))
