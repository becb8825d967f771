"""W with a scale of its own, and the same pictures."""

import pytest
import torch

from cfclip.generators import StyleGAN2Config
from cfclip_benchmark.avatars import sample_table
from recipes.avatars.attribute_latents import attribute_inputs
from recipes.avatars.standardise import W_LEVEL, standardise
from recipes.avatars.warm_start import WarmStart

W_DIM = 64


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    return attribute_inputs(sample_table(800, "natural", 0))


@pytest.fixture
def model() -> WarmStart:
    torch.manual_seed(0)
    sizes = StyleGAN2Config(8, (8, 8), z_dim=32, w_dim=W_DIM, mapping_layers=2)
    model = WarmStart(sizes).requires_grad_(False)
    model.latents.colours.weight.mul_(torch.logspace(-1, 1, W_DIM)[:, None])
    model.latents.colours.bias.fill_(0.3)
    return model


def test_pictures_stay_as_they_are(
    model: WarmStart, inputs: tuple[torch.Tensor, torch.Tensor]
) -> None:
    codes, rgb = inputs
    before, old = model.images(codes[:4], rgb[:4], 8), model.latents(codes, rgb)
    standardise(model.generator, model.latents, codes, 0)
    assert torch.allclose(model.images(codes[:4], rgb[:4], 8), before, atol=1e-3)
    assert not torch.allclose(model.latents(codes, rgb), old, atol=0.1)


def test_attributes_even_over_rgb_have_unit_variance(
    model: WarmStart, inputs: tuple[torch.Tensor, torch.Tensor]
) -> None:
    codes = inputs[0]
    standardise(model.generator, model.latents, codes, 0)
    even = 2 * torch.rand(len(codes), *inputs[1].shape[1:]) - 1
    w = model.latents(codes, even)
    assert (w.mean(0) - W_LEVEL).abs().max() < 0.2
    assert float(w.var(0).mean()) == pytest.approx(1.0, abs=0.1)
    assert w.std(0).max() / w.std(0).min() < 4


def test_what_no_attribute_uses_changes_nothing(
    model: WarmStart, inputs: tuple[torch.Tensor, torch.Tensor]
) -> None:
    codes, rgb = inputs
    standardise(model.generator, model.latents, codes, 0)
    w = model.latents(codes, rgb)
    spanned = torch.cat([e.weight for e in model.latents.shapes] + [model.latents.colours.weight.T])
    unused = torch.linalg.svd(spanned).Vh[torch.linalg.matrix_rank(spanned, rtol=1e-4) :]
    assert len(unused)
    ws = w[:2].unsqueeze(1).expand(-1, model.generator.num_ws, -1)
    moved = ws + 3.0 * unused[0]
    images = [model.generator.synthesis(x, noise_mode="none") for x in (ws, moved)]
    assert torch.allclose(*images, atol=1e-3)


def test_the_same_seed_gives_the_same_latents(
    model: WarmStart, inputs: tuple[torch.Tensor, torch.Tensor]
) -> None:
    codes, rgb = inputs
    state = {name: value.clone() for name, value in model.state_dict().items()}
    made = []
    for _ in range(2):
        model.load_state_dict(state)
        standardise(model.generator, model.latents, codes, 5)
        made.append(model.latents(codes, rgb))
    assert torch.equal(*made)
