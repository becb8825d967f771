import pytest
import torch

from cfclip.generators import StyleGAN2Config
from recipes.avatars.discriminator import GROUP, Discriminator, minibatch_deviation
from recipes.avatars.train_adversarial import r1_penalty

SIZES = StyleGAN2Config(16, (8, 8, 4), 4, 4, 1)


@pytest.fixture
def discriminator() -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(SIZES)


def test_one_logit_per_image(discriminator: Discriminator) -> None:
    assert discriminator(torch.randn(2 * GROUP, 3, 16, 16)).shape == (2 * GROUP,)
    assert discriminator(torch.randn(1, 3, 16, 16)).shape == (1,)


def test_activations_keep_their_variance(discriminator: Discriminator) -> None:
    """Equalised weights need no other initialisation: nothing dies out or blows up."""
    with torch.no_grad():
        logits = discriminator(torch.randn(64, 3, 16, 16))
    assert 0.05 < float(logits.std()) < 5.0


def test_a_group_of_equal_images_has_no_deviation() -> None:
    one, other = torch.randn(2, 1, 3, 2, 2)
    # Images i and i + 2 are of one group.
    maps = torch.cat([one, other] * GROUP)
    deviation = minibatch_deviation(maps)
    assert deviation.shape == (2 * GROUP, 1, 2, 2)
    assert float(deviation.max()) == pytest.approx(0.0, abs=1e-3)
    maps[0] += 1.0
    changed = minibatch_deviation(maps)[:, 0, 0, 0] > 1e-3
    assert changed.tolist() == [True, False] * GROUP


def test_r1_is_half_the_squared_slope() -> None:
    class Linear(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return 3.0 * images[:, 0, 0, 0] + 4.0 * images[:, 1, 1, 1]

    assert float(r1_penalty(Linear(), torch.randn(5, 3, 4, 4))) == pytest.approx(12.5)


def test_r1_teaches(discriminator: Discriminator) -> None:
    penalty = r1_penalty(discriminator, torch.randn(4, 3, 16, 16))
    penalty.backward()
    gradients = [p.grad for n, p in discriminator.named_parameters() if not n.endswith("bias")]
    assert all(g is not None and float(g.abs().max()) > 0 for g in gradients)
