"""What all settings share: limits of their values, and knowing which of them were given.

Free of torch, so that the settings of commands import quickly.
"""

from dataclasses import fields
from typing import Any, ClassVar, TypeVar

from cfclip.errors import InputError, shown

Settings = TypeVar("Settings", bound="GivenSettings")


class GivenSettings:
    """Base of configurations that a pack may have defaults for.

    `Config(steps=3)` gives steps and nothing else, be 3 the default of the class or not. What is
    copied from another configuration by `dataclasses.replace` gives every field.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    given: ClassVar[frozenset[str]]
    """Names of the fields that were given. Of an instance; declared so as to be no field itself."""

    def __new__(cls: type[Settings], *values: Any, **named: Any) -> Settings:
        """Remember what is given; the dataclass then sets its fields."""
        made = super().__new__(cls)
        names = (each.name for each in fields(cls))
        given = frozenset((*(name for name, _ in zip(names, values, strict=False)), *named))
        object.__setattr__(made, "given", given)  # the dataclass is frozen
        return made

    @property
    def given_values(self) -> dict[str, Any]:
        """The fields that were given, with their values."""
        return {name: getattr(self, name) for name in self.given}


def all_given(settings: Settings) -> Settings:
    """The same settings, to be taken as they are: no pack's defaults come in."""
    return type(settings)(**{each.name: getattr(settings, each.name) for each in fields(settings)})


MOST = 10**9
"""Far beyond any setting that is of use; what is computed with larger ones overflows."""
MOST_AT_ONCE = 10**6
"""Of pictures and the like that are held in memory together."""
MOST_SEED = 2**63 - 1
"""What generators of random numbers take."""


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
