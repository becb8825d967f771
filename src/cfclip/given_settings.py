"""Settings that know which of their fields were given, so that the others can be a pack's."""

from dataclasses import fields
from typing import Any, ClassVar, TypeVar

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
