import torch
from torch import Tensor

from cfclip_benchmark.batches import evaluate_in_batches


def test_evaluate_in_batches() -> None:
    inputs = torch.arange(5.0, requires_grad=True)
    sizes: list[int] = []

    def double(chunk: Tensor) -> Tensor:
        sizes.append(len(chunk))
        return 2 * chunk

    found = evaluate_in_batches(double, inputs, 2)
    assert torch.equal(found, 2 * inputs.detach())
    assert not found.requires_grad
    assert sizes == [2, 2, 1]
