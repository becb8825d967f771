from pathlib import Path

import pytest
import torch
from torch import Tensor

from cfclip.encoders import TuningConfig
from cfclip.encoders.pivotal_tuning import Tuned, tune_generator
from cfclip.errors import InputError
from cfclip.generators import Generator
from cfclip.optim import STOPPED
from cfclip.packs import Pack

STEPS = 12
CONFIG = TuningConfig(steps=STEPS, lr=5e-3)


@pytest.fixture(scope="module")
def pack(tiny_pack: Path) -> Pack:
    return Pack.open(tiny_pack)


@pytest.fixture(scope="module")
def pivot(pack: Pack) -> Tensor:
    generator = pack.generator()
    with torch.no_grad():
        return generator.mapping(torch.randn(1, 16, generator=torch.Generator().manual_seed(5)))


@pytest.fixture(scope="module")
def image(pack: Pack) -> Tensor:
    """A picture that the generator does not make: a smooth gradient."""
    ramp = torch.linspace(-0.8, 0.8, pack.generator().resolution)
    return torch.stack([ramp.expand(32, -1), ramp[:, None].expand(-1, 32), -ramp.expand(32, -1)])[
        None
    ]


@pytest.fixture(scope="module")
def tuned(pack: Pack, image: Tensor, pivot: Tensor) -> Tuned:
    return tune_generator(pack.generator(), pack.embedder(), image, pivot, CONFIG)


@torch.no_grad()
def error(generator: Generator, latents: Tensor, wanted: Tensor) -> float:
    return float((generator.synthesis(latents) - wanted).square().mean())


def test_the_tuned_generator_is_closer_to_the_picture(
    pack: Pack, tuned: Tuned, image: Tensor, pivot: Tensor
) -> None:
    before = error(pack.generator(), pivot, image)
    assert error(tuned.generator, pivot, image) < 0.7 * before
    assert tuned.history["mse"][0] == pytest.approx(before, rel=1e-5)
    assert tuned.steps == STEPS
    assert len(tuned.history["total"]) == STEPS + 1


def test_the_generator_given_and_the_mapping_stay(
    pack: Pack, tuned: Tuned, pivot: Tensor, image: Tensor
) -> None:
    given = pack.generator()
    z = torch.randn(2, given.z_dim, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(tuned.generator.mapping(z), given.mapping(z), rtol=0, atol=0)
    fresh = Pack.open(pack.folder).generator()
    for name, weight in fresh.state_dict().items():
        assert torch.equal(weight, given.state_dict()[name]), name
    assert not tuned.generator.training
    assert not any(weight.requires_grad for weight in tuned.generator.parameters())


def test_the_same_again(pack: Pack, tuned: Tuned, image: Tensor, pivot: Tensor) -> None:
    state = torch.random.get_rng_state()
    again = tune_generator(pack.generator(), pack.embedder(), image, pivot, CONFIG)
    assert again.history == tuned.history
    for name, weight in again.generator.state_dict().items():
        assert torch.equal(weight, tuned.generator.state_dict()[name]), name
    assert torch.equal(torch.random.get_rng_state(), state)


def test_locality_keeps_other_pictures(pack: Pack, image: Tensor, pivot: Tensor) -> None:
    moved = []
    sample = pack.generator().mapping(
        torch.randn(1, 16, generator=torch.Generator().manual_seed(9))
    )
    with torch.no_grad():
        near = torch.lerp(pivot, sample, 0.5)
        before = pack.generator().synthesis(near)
    for weight in (0.0, 20.0):
        config = TuningConfig(steps=STEPS, lr=5e-3, locality_weight=weight)
        found = tune_generator(pack.generator(), pack.embedder(), image, pivot, config)
        assert ("local_mse" in found.history) == bool(weight)
        moved.append(error(found.generator, near, before))
    assert moved[1] < 0.5 * moved[0]


def test_the_objective_is_the_weighted_sum_of_its_terms(tuned: Tuned) -> None:
    terms = {name: values[3] for name, values in tuned.history.items()}
    local = terms["local_l1"] + terms["local_mse"] + 0.5 * terms["local_perceptual"]
    expected = terms["l1"] + terms["mse"] + 0.5 * terms["perceptual"] + 0.1 * local
    assert terms["total"] == pytest.approx(expected, rel=1e-5)


def test_a_callback_stops_it(pack: Pack, image: Tensor, pivot: Tensor) -> None:
    found = tune_generator(
        pack.generator(), pack.embedder(), image, pivot, CONFIG, lambda step: step.step < 2
    )
    assert found.stop_reason == STOPPED
    assert found.steps == 2


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"steps": -1}, "steps is -1"),
        ({"lr": 0.0}, "lr is 0.0"),
        ({"locality_weight": -1.0}, "locality_weight is -1.0"),
        ({"locality_share": 1.5}, "locality_share is 1.5"),
        ({"l1_weight": 0.0, "mse_weight": 0.0}, "l1_weight \\+ mse_weight is 0"),
    ],
)
def test_settings_that_do_not_fit(values: dict[str, float], why: str) -> None:
    with pytest.raises(InputError, match=why):
        TuningConfig(**values)  # type: ignore[arg-type]


def test_inputs_that_do_not_fit(pack: Pack, image: Tensor, pivot: Tensor) -> None:
    generator, embedder = pack.generator(), pack.embedder()
    with pytest.raises(InputError, match="steps is 0"):
        tune_generator(generator, embedder, image, pivot, TuningConfig())
    with pytest.raises(InputError, match="images are 16x16"):
        tune_generator(generator, embedder, image[..., :16, :16], pivot, CONFIG)
    with pytest.raises(InputError, match="latents have shape"):
        tune_generator(generator, embedder, image, pivot[:, :2], CONFIG)
    with pytest.raises(InputError, match="2 images"):
        tune_generator(generator, embedder, image.repeat(2, 1, 1, 1), pivot, CONFIG)
