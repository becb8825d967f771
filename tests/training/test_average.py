"""The moving average of weights."""

import pytest
import torch
from torch import nn

from cfclip.training import Average


def test_average_by_hand() -> None:
    module = nn.BatchNorm1d(1)
    average = Average(module, 0.5)
    with torch.no_grad():
        module.weight.fill_(3.0)
        module.num_batches_tracked.fill_(7)
    average.update(module, step=0)  # early on it follows quickly: a tenth of the past
    assert average.values["weight"].item() == pytest.approx(0.1 * 1.0 + 0.9 * 3.0)
    average.update(module, step=10_000)
    assert average.values["weight"].item() == pytest.approx(0.5 * 2.8 + 0.5 * 3.0)
    assert average.values["num_batches_tracked"].item() == 7


def test_averages_go_on_from_a_state_of_the_same_module_only() -> None:
    module = nn.Linear(2, 1)
    average = Average(module, 0.5)
    other = Average(nn.Linear(2, 1), 0.5)
    other.load_state_dict(average.state_dict())
    assert torch.equal(other.values["weight"], module.weight)
    assert other.values["weight"] is not average.values["weight"]
    with pytest.raises(KeyError, match="another module: bias"):
        other.load_state_dict({"weight": module.weight.detach()})
