"""Which region an edit has, by its settings and its texts."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from cfclip.errors import InputError
from cfclip.losses import spoken_aspects
from cfclip.regions.parts import Parts
from cfclip.regions.region import ChangedRegion, PartsRegion, Region
from cfclip.settings import EditSettings, RegionName


@dataclass(frozen=True)
class ChosenRegion:
    """Which region an edit has, as records tell it."""

    name: RegionName
    parts: tuple[str, ...] = ()
    """Names of those that may change, of the region "parts"."""

    def open(self, parts: Parts | None) -> Region | None:
        """The region; None if the whole picture may change.

        Raises `InputError` for parts that are not among those of `parts`.
        """
        if self.name == "off":
            return None
        if self.name == "changed":
            return ChangedRegion()
        if parts is None:
            raise InputError(f"the region is {', '.join(self.parts)}, but this pack has no parts")
        return PartsRegion(parts, parts.chosen(self.parts))


EVERYWHERE = ChosenRegion("off")
"""The choice to confine nothing."""


def parse_parts(names: str) -> tuple[str, ...]:
    """The names in a text such as "hair, skin", each once.

    >>> parse_parts("skin, hair,skin")
    ('skin', 'hair')
    """
    return tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))


def spoken_parts(
    parts: Parts, target_texts: Tensor, source_texts: Tensor, aspects: Mapping[str, Tensor]
) -> tuple[str, ...]:
    """The parts that the texts of an edit are about: those of the aspects that they speak of.

    Args:
        parts: whose `aspects` tell which parts change if an aspect does.
        target_texts, source_texts, aspects: as `cfclip.losses.spoken_aspects` takes them, the
            aspects by their names. Several texts are about the parts of each.

    Returns:
        names in the order of `parts.names`; none if no text speaks of a known aspect.
    """
    texts = target_texts if target_texts.ndim == 3 else target_texts[None]
    found: set[str] = set()
    for each in texts:
        spoken = spoken_aspects(each, source_texts, list(aspects.values()))
        for name, aspect in zip(aspects, spoken, strict=True):
            if aspect.said is not None:
                found |= set(parts.config.aspects.get(name, ()))
    return tuple(name for name in parts.names if name in found)


def choose_region(
    settings: EditSettings,
    parts: Parts | None,
    target_texts: Tensor,
    source_texts: Tensor,
    aspects: Mapping[str, Tensor],
) -> ChosenRegion:
    """The region of an edit by its settings and texts; the arguments are those of `spoken_parts`.

    Where texts speak of no part, what they are about is what changes. Raises `InputError` for an
    unknown part, or parts where none are known.
    """
    if settings.confined_to != "parts":
        return ChosenRegion(settings.confined_to)
    if parts is None:
        raise InputError(
            "the edit is to be confined to parts, but this pack has none; find them (cfclip "
            "fit-parts), or confine the edit by what changes (--region changed)"
        )
    names = parse_parts(settings.parts)
    names = names or spoken_parts(parts, target_texts, source_texts, aspects)
    parts.chosen(names)
    return ChosenRegion("parts", names) if names else ChosenRegion("changed")
