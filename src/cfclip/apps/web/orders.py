"""What a visitor asks for, from the fields of the page: checked before it waits in a queue."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from cfclip.editing import edit_settings
from cfclip.editors import (
    ALL_LAYERS,
    LatentOptimisationConfig,
    Space,
    Start,
    parse_layers,
)
from cfclip.errors import InputError
from cfclip.losses import ObjectiveName
from cfclip.packs import PackManifest
from cfclip.settings import MOST_SEED

OPTIMISATION = "optimise"
"""The method that is no mapper."""
SEPARATOR = ";"
MOST_PROMPTS = 8
LONGEST_TEXT = 4000
"""Characters of the text field."""


@dataclass(frozen=True)
class Setting:
    """One of the advanced settings, as the page shows it."""

    name: str
    """A field of `LatentOptimisationConfig`."""
    label: str
    about: str
    choices: tuple[str, ...] = ()
    """What it may be, for a text."""
    high: float = 0.0
    """Largest value, for a number; more would only keep others waiting."""


SETTINGS = (
    Setting("steps", "Steps", "Fewer are quicker and change less.", high=500),
    Setting("augmentations", "Views", "Random views of the picture in each step.", high=16),
    Setting("lr", "Step size", "Larger goes further, and may break the picture.", high=10),
    Setting("latent_l2", "Stay close", "Higher changes less of everything.", high=1000),
    Setting(
        "changed_pixels", "Few pixels", "Higher confines the change to fewer pixels.", high=1e4
    ),
    Setting("aspects", "Keep the rest", "Higher keeps what the text does not name.", high=1e4),
    Setting("temperature", "Temperature", "Lower attends to what is hardest.", high=10),
    Setting("space", "Space", "Where the edit moves.", get_args(Space)),
    Setting("objective", "Objective", "What is minimised.", get_args(ObjectiveName)),
    Setting(
        "start", "Start", "From the picture, or from what the text looks like.", get_args(Start)
    ),
)
"""In the order of the page; their values are those of the pack until a visitor changes them."""


@dataclass(frozen=True)
class Order:
    """An edit that can be made."""

    text: str
    """As typed."""
    prompts: tuple[str, ...]
    method: str
    """`OPTIMISATION`, or the name of a mapper."""
    seed: int
    layers: str
    parts: str
    """Names of those that it may change; empty for what the texts are about."""
    config: LatentOptimisationConfig


def split_prompts(text: str) -> tuple[str, ...]:
    """The prompts in the text field.

    >>> split_prompts(" green hair; red lips ;")
    ('green hair', 'red lips')
    """
    parts = text.replace("\n", SEPARATOR).split(SEPARATOR)
    return tuple(part.strip() for part in parts if part.strip())


def read_order(
    manifest: PackManifest,
    num_ws: int,
    text: object,
    method: object,
    seed: object,
    layers: object,
    parts: object,
    advanced: Mapping[str, Any],
) -> Order:
    """The order of the page's fields, which may hold anything: they come from outside.

    Args:
        manifest: of the pack to edit with.
        num_ws: style inputs of its generator.
        text, method, seed, layers, parts: the fields of those names; empty layers are all of them,
            empty parts those that the text is about.
        advanced: name of a setting to its field.

    Raises:
        InputError: a field that cannot be used; the line says which and why.
    """
    if not isinstance(text, str) or not isinstance(method, str):
        raise InputError("the page and the app do not fit together; load the page again")
    named = str(parts or "").strip()
    for field in (text, named):
        if len(field) > LONGEST_TEXT:
            raise InputError(f"a text has {len(field)} characters, the limit is {LONGEST_TEXT}")
    prompts = split_prompts(text)
    if not prompts:
        raise InputError("say what the picture shall show, or click an example")
    if len(prompts) > MOST_PROMPTS:
        raise InputError(f"{len(prompts)} texts at once, the limit is {MOST_PROMPTS}")
    chosen_layers = str(layers or "").strip() or ALL_LAYERS
    parse_layers(chosen_layers, num_ws)
    settings: dict[str, Any] = {
        each.name: _value(each, advanced.get(each.name)) for each in SETTINGS
    }
    given = {name: value for name, value in settings.items() if value is not None}
    config = edit_settings(manifest, layers=chosen_layers, parts=named, **given)
    number = _whole("seed", seed, MOST_SEED)
    return Order(text, prompts, method, number, chosen_layers, named, config)


def _value(setting: Setting, value: object) -> object:
    """A field in the type of its setting; None for an empty one, which is the pack's."""
    default = getattr(LatentOptimisationConfig(), setting.name)
    if value is None or value == "":
        return None
    if isinstance(default, str):
        return value
    if isinstance(default, int):
        return _whole(setting.label, value, setting.high)
    return _number(setting.label, value, setting.high)


def _number(name: str, value: object, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value <= high:
        raise InputError(f"{name} is {value!r}, it must be a number of at most {high:g}")
    return float(value)


def _whole(name: str, value: object, high: float) -> int:
    number = 0 if value is None else value
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= high:
        raise InputError(f"{name} is {value!r}, it must be a whole number from 0 to {high:g}")
    return number
