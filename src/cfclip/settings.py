"""What all settings share: limits of their values, and knowing which of them were given.

Free of torch, so that the settings of commands import quickly.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, get_args, get_origin

from cfclip.errors import InputError, shown

Optimizer: TypeAlias = Literal["adam", "sgd"]
Precision: TypeAlias = Literal["float32", "bfloat16"]
Rendering: TypeAlias = Literal["whole", "seen"]
RegionName: TypeAlias = Literal["off", "changed", "parts"]
Settings = TypeVar("Settings", bound="GivenSettings")


class CheckedSettings:
    """Base of configurations whose fields tell their limits, see `check_fields`."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __post_init__(self) -> None:
        check_fields(self)


class GivenSettings(CheckedSettings):
    """Base of configurations that a pack may have defaults for.

    `Config(steps=3)` gives steps and nothing else, be 3 the default of the class or not. What is
    copied from another configuration by `dataclasses.replace` gives every field.
    """

    fast: ClassVar[Mapping[str, Any]] = {}
    """What is set to compute faster and less exactly."""
    given: ClassVar[frozenset[str]]
    """Names of the fields that were given. Of an instance; declared so as to be no field itself."""

    def __new__(cls: type[Settings], *values: Any, **named: Any) -> Settings:
        """Remember what is given; the dataclass then sets its fields."""
        made = super().__new__(cls)
        names = (each.name for each in fields(cls) if not each.kw_only)
        given = frozenset((*(name for name, _ in zip(names, values, strict=False)), *named))
        object.__setattr__(made, "given", given)  # the dataclass is frozen
        return made

    @property
    def given_values(self) -> dict[str, Any]:
        """The fields that were given, with their values."""
        return {name: getattr(self, name) for name in self.given}


@dataclass(frozen=True, kw_only=True)
class ComputationSettings(GivenSettings):
    """Base of settings of what descends on what CLIP sees: how exactly it is computed."""

    fast: ClassVar[Mapping[str, Any]] = {"precision": "bfloat16", "rendering": "seen"}

    precision: Precision = "float32"
    """float32, or bfloat16 for mixed precision: faster where the processor has it, a little less
    exact."""

    rendering: Rendering = "whole"
    """What CLIP is shown: the whole picture, scaled, or the picture at the resolution that it has
    seen (no smaller than CLIP reads), which is faster and a slightly other one."""


def all_given(settings: Settings) -> Settings:
    """The same settings, to be taken as they are: no pack's defaults come in."""
    return type(settings)(**{each.name: getattr(settings, each.name) for each in fields(settings)})


def completed(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """JSON values with those of `defaults` that they lack, in nested tables too.

    >>> completed({"settings": {"lr": 0.1}}, {"settings": {"lr": 0.5, "aspects": 0.0}})
    {'settings': {'lr': 0.1, 'aspects': 0.0}}
    """
    whole = {**defaults, **settings}
    for name, value in whole.items():
        if isinstance(value, Mapping) and isinstance(defaults.get(name), Mapping):
            whole[name] = {**defaults[name], **value}
    return whole


MOST = 10**9
"""Far beyond any setting that is of use; what is computed with larger ones overflows."""
MOST_AT_ONCE = 10**6
"""Of pictures and the like that are held in memory together."""
MOST_SEED = 2**63 - 1
"""What generators of random numbers take."""
MOST_STRENGTH = 100.0
"""Far beyond any factor on an offset that leaves a picture; catches a slip of the keyboard."""


@dataclass(frozen=True)
class SettingLimits:
    """What `check_number` takes, of a field."""

    low: float
    high: float
    open_low: bool


def number(
    default: Any = MISSING,
    low: float = 0,
    high: float = MOST,
    *,
    open_low: bool = False,
    **metadata: Any,
) -> Any:
    """A field of a configuration that is a number within limits, see `check_number`.

    Args:
        default: the field has to be given if it is left out.
        low, high, open_low: the limits, which are in the field's metadata.
        metadata: what else is.
    """
    metadata["limits"] = SettingLimits(low, high, open_low)
    return field(default=default, metadata=metadata)


def strength(default: float = 1.0) -> Any:
    """A field that is a factor on an offset."""
    return number(default, -MOST_STRENGTH, MOST_STRENGTH)


@dataclass(frozen=True, kw_only=True)
class EditSettings(GivenSettings):
    """Base of the settings of all methods of editing: frozen dataclasses with a strength."""

    strength: float = strength()
    """Factor on what an edit changes, applied when its result is rendered."""

    region: RegionName = "off"
    """Where an edit may change the picture: off (anywhere), changed (where it changes much) or
    parts (in those that the text is about, or that parts names)."""

    parts: str = ""
    """Parts that an edit may change, such as hair,skin; `cfclip parts` shows those of a pack. If
    some are given they are the region; else region tells."""

    @property
    def confined_to(self) -> RegionName:
        """The kind of region: parts that are named need not be asked for twice."""
        return "parts" if self.parts.strip(" ,") else self.region


@dataclass(frozen=True)
class DescentSettings(CheckedSettings):
    """How to descend. Raises `InputError` for a value outside its limits.

    Attributes:
        steps: updates at most; the objective is evaluated once more at the end.
        lr: peak learning rate.
        optimizer: "adam", or "sgd" for the plain gradient.
        ramp_up: share of the steps over which the rate rises linearly from near zero.
        ramp_down: share of the steps over which it falls to zero as a half cosine at the end.
        tolerance: an image goes on while its smoothed objective falls by at least this share of
            its value ...
        patience: ... once in this many steps; 0 never stops early.
        keep_best: return the values with the lowest objective instead of the last ones. Right for
            an exact objective. For a randomly augmented one the lowest value is mostly a lucky
            draw, while the last ones, reached at a rate near zero, average over many draws.
    """

    steps: int = number(low=1)
    lr: float = number(open_low=True)
    optimizer: Optimizer = "adam"
    ramp_up: float = number(0.05, 0.0, 1.0)
    ramp_down: float = number(0.25, 0.0, 1.0)
    tolerance: float = number(0.0, 0.0, 1.0)
    patience: int = number(0)
    keep_best: bool = False


def check_fields(settings: Any) -> None:
    """Raise `InputError` for the first field of a dataclass that is outside its limits.

    Those are the values of a field whose type is a `Literal`, and what `number` was given; a field
    `seed` is one.
    """
    for each in fields(settings):
        value = getattr(settings, each.name)
        if get_origin(each.type) is Literal:
            check_choice(each.name, value, get_args(each.type))
        elif each.name == "seed":
            check_seed(value)
        elif limits := each.metadata.get("limits"):
            check_number(each.name, value, limits.low, limits.high, open_low=limits.open_low)


def check_number(
    name: str, value: float, low: float, high: float = MOST, *, open_low: bool = False
) -> None:
    """Raise `InputError` unless `value` is within [`low`, `high`] (above `low` if open).

    >>> check_number("lr", 0.1, 0.0, open_low=True)
    """
    if low <= value <= high and not (open_low and value == low):
        return
    lower = f"above {low:g}" if open_low else f"at least {low:g}"
    raise InputError(
        f"{name} is {shown(value)}, it must be a number {lower} and at most {_written(high)}"
    )


def check_strength(name: str, value: float) -> None:
    """Raise `InputError` for a factor on an offset that is out of any use, or not finite."""
    check_number(name, value, -MOST_STRENGTH, MOST_STRENGTH)


def check_seed(seed: int) -> None:
    """Raise `InputError` unless generators of random numbers can begin with `seed`."""
    if type(seed) is not int:
        raise InputError(f"seed is {shown(seed)}, it must be a whole number")
    check_number("seed", seed, 0, MOST_SEED)


def _written(limit: float) -> str:
    return "2^63 - 1" if limit == MOST_SEED else f"{limit:,}" if limit >= 1000 else f"{limit:g}"


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `InputError` unless `value` is one of `choices`."""
    if value not in choices:
        raise InputError(f"{name} is {shown(value)}, expected one of {', '.join(choices)}")
