"""Settings of one run: a configuration class, the pack's defaults, then what the caller asks for.

Free of torch, so that the command line can list its options quickly.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from cfclip.editors import LatentOptimisationConfig
from cfclip.encoders import ProjectionConfig
from cfclip.errors import InputError, PackError, shown, shown_name
from cfclip.losses import ObjectiveConfig
from cfclip.settings import ComputationSettings, EditSettings, GivenSettings, all_given

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from cfclip.packs import PackManifest
    from cfclip.training import TrainingConfig, TrainingPreset

Config = TypeVar("Config", bound="DataclassInstance")
"""A dataclass of settings."""

_MOST_NAMES = 3
"""Of unknown settings that a message names."""
SAMPLE_TRUNCATION = 0.7
"""Truncation psi of samples if none is given (Karras et al. 2019): below 1 the generator keeps
nearer to its mean, where its pictures are cleaner; CF-CLIP samples its test codes with 0.7."""


def edit_settings(
    manifest: "PackManifest", config: LatentOptimisationConfig | None = None, /, **overrides: Any
) -> LatentOptimisationConfig:
    """Settings of an optimisation with a pack: its `[defaults.edit]`, then what `config` gives,
    then `overrides`.

    Raises `InputError` for an unknown or unfit override, `PackError` for such a default.
    """
    defaults = manifest.defaults.edit
    return layered_settings(
        LatentOptimisationConfig, manifest.name, defaults, _given(config), overrides
    )


def projection_settings(
    manifest: "PackManifest", config: ProjectionConfig | None = None, /, **overrides: Any
) -> ProjectionConfig:
    """Settings of an inversion with a pack: its `[defaults.projection]`, then what `config` gives,
    then `overrides`.

    Raises `InputError` for an unknown or unfit override, `PackError` for such a default.
    """
    defaults = manifest.defaults.projection
    return layered_settings(ProjectionConfig, manifest.name, defaults, _given(config), overrides)


def training_settings(
    manifest: "PackManifest",
    preset: "TrainingPreset" = "pack",
    config: "TrainingConfig | None" = None,
    **overrides: Any,
) -> "TrainingConfig":
    """Settings of a training for a pack, then what `config` gives, then `overrides`.

    The preset `pack` is CF-CLIP's with the pack's `[defaults.training]` laid over it, `open` the
    same for an open mapper; a published method stays as it was published.

    Raises `InputError` for an unknown or unfit override, `PackError` for such a default.
    """
    from cfclip.training import OPEN_SETTINGS, TRAINING_PRESETS, TrainingConfig

    own = manifest.defaults.training
    of_pack = {"pack": own, "open": {**own, **OPEN_SETTINGS}}
    defaults = of_pack[preset] if preset in of_pack else asdict(TRAINING_PRESETS[preset])
    return layered_settings(TrainingConfig, manifest.name, defaults, _given(config), overrides)


def fast_settings(kind: type[GivenSettings], device: str) -> dict[str, Any]:
    """What is set of a class of settings to compute faster and less exactly on a device.

    bfloat16 only where the device has it. Raises `InputError` for a device that is not there.
    """
    from cfclip.tensors import checked_device, has_bfloat16

    values = dict(kind.fast)
    if values.get("precision") == "bfloat16" and not has_bfloat16(checked_device(device)):
        del values["precision"]
    return values


def newer_settings() -> dict[str, Any]:
    """Settings that may be newer than what was begun with a folder, which then had their defaults.

    The terms of objectives and the ways of computing, as JSON values, by the name that they are
    recorded under.
    """
    return {
        "settings": {
            **asdict(ObjectiveConfig()),
            **asdict(ComputationSettings()),
            **asdict(EditSettings()),
        },
        "projection": asdict(ProjectionConfig()),
    }


def make_config(config: type[Config], values: Mapping[str, Any]) -> Config:
    """`config(**values)` with the names and types of the values checked first (`InputError`).

    It is taken as it is wherever settings are laid over a pack's.
    """
    made = config(**_fitting(config, values))
    return all_given(made) if isinstance(made, GivenSettings) else made


def layered_settings(
    kind: type[Config],
    pack: str,
    defaults: Mapping[str, Any],
    given: Mapping[str, Any],
    overrides: Mapping[str, Any],
) -> Config:
    """Settings of a class: the defaults of a pack, then `given` ones, then `overrides`.

    Raises `InputError` for an unknown or unfit override, `PackError` for such a default.
    """
    try:
        base = make_config(kind, defaults)
    except InputError as error:
        raise PackError(f"the defaults of pack {pack!r} do not fit: {error}") from error
    changes = {**given, **_fitting(kind, overrides)}
    return replace(base, **changes)


def _given(config: GivenSettings | None) -> dict[str, Any]:
    return {} if config is None else config.given_values


def _fitting(config: type[Config], values: Mapping[str, Any]) -> dict[str, Any]:
    known = {each.name: each.default for each in fields(config)}
    if unknown := sorted(set(values) - set(known)):
        found = ", ".join(map(shown_name, unknown[:_MOST_NAMES]))
        raise InputError(f"unknown setting {found}; known are {', '.join(known)}")
    return {name: _fit(name, value, known[name]) for name, value in values.items()}


def _fit(name: str, value: object, default: object) -> object:
    """`value` in the type of `default`; whole numbers pass for numbers."""
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        kind = {int: "a whole number", float: "a number", str: "a text"}.get(type(default))
        raise InputError(f"{name} is {shown(value)}, expected {kind or type(default).__name__}")
    return value
