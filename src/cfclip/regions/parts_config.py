"""Settings of finding parts, free of torch so that commands list their options quickly."""

from dataclasses import dataclass

from cfclip.settings import MOST_AT_ONCE, CheckedSettings, number

_FEWEST = 16


@dataclass(frozen=True)
class PartsFitConfig(CheckedSettings):
    """How parts are found. Raises `InputError` naming a value outside its limits."""

    images: int = number(200, _FEWEST, MOST_AT_ONCE)
    """Sampled pictures that are looked at: more take longer and find rarer parts."""

    truncation: float = number(1.0, 0.0, 1.0, open_low=True)
    """Truncation psi of the samples: lower shows less different ones."""

    seed: int = 0
    """Decides the samples."""
