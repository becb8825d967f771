"""StyleGAN2: sizes, StyleSpace, early stop, noise, truncation, gradients, precision."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cfclip.errors import InputError
from cfclip.generators import StyleGAN2, StyleGAN2Config
from cfclip.generators.ops import StyledConv, ToRGB

MakeGenerator = Callable[..., StyleGAN2]


def close(first: Tensor, second: Tensor) -> bool:
    return torch.allclose(first, second, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("resolution", "channels"),
    [(8, (3, 5)), (16, (4, 2, 1)), (64, (2, 3, 4, 5, 6)), (128, (4, 4, 3, 3, 2, 2))],
)
@pytest.mark.parametrize("img_channels", [3, 1])
def test_any_resolution_and_channel_schedule(
    make_generator: MakeGenerator, resolution: int, channels: tuple[int, ...], img_channels: int
) -> None:
    config = StyleGAN2Config(
        resolution, channels, z_dim=5, w_dim=7, mapping_layers=1, img_channels=img_channels
    )
    generator = make_generator(config)
    ws = generator.mapping(torch.randn(2, 5))
    assert ws.shape == (2, generator.num_ws, 7)
    assert generator.num_ws == 2 * (resolution.bit_length() - 1) - 2
    images = generator.synthesis(ws)
    assert images.shape == (2, img_channels, resolution, resolution)
    assert images.dtype == torch.float32
    assert torch.isfinite(images).all()


def test_the_largest_resolution_is_1024_and_the_rows_are_18() -> None:
    assert StyleGAN2Config(1024, (1,) * 9).num_ws == 18


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resolution": 48}, "resolution is 48, expected a power of two from 8 to 1024"),
        ({"resolution": 4, "channels": (8,)}, "resolution is 4"),
        ({"resolution": 2048}, "resolution is 2048"),
        ({"channels": (8, 8)}, "channels has 2 numbers, expected 3"),
        ({"channels": (8, 0, 8)}, "all must be whole numbers from 1 to 16384"),
        ({"w_dim": 1 << 40}, "all must be whole numbers from 1 to 16384"),
        ({"z_dim": 8.0}, "all must be whole numbers from 1 to 16384"),
        ({"mapping_layers": 65}, "mapping_layers is 65, expected 64 at most"),
        ({"mapping_lr_multiplier": float("inf")}, "expected a number above 0"),
        ({"mapping_layers": 0}, "all must be whole numbers from 1 to 16384"),
        ({"mapping_lr_multiplier": 0.0}, "mapping_lr_multiplier is 0.0"),
    ],
)
def test_impossible_sizes_are_refused(changes: dict[str, object], message: str) -> None:
    sizes: dict[str, object] = {"resolution": 16, "channels": (8, 8, 8)} | changes
    with pytest.raises(InputError, match=message):
        StyleGAN2Config(**sizes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("resolution", "at_once"), [(8, 16), (256, 16), (512, 4), (1024, 1)])
def test_a_megapixel_at_a_time(resolution: int, at_once: int) -> None:
    levels = resolution.bit_length() - 2
    config = StyleGAN2Config(resolution=resolution, channels=(1,) * levels, z_dim=1, w_dim=1)
    with torch.device("meta"):
        assert StyleGAN2(config).images_at_once == at_once


def test_styled_conv_is_the_papers_modulated_convolution() -> None:
    layer = StyledConv(5, 4, 6, 8, up=False)
    with torch.no_grad():
        layer.bias.normal_()
        layer.noise_strength.fill_(0.7)
    features, style = torch.randn(2, 5, 8, 8), torch.randn(2, 5)
    expected = []
    for image, scale in zip(features, style, strict=True):
        weight = layer.weight / (5 * 9) ** 0.5 * scale[None, :, None, None]
        weight = weight * (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).rsqrt()
        value = functional.conv2d(image[None], weight, padding=1)
        value = value + 0.7 * layer.noise_const + layer.bias[:, None, None]
        expected.append(2.0**0.5 * functional.leaky_relu(value, 0.2))
    torch.testing.assert_close(
        layer(features, style, "const"), torch.cat(expected), rtol=1e-4, atol=1e-5
    )


def test_to_rgb_is_modulated_and_not_demodulated() -> None:
    layer = ToRGB(5, 3, 6)
    with torch.no_grad():
        layer.bias.normal_()
    features, style = torch.randn(2, 5, 4, 4), torch.randn(2, 5)
    scaled = features * style[:, :, None, None] / 5**0.5
    expected = functional.conv2d(scaled, layer.weight, layer.bias)
    torch.testing.assert_close(layer(features, style), expected)


def test_each_image_is_independent_of_its_batch(generator: StyleGAN2, ws: Tensor) -> None:
    z = torch.randn(3, generator.z_dim)
    codes, images = generator.mapping(z, 0.7), generator.synthesis(ws)
    for index in range(len(ws)):
        assert close(generator.mapping(z[index : index + 1], 0.7)[0], codes[index])
        assert close(generator.synthesis(ws[index : index + 1])[0], images[index])


def test_forward_maps_and_synthesises(generator: StyleGAN2) -> None:
    z = torch.randn(1, generator.z_dim)
    assert torch.equal(generator(z, 0.5), generator.synthesis(generator.mapping(z, 0.5)))


# Layers and StyleSpace


def test_styles_round_trip(generator: StyleGAN2, ws: Tensor) -> None:
    styles = generator.styles(ws)
    widths = [style.shape[1] for style in styles]
    # conv, rgb at 4x4 (8 channels), then conv, conv, rgb: a first convolution has the width below.
    assert widths == [8, 8, 8, 6, 6, 6, 6, 6, 6, 4, 4]
    assert torch.equal(generator.synthesis_from_styles(styles), generator.synthesis(ws))


def test_each_row_reaches_its_own_styles(generator: StyleGAN2, ws: Tensor) -> None:
    reference = generator.styles(ws)
    # A to-RGB shares its row with the next resolution's first convolution.
    expected = [[0], [1, 2], [3], [4, 5], [6], [7, 8], [9], [10]]
    assert len(expected) == generator.num_ws
    for row, changed in enumerate(expected):
        moved = ws.clone()
        moved[:, row] += 1.0
        styles = generator.styles(moved)
        differing = [
            index
            for index, (first, second) in enumerate(zip(styles, reference, strict=True))
            if not torch.equal(first, second)
        ]
        assert differing == changed


def test_stop_at_is_the_image_of_a_smaller_generator(
    make_generator: MakeGenerator, generator: StyleGAN2, ws: Tensor
) -> None:
    full = generator.config
    small = make_generator(
        StyleGAN2Config(16, full.channels[:3], full.z_dim, full.w_dim, full.mapping_layers)
    )
    own = generator.state_dict()
    small.load_state_dict({name: own[name] for name in small.state_dict()})
    expected = small.synthesis(ws[:, : small.num_ws])
    assert torch.equal(generator.synthesis(ws, stop_at=16), expected)
    assert torch.equal(generator.synthesis(ws, stop_at=32), generator.synthesis(ws))
    assert generator.synthesis(ws, stop_at=4).shape[-1] == 4


def test_stop_at_needs_no_layer_above(generator: StyleGAN2, ws: Tensor) -> None:
    styles = generator.styles(ws)
    expected = generator.synthesis(ws, stop_at=8)
    assert torch.equal(generator.synthesis_from_styles(styles, stop_at=8), expected)
    assert torch.equal(generator.synthesis_from_styles(styles[:5], stop_at=8), expected)
    codes = ws.clone().requires_grad_()
    generator.synthesis(codes, stop_at=8).square().sum().backward()
    assert codes.grad is not None
    reached = codes.grad.abs().sum((0, 2)) > 0
    assert reached.tolist() == [True] * 4 + [False] * 4


# Noise


def test_noise_modes(generator: StyleGAN2, ws: Tensor) -> None:
    const = generator.synthesis(ws, "const")
    assert torch.equal(const, generator.synthesis(ws, "const"))
    assert not close(const, generator.synthesis(ws, "none"))
    random = generator.synthesis(ws, "random")
    assert not close(random, generator.synthesis(ws, "random"))
    same = ws[:1].expand(2, -1, -1)
    first, second = generator.synthesis(same, "random")
    assert not close(first, second)


def test_zero_strength_is_no_noise_and_draws_nothing(generator: StyleGAN2, ws: Tensor) -> None:
    generator.requires_grad_(False)
    for conv in generator.convs:
        conv.noise_strength.zero_()  # type: ignore[operator, union-attr]
    before = torch.get_rng_state()
    images = generator.synthesis(ws, "random")
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(images, generator.synthesis(ws, "none"))
    assert torch.equal(images, generator.synthesis(ws, "const"))


def test_a_zero_strength_can_be_trained(make_generator: MakeGenerator, ws: Tensor) -> None:
    generator = make_generator()
    strength = generator.convs[0].noise_strength
    assert isinstance(strength, Tensor)
    with torch.no_grad():
        strength.zero_()
    generator.synthesis(ws).square().sum().backward()
    assert strength.grad is not None
    assert strength.grad != 0


# Truncation


def test_truncation(generator: StyleGAN2) -> None:
    z = torch.randn(2, generator.z_dim)
    full = generator.mapping(z)
    assert close(generator.mapping(z, 0.0), generator.w_avg.expand_as(full))
    half = generator.mapping(z, 0.5)
    assert close(half, 0.5 * (full + generator.w_avg))
    cut = generator.mapping(z, 0.5, truncation_cutoff=3)
    assert torch.equal(cut[:, :3], half[:, :3])
    assert torch.equal(cut[:, 3:], full[:, 3:])
    assert torch.equal(generator.mapping(z, 0.5, truncation_cutoff=0), full)


def test_mapping_ignores_the_length_of_z(generator: StyleGAN2) -> None:
    z = torch.randn(2, generator.z_dim)
    assert close(generator.mapping(z), generator.mapping(9.0 * z))


# Gradients and precision


def test_gradients_of_codes_and_weights_are_finite(generator: StyleGAN2, ws: Tensor) -> None:
    codes = ws.clone().requires_grad_()
    generator.synthesis(codes).square().mean().backward()
    assert codes.grad is not None
    assert torch.isfinite(codes.grad).all()
    assert (codes.grad.abs().sum(2) > 0).all()
    for name, parameter in generator.named_parameters():
        if not name.startswith("mapping_layers"):
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


def test_gradient_of_the_codes_against_differences(make_generator: MakeGenerator) -> None:
    config = StyleGAN2Config(8, (3, 2), z_dim=3, w_dim=3, mapping_layers=1)
    generator = make_generator(config).double().requires_grad_(False)
    codes = torch.randn(1, generator.num_ws, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(generator.synthesis, codes)
    z = torch.randn(1, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(generator.mapping, z)


def test_second_derivatives_exist(generator: StyleGAN2, ws: Tensor) -> None:
    """Path-length regularisation differentiates the gradient of the codes."""
    codes = ws.clone().requires_grad_()
    images = generator.synthesis(codes)
    (gradient,) = torch.autograd.grad(
        (images * torch.randn_like(images)).sum(), codes, create_graph=True
    )
    gradient.square().sum().backward()
    assert torch.isfinite(generator.convs[0].weight.grad).all()  # type: ignore[arg-type, union-attr]


@pytest.mark.parametrize("learning", [False, True])
def test_second_derivatives_against_differences(
    make_generator: MakeGenerator, learning: bool
) -> None:
    config = StyleGAN2Config(8, (3, 2), z_dim=3, w_dim=3, mapping_layers=1)
    generator = make_generator(config).double().requires_grad_(learning)
    codes = torch.randn(1, generator.num_ws, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(generator.synthesis, codes)


def test_bf16_autocast_stays_close_and_gives_float32(generator: StyleGAN2, ws: Tensor) -> None:
    expected = generator.synthesis(ws)
    z = torch.randn(2, generator.z_dim)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        codes = ws.clone().requires_grad_()
        images = generator.synthesis(codes)
        mapped, styles = generator.mapping(z), generator.styles(ws)
    images.square().mean().backward()
    assert images.dtype == torch.float32
    assert (images - expected).norm() < 0.03 * expected.norm()
    assert not torch.equal(images, expected)
    assert codes.grad is not None
    assert torch.isfinite(codes.grad).all()
    assert torch.equal(mapped, generator.mapping(z))
    for style, reference in zip(styles, generator.styles(ws), strict=True):
        assert torch.equal(style, reference)


# Bad calls


@pytest.mark.parametrize("stop_at", [0, 12, 64])
def test_unknown_stop_is_refused(generator: StyleGAN2, ws: Tensor, stop_at: int) -> None:
    with pytest.raises(InputError, match=rf"stop_at is {stop_at}, expected one of 4, 8, 16, 32"):
        generator.synthesis(ws, stop_at=stop_at)


def test_wrong_shapes_and_modes_are_refused(generator: StyleGAN2, ws: Tensor) -> None:
    with pytest.raises(InputError, match=r"expected \(batch, 8, 12\)"):
        generator.synthesis(ws[:, :-1])
    with pytest.raises(InputError, match=r"expected \(batch, 10\)"):
        generator.mapping(torch.randn(1, 9))
    with pytest.raises(InputError, match="noise_mode is 'loud'"):
        generator.synthesis(ws, "loud")  # type: ignore[arg-type]
    styles = generator.styles(ws)
    with pytest.raises(InputError, match="10 styles given, expected 11"):
        generator.synthesis_from_styles(styles[:-1])
    styles[3] = styles[3][:, :-1]
    with pytest.raises(InputError, match=r"style 3 has shape \(3, 5\), expected \(batch, 6\)"):
        generator.synthesis_from_styles(styles)


def test_more_images_than_a_megapixel_are_rendered_in_parts() -> None:
    torch.manual_seed(0)
    sizes = StyleGAN2Config(1024, (2,) * 9, z_dim=4, w_dim=4, mapping_layers=1)
    generator = StyleGAN2(sizes).eval().requires_grad_(False)
    assert generator.images_at_once == 1
    ws = generator.mapping(torch.randn(2, 4)).requires_grad_()
    together = generator.synthesis(ws)
    alone = torch.cat([generator.synthesis(ws[:1]), generator.synthesis(ws[1:])])
    assert torch.equal(together, alone)
    together.sum().backward()
    assert ws.grad is not None
    assert bool(ws.grad.isfinite().all())


def test_the_lowest_resolution_for_what_is_looked_at() -> None:
    generator = StyleGAN2(StyleGAN2Config(64, (2,) * 5, z_dim=4, w_dim=4, mapping_layers=1))
    assert [generator.resolution_for(side) for side in (1, 16, 17, 64, 224)] == [4, 16, 32, 64, 64]


def test_weights_that_are_changed_in_place_count_at_once() -> None:
    """What is kept of frozen weights is that of the weights that there are."""
    generator = StyleGAN2(StyleGAN2Config(16, (4,) * 3, z_dim=4, w_dim=4, mapping_layers=1))
    generator.eval().requires_grad_(False)
    ws = generator.mapping(torch.randn(1, 4))
    with torch.inference_mode():
        before = generator.synthesis(ws)
    with torch.no_grad():
        generator.convs[1].weight[0].mul_(3.0)
    fresh = StyleGAN2(generator.config).eval().requires_grad_(False)
    fresh.load_state_dict(generator.state_dict())
    changed = generator.synthesis(ws)
    assert torch.equal(changed, fresh.synthesis(ws))
    assert not torch.equal(changed, before)
    moving = ws.clone().requires_grad_()
    generator.synthesis(moving).sum().backward()  # what was kept in inference mode takes part
    assert moving.grad is not None
