"""Settings of one run: a configuration class, the pack's defaults, then what the caller asks for.

Free of torch, so that the command line can list its options quickly.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, TypeVar

from cfclip.editors.config import LatentOptimisationConfig
from cfclip.editors.global_config import GlobalDirectionsConfig
from cfclip.editors.mapper_config import MapperEditConfig
from cfclip.encoders.config import ProjectionConfig, TuningConfig
from cfclip.errors import InputError, PackError
from cfclip.photos.config import PasteBack
from cfclip.training.config import TrainingConfig
from cfclip.training.presets import TRAINING_PRESETS, TrainingPreset

if TYPE_CHECKING:
    from cfclip.packs.manifest import PackManifest

Config = TypeVar(
    "Config",
    LatentOptimisationConfig,
    ProjectionConfig,
    TuningConfig,
    PasteBack,
    GlobalDirectionsConfig,
    MapperEditConfig,
    TrainingConfig,
)

SAMPLE_TRUNCATION = 0.7
"""Truncation psi of samples if none is given (Karras et al. 2019): below 1 the generator keeps
nearer to its mean, where its pictures are cleaner; CF-CLIP samples its test codes with 0.7."""


def edit_settings(manifest: "PackManifest", **overrides: Any) -> LatentOptimisationConfig:
    """Settings of an edit with a pack: its `[defaults.edit]`, changed by `overrides`.

    Raises `InputError` for an unknown or unfit override, `PackError` for such a default.
    """
    return _layered(LatentOptimisationConfig, manifest.name, manifest.defaults.edit, overrides)


def projection_settings(manifest: "PackManifest", **overrides: Any) -> ProjectionConfig:
    """Settings of an inversion with a pack: its `[defaults.projection]`, changed by `overrides`.

    Raises `InputError` for an unknown or unfit override, `PackError` for such a default.
    """
    return _layered(ProjectionConfig, manifest.name, manifest.defaults.projection, overrides)


def training_settings(
    manifest: "PackManifest", preset: TrainingPreset = "pack", **overrides: Any
) -> TrainingConfig:
    """Settings of a training for a pack, changed by `overrides`.

    The preset `pack` is CF-CLIP's with the pack's `[defaults.training]` laid over it; a published
    method stays as it was published.

    Raises `InputError` for an unknown or unfit override, `PackError` for such a default.
    """
    base = asdict(TRAINING_PRESETS[preset])
    own = manifest.defaults.training if preset == "pack" else {}
    return _layered(TrainingConfig, manifest.name, {**base, **own}, overrides)


def make_config(config: type[Config], values: Mapping[str, Any]) -> Config:
    """`config(**values)` with the names and types of the values checked first (`InputError`)."""
    known = {each.name: each.default for each in fields(config)}
    if unknown := sorted(set(values) - set(known)):
        raise InputError(f"unknown setting {', '.join(unknown)}; known are {', '.join(known)}")
    fitting: dict[str, Any] = {n: _fit(n, value, known[n]) for n, value in values.items()}
    return config(**fitting)


def _layered(
    config: type[Config], pack: str, defaults: Mapping[str, Any], overrides: Mapping[str, Any]
) -> Config:
    try:
        make_config(config, defaults)
    except InputError as error:
        raise PackError(f"the defaults of pack {pack!r} do not fit: {error}") from error
    return make_config(config, {**defaults, **overrides})


def _fit(name: str, value: object, default: object) -> object:
    """`value` in the type of `default`; whole numbers pass for numbers."""
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        kind = {int: "a whole number", float: "a number", str: "a text"}.get(type(default))
        raise InputError(f"{name} is {value!r}, expected {kind or type(default).__name__}")
    return value
