import pytest
import torch

from cfclip.errors import InputError
from cfclip_benchmark.realism import kernel_distance


def waves(shift: float) -> tuple[torch.Tensor, torch.Tensor]:
    steps = torch.arange(1, 41, dtype=torch.float64)
    return torch.sin(steps).reshape(8, 5), torch.cos(steps).reshape(8, 5) + shift


@pytest.mark.parametrize(("shift", "expected"), [(0.0, -0.43144874649966614), (0.3, -0.2307230017)])
def test_as_torchmetrics_has_it(shift: float, expected: float) -> None:
    """`torchmetrics.image.kid.poly_mmd` (1.9.0) of the same features."""
    assert kernel_distance(*waves(shift)) == pytest.approx(expected, abs=1e-9)


def test_it_grows_with_the_difference_and_is_zero_on_average() -> None:
    draw = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 400, 8, generator=draw)
    near, far = kernel_distance(one, other), kernel_distance(one, other + 1.0)
    assert abs(near) < 0.05
    assert far > 1.0
    assert kernel_distance(other + 1.0, one) == pytest.approx(far)


@pytest.mark.parametrize("count", [4, 400])
def test_pairs_of_the_same_are_no_nearer_than_alike(count: int) -> None:
    draw = torch.Generator().manual_seed(0)
    one = torch.randn(count, 8, generator=draw)
    assert kernel_distance(one, one, paired=True) == pytest.approx(0.0, abs=1e-9)
    assert kernel_distance(one, one) < -1.0 / count


def test_pairs_of_different_numbers() -> None:
    with pytest.raises(InputError, match="2 and 3 pictures are no pairs"):
        kernel_distance(torch.zeros(2, 4), torch.zeros(3, 4), paired=True)


def test_too_few() -> None:
    with pytest.raises(InputError, match="1 and 3 pictures are too few"):
        kernel_distance(torch.zeros(1, 4), torch.zeros(3, 4))
