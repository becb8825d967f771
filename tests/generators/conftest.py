"""A StyleGAN2 small enough for every test, with every parameter away from its initial value."""

from collections.abc import Callable, Iterator

import pytest
import torch

from cfclip.generators import StyleGAN2, StyleGAN2Config

TINY = StyleGAN2Config(resolution=32, channels=(8, 6, 6, 4), z_dim=10, w_dim=12, mapping_layers=2)


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """The same inputs in every run, and the caller's random state left alone."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture
def make_generator() -> Callable[..., StyleGAN2]:
    """Builds a generator of any configuration whose weights depend on the seed alone."""

    def make(config: StyleGAN2Config = TINY, seed: int = 0) -> StyleGAN2:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            generator = StyleGAN2(config)
            with torch.no_grad():
                for name, value in generator.state_dict().items():
                    if name.endswith(("bias", "noise_strength")) or name == "w_avg":
                        value.add_(0.3 * torch.randn_like(value))
        return generator.eval()

    return make


@pytest.fixture
def generator(make_generator: Callable[..., StyleGAN2]) -> StyleGAN2:
    return make_generator()


@pytest.fixture
def ws(generator: StyleGAN2) -> torch.Tensor:
    """Three W+ codes whose rows differ."""
    source = torch.Generator().manual_seed(1)
    return torch.randn(3, generator.num_ws, generator.w_dim, generator=source)
