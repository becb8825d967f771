"""What comes from the fields of the page is checked before it waits in a queue."""

from pathlib import Path
from typing import Any

import pytest

from cfclip.apps.web.limits import Limits
from cfclip.apps.web.orders import MOST_PROMPTS, OPTIMISATION, SETTINGS, Order, read_order
from cfclip.editing import edit_settings
from cfclip.editors import LatentOptimisationConfig
from cfclip.errors import InputError
from cfclip.packs import PackManifest, read_manifest

LAYERS = 8


@pytest.fixture(scope="module")
def manifest(tiny_pack: Path) -> PackManifest:
    return read_manifest(tiny_pack / "pack.toml")


def order(manifest: PackManifest, **fields: Any) -> Order:
    usual = {"text": "green hair", "method": OPTIMISATION, "seed": 0, "layers": "", "parts": ""}
    return read_order(manifest, LAYERS, **{**usual, "advanced": {}, **fields})


def test_empty_fields_are_the_packs(manifest: PackManifest) -> None:
    made = order(manifest, advanced={"steps": None, "space": ""})
    assert made.config == edit_settings(manifest)
    assert made.prompts == ("green hair",)


def test_fields_are_taken_in_the_types_of_the_settings(manifest: PackManifest) -> None:
    advanced = {"steps": 7.0, "lr": 1, "space": "w", "augmentations": 2}
    made = order(
        manifest, seed=3.0, layers="0-2", text="a;b", parts=" hair, skin ", advanced=advanced
    )
    assert (made.seed, made.prompts) == (3, ("a", "b"))
    config = made.config
    assert made.parts == config.parts == "hair, skin"
    assert (config.steps, config.lr, config.space, config.layers) == (7, 1.0, "w", "0-2")
    assert isinstance(config.steps, int)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"text": " ; "}, "say what the picture shall show"),
        ({"text": None}, "load the page again"),
        ({"text": "x" * 5000}, "5000 characters, the limit is 4000"),
        ({"text": "a;" * (MOST_PROMPTS + 1)}, f"the limit is {MOST_PROMPTS}"),
        ({"method": 5}, "load the page again"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 0.5}, "seed is 0.5"),
        ({"seed": float("nan")}, "seed is nan"),
        ({"parts": "x" * 5000}, "5000 characters, the limit is 4000"),
        ({"layers": f"0-{LAYERS}"}, "layers 0 to 7"),
        ({"layers": "some"}, "layers is 'some'"),
        ({"advanced": {"steps": 100_000}}, "Steps is 100000, it must be a whole number from 0 to"),
        ({"advanced": {"steps": 0}}, "steps is 0"),
        ({"advanced": {"lr": float("nan")}}, "Step size is nan"),
        ({"advanced": {"lr": "fast"}}, "Step size is 'fast'"),
        ({"advanced": {"space": "z"}}, "space is 'z'"),
        ({"advanced": {"space": 3}}, "space is 3"),
    ],
)
def test_what_cannot_be_used_is_told(
    manifest: PackManifest, fields: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError) as caught:
        order(manifest, **fields)
    assert told in str(caught.value)


def test_settings_are_real_and_bounded() -> None:
    known = LatentOptimisationConfig()
    for each in SETTINGS:
        assert hasattr(known, each.name)
        assert bool(each.choices) != bool(each.high)


def test_limits_are_checked() -> None:
    assert Limits(upload_megabytes=0.5).upload_bytes == 500_000
    for wrong in ({"waiting": 0}, {"seconds": 0.0}, {"upload_megapixels": -1.0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            Limits(**wrong)  # type: ignore[arg-type]
