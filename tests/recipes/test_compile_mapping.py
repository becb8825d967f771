"""A mapping network put together: z gives the attributes that the prior says."""

import pytest
import torch

from cfclip.generators import StyleGAN2Config
from cfclip_benchmark.avatars import sample_table
from recipes.avatars.attribute_latents import attribute_inputs
from recipes.avatars.compile_mapping import compile_mapping
from recipes.avatars.latent_prior import COORDINATES, LatentPrior
from recipes.avatars.standardise import standardise
from recipes.avatars.warm_start import WarmStart

W_DIM = 256


@pytest.fixture(scope="module")
def prior() -> LatentPrior:
    return LatentPrior(sample_table(4000, "natural", 0))


def warm_start(w_dim: int = W_DIM, mapping_layers: int = 5) -> WarmStart:
    torch.manual_seed(0)
    sizes = StyleGAN2Config(8, (8, 8), COORDINATES + 3, w_dim, mapping_layers)
    model = WarmStart(sizes).requires_grad_(False)
    codes = attribute_inputs(sample_table(800, "natural", 1))[0]
    standardise(model.generator, model.latents, codes, 0)
    return model


def unexplained(model: WarmStart, prior: LatentPrior, seed: int) -> torch.Tensor:
    """Share of the variance of W that each of many samples misses its own w by."""
    generator = model.generator
    z = torch.randn(3000, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    wanted = model.latents(*prior.attributes(z))
    error = (generator.mapping(z)[:, 0] - wanted).square().mean(1)
    return error / wanted.var(0).mean()


def test_nearly_all_of_w_is_explained_for_new_samples(prior: LatentPrior) -> None:
    model = warm_start()
    said = compile_mapping(model.generator, model.latents, prior, 0)
    found = unexplained(model, prior, 1)
    assert said < 0.005
    assert float(found.mean()) == pytest.approx(said, abs=0.003)
    # What is left are samples inside a step, not a blur over all of them.
    assert float((found > 0.02).float().mean()) < 0.03
    assert float(found.median()) < 1e-3


@pytest.mark.parametrize("layers", [4, 8])
def test_any_depth_from_four_layers_will_do(prior: LatentPrior, layers: int) -> None:
    model = warm_start(mapping_layers=layers)
    assert compile_mapping(model.generator, model.latents, prior, 0) < 0.005


@pytest.mark.parametrize(("w_dim", "layers"), [(64, 6), (W_DIM, 3)])
def test_a_network_too_small_says_what_it_takes(
    prior: LatentPrior, w_dim: int, layers: int
) -> None:
    model = warm_start(w_dim, layers)
    with pytest.raises(ValueError, match=f"{layers} layers of {w_dim}; this distribution takes 4"):
        compile_mapping(model.generator, model.latents, prior, 0)


def test_the_network_goes_on_learning(prior: LatentPrior) -> None:
    model = warm_start()
    compile_mapping(model.generator, model.latents, prior, 0)
    mapping = model.generator.mapping_layers.requires_grad_(True)
    z = torch.randn(8, model.generator.z_dim, generator=torch.Generator().manual_seed(2))
    model.generator.mapping(z).square().mean().backward()
    gradients = [parameter.grad for parameter in mapping.parameters()]
    assert all(g is not None and bool(torch.isfinite(g).all()) for g in gradients)
    assert all(g is not None and float(g.abs().max()) > 0 for g in gradients)
