import numpy as np
import pytest
import torch
from PIL import Image

from cfclip.errors import InputError
from cfclip.tensors import (
    check_images,
    check_latents,
    pil_from_signed,
    psnr,
    resize_images,
    signed_from_pil,
    signed_from_uint8,
    uint8_from_signed,
    unit,
    unit_range_from_signed,
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_every_byte_survives_the_round_trip() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).repeat(1, 1, 1, 3)
    signed = signed_from_uint8(pixels)
    assert signed.shape == (1, 3, 16, 16)
    assert signed.dtype == torch.float32
    assert (signed.min(), signed.max()) == (-1.0, 1.0)
    assert torch.equal(uint8_from_signed(signed), pixels)


def test_values_outside_the_range_are_clamped() -> None:
    images = torch.tensor([-3.0, 0.0, 3.0]).reshape(1, 3, 1, 1).requires_grad_()
    assert uint8_from_signed(images).flatten().tolist() == [0, 128, 255]


def test_unit_range_is_not_clamped() -> None:
    assert unit_range_from_signed(torch.tensor([-1.0, 0.0, 3.0])).tolist() == [0.0, 0.5, 2.0]


def test_pil_round_trip_keeps_axes_and_colours() -> None:
    image = Image.new("RGB", (8, 8), (255, 0, 10))
    image.putpixel((5, 2), (0, 255, 0))  # x, y
    signed = signed_from_pil([image, image], 8)
    assert signed.shape == (2, 3, 8, 8)
    assert signed[1, :, 2, 5].tolist() == [-1.0, 1.0, -1.0]
    for back in pil_from_signed(signed):
        np.testing.assert_array_equal(np.asarray(back), np.asarray(image))


def test_pil_images_are_resized_and_brought_to_rgb() -> None:
    grey = Image.new("L", (20, 10), 255)
    assert torch.equal(signed_from_pil([grey], 8), torch.ones(1, 3, 8, 8))


def test_resize() -> None:
    images = noise(2, 3, 16, 16).requires_grad_()
    assert resize_images(images, 16) is images
    small = resize_images(images, 8)
    assert small.shape == (2, 3, 8, 8)
    assert torch.allclose(small[1:], resize_images(images[1:], 8), atol=1e-6)
    small.sum().backward()
    assert images.grad is not None
    # Antialiased: every pixel has a part in the result, unlike picking each second one.
    assert bool((images.grad != 0).all())


def test_resizing_keeps_a_flat_colour() -> None:
    flat = torch.full((1, 3, 16, 16), 0.25)
    assert torch.allclose(resize_images(flat, 40), torch.full((1, 3, 40, 40), 0.25))


def test_unit_has_length_one_and_a_bounded_gradient_at_zero() -> None:
    assert torch.allclose(unit(noise(4, 7)).norm(dim=-1), torch.ones(4))
    vector, eps = torch.zeros(1, 7, requires_grad=True), 1e-3
    unit(vector, eps).sum().backward()
    assert vector.grad is not None
    assert bool((vector.grad.abs() <= 1.001 / eps).all())
    assert torch.autograd.gradcheck(lambda v: unit(v, 0.1), noise(2, 3).double().requires_grad_())


def test_psnr_is_per_image_and_clamped() -> None:
    images = noise(3, 3, 8, 8)
    other = noise(3, 3, 8, 8, seed=1)
    assert torch.allclose(psnr(images, other)[2:], psnr(images[2:], other[2:]))
    assert torch.allclose(
        psnr(torch.full((1, 3, 2, 2), 5.0), torch.ones(1, 3, 2, 2)), torch.tensor([126.0206])
    )
    assert torch.isfinite(psnr(images, images)).all()


def test_checks_name_what_was_found_and_expected() -> None:
    check_images(torch.zeros(2, 3, 8, 8), 8)
    with pytest.raises(InputError, match=r"\(3, 8, 8\), expected \(batch, 3"):
        check_images(torch.zeros(3, 8, 8))
    with pytest.raises(InputError, match=r"\(1, 4, 8, 8\)"):
        check_images(torch.zeros(1, 4, 8, 8))
    with pytest.raises(InputError, match=r"are 6x8, expected 8x8; resize"):
        check_images(torch.zeros(1, 3, 8, 6), 8)
    check_latents(torch.zeros(2, 10, 64), 10, 64)
    for shape in [(10, 64), (2, 9, 64), (2, 10, 63)]:
        with pytest.raises(InputError, match=r"expected \(batch, 10, 64\)"):
            check_latents(torch.zeros(shape), 10, 64)
