"""The settings of latent optimisation and the layer ranges."""

import json
import subprocess
import sys
from dataclasses import asdict

import pytest

from cfclip.editors import LatentOptimisationConfig, parse_layers
from cfclip.errors import InputError


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        ("all", (0, 1, 2, 3, 4, 5)),
        ("0-3,5", (0, 1, 2, 3, 5)),
        ("5, 1 ,1-2", (1, 2, 5)),
        ("0", (0,)),
    ],
)
def test_layers_are_numbers_and_ranges(text: str, indices: tuple[int, ...]) -> None:
    assert parse_layers(text, 6) == indices


@pytest.mark.parametrize("text", ["", "a", "3-1", "1,,2", "-1", "1-", "1.5"])
def test_other_layer_texts_are_refused_when_the_settings_are_made(text: str) -> None:
    with pytest.raises(InputError, match="expected numbers and ranges such as 0-3,5"):
        LatentOptimisationConfig(layers=text)


def test_layers_that_the_generator_lacks_are_named() -> None:
    with pytest.raises(InputError, match="'4-6', but this generator has layers 0 to 5"):
        parse_layers("4-6", 6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("objective", "clip"),
        ("space", "z"),
        ("precision", "float16"),
        ("optimizer", "ranger"),
        ("steps", 0),
        ("lr", -0.1),
        ("lr", float("inf")),
        ("clip_weight", 0.0),
        ("latent_l2", -1.0),
        ("temperature", 0.0),
        ("positives", "text"),
        ("negatives", "released"),  # which would make a picture depend on its batch
        ("alpha", -1.0),
        ("augmentations", 0),
        ("distortion", 1.5),
        ("strength", float("nan")),
        ("strength", 1000.0),
        ("ramp_up", 2.0),
        ("patience", -3),
    ],
)
def test_values_outside_their_limits_are_named(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{name} is {value!r}, "):
        LatentOptimisationConfig(**{name: value})  # type: ignore[arg-type]


def test_the_logit_objective_needs_its_similarity() -> None:
    with pytest.raises(InputError, match=r"alpha is 0\.0"):
        LatentOptimisationConfig(objective="logit", alpha=0.0)


def test_settings_survive_json() -> None:
    config = LatentOptimisationConfig(layers="0-3", steps=7)
    assert LatentOptimisationConfig(**json.loads(json.dumps(asdict(config)))) == config


@pytest.mark.parametrize(
    "module", ["cfclip.editors.optimisation_config", "cfclip.encoders.projection_config"]
)
def test_settings_import_without_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_something_has_to_see_the_prompt() -> None:
    with pytest.raises(InputError, match=r"clip_weight is 0.0, which is possible only if aspects"):
        LatentOptimisationConfig(clip_weight=0.0)
    assert LatentOptimisationConfig(clip_weight=0.0, aspects=1.0).clip_weight == 0.0
