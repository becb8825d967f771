"""Settings of a training."""

from typing import Any

import pytest

from cfclip.errors import InputError
from cfclip.training import TrainingConfig


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"batch": 0}, "batch is 0"),
        ({"lr": 0.0}, "lr is 0.0, it must be a number above 0"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"clip_weight": 0.0}, "clip_weight is 0.0"),
        ({"identity": -1.0}, "identity is -1.0"),
        ({"max_gradient": -1.0}, "max_gradient is -1.0"),
        ({"average": 1.0}, "average is 1.0"),
        ({"truncation": 1.5}, "truncation is 1.5"),
        ({"objective": "clip"}, "objective is 'clip', expected one of clip_nce"),
        ({"optimizer": "sgd"}, "optimizer is 'sgd', expected one of ranger, adamw"),
        ({"groups": ("low",)}, "one of groups is 'low'"),
        ({"seed": -1}, "seed is -1"),
        ({"validate_every": 0}, "validate_every is 0"),
    ],
)
def test_settings_out_of_limits_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        TrainingConfig(**changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_weights_are_those_of_the_paper() -> None:
    config = TrainingConfig()
    assert (config.clip_weight, config.latent_l2) == (0.3, 0.8)
    assert (config.identity, config.perceptual) == (0.0, 0.0)  # need networks of their own
