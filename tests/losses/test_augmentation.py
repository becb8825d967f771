import pytest
import torch

from cfclip.errors import InputError
from cfclip.losses import RandomPerspective

SIZE = 16


def pictures(batch: int = 3, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 3, SIZE, SIZE, generator=generator) * 2 - 1


def test_rows_are_copies_major_and_of_the_image_size():
    images = torch.stack([torch.full((3, SIZE, SIZE + 4), v) for v in (0.25, 0.75)])
    rows = RandomPerspective(copies=3)(images, seed=1, step=0)
    assert rows.shape == (6, 3, SIZE, SIZE + 4)
    assert torch.allclose(rows.unflatten(0, (3, 2)).amax((0, 2, 3, 4)), torch.tensor([0.25, 0.75]))


def test_draws_do_not_depend_on_the_batch():
    images = pictures()
    augment = RandomPerspective(copies=2)
    together = augment(images, seed=5, step=7).unflatten(0, (2, 3))
    for b in range(3):
        alone = augment(images[b : b + 1], seed=5, step=7, indices=[b])
        assert torch.allclose(together[:, b], alone, atol=1e-6)
    fewer = augment(images[[0, 2]], seed=5, step=7, indices=[0, 2]).unflatten(0, (2, 2))
    assert torch.allclose(fewer, together[:, [0, 2]], atol=1e-6)


def test_same_arguments_same_rows_and_any_other_argument_others():
    images = pictures(1)
    augment = RandomPerspective(copies=2)
    first = augment(images, seed=0, step=0)
    assert torch.equal(first, augment(images, seed=0, step=0))
    assert not torch.allclose(first[0], first[1], atol=1e-2)
    for other in ({"seed": 1, "step": 0}, {"seed": 0, "step": 1}):
        assert not torch.allclose(first, augment(images, **other), atol=1e-2)
    assert not torch.allclose(first, augment(images, seed=0, step=0, indices=[1]), atol=1e-2)


def test_the_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    RandomPerspective()(pictures(1), seed=0, step=0)
    assert torch.equal(before, torch.get_rng_state())


def test_mixed_precision_does_not_move_pixels():
    images = pictures(1)
    augment = RandomPerspective(copies=2)
    expected = augment(images, seed=0, step=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(augment(images, seed=0, step=0), expected)


def test_no_distortion_is_the_identity():
    images = pictures(1)
    rows = RandomPerspective(copies=1, distortion=0.0)(images, seed=0, step=0)
    assert torch.allclose(rows, images, atol=1e-4)


def test_the_border_is_grey_and_the_middle_is_kept():
    rows = RandomPerspective(copies=32)(torch.ones(1, 3, 64, 64), seed=0, step=0)
    corners = rows[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert rows.min() >= 0.0
    assert (corners == 0).float().mean() > 0.8
    # Corners move by at most distortion / 2 of a side, so that the middle half is always covered.
    assert torch.allclose(rows[:, :, 17:-17, 17:-17], torch.tensor(1.0), atol=1e-4)
    covered = rows.mean().item()
    assert 0.4 < covered < 0.8


def test_differentiable():
    images = pictures(1).double().requires_grad_()
    augment = RandomPerspective(copies=2)
    small = torch.nn.functional.avg_pool2d(images, 4).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: augment(x, seed=0, step=0), (small,), atol=1e-4)
    augment(images, seed=0, step=0).square().sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()


@pytest.mark.parametrize("settings", [{"copies": 0}, {"distortion": -0.1}, {"distortion": 1.5}])
def test_bad_settings(settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        RandomPerspective(**settings)


def test_bad_calls():
    augment = RandomPerspective()
    with pytest.raises(InputError, match="2 indices for 1 images"):
        augment(pictures(1), seed=0, step=0, indices=[0, 1])
    with pytest.raises(InputError, match="must not be negative"):
        augment(pictures(1), seed=-1, step=0)
    with pytest.raises(InputError, match="images have shape"):
        augment(pictures(1)[0], seed=0, step=0)
