"""The methods of editing, by name: the one place that says what each of them is.

Whatever edits pictures - `Session.edit`, the commands, the page, the benchmark, making an edit
again from its record - finds its methods here. A method is a row of `METHODS`; its editor and its
settings are in `cfclip.editors`, in a module that is imported when the method is asked for.

The rows that are compared go into the benchmark: `cfclip-optimisation` and `logit-text-map` begin
with the pack's own defaults, the baselines with the published settings, which docs/BASELINES.md
lists. All methods take an `EditRequest` and give a `BatchEdit`, so that strength, masks and
rendering are the same code for all. Free of torch, so that commands list their options quickly.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from cfclip.editing.defaults import layered_settings
from cfclip.errors import InputError, shown
from cfclip.losses import CONFINING_TERMS, UNPUBLISHED_TERMS, ObjectiveName
from cfclip.packs import PackManifest
from cfclip.settings import EditSettings

if TYPE_CHECKING:
    from cfclip.generators import Generator

OPTIMISATION = "optimisation"
"""The method that edits if none is named."""
MAPPER = "mapper"


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method of editing: a row of `METHODS`."""

    name: str
    summary: str
    """One line."""
    settings: str
    """Its class of settings, as "module:class": a frozen dataclass derived from `EditSettings`."""
    editor: str
    """Its editor, likewise: a class, made of `(generator, embedder, settings, *files)`, or a
    function that gives one or several of an `opened_methods.Opening`."""
    fewest_files: int = 0
    most_files: int | None = 0
    """None for any number."""
    takes: str = ""
    """What its files are."""
    preset: Mapping[str, Any] | Callable[[Path], Mapping[str, Any]] = field(default_factory=dict)
    """Values over the defaults of the settings; of the folder of a pack, if its sizes matter."""
    of_pack: bool = False
    """Whether the pack's `[defaults.edit]` come first, those of them that it has; a published
    method stays as it was."""
    published: ObjectiveName | None = None
    """What its mappers have to be trained with, without terms of ours, to go by its name."""
    compared: Literal["ours", "baseline"] | None = None
    """What it is to the benchmark."""

    @property
    def settings_class(self) -> type[EditSettings]:
        """The class that `settings` names."""
        found: type[EditSettings] = resolve_name(self.settings)
        return found

    @property
    def optimises(self) -> bool:
        """Whether it is latent optimisation, with whatever settings."""
        return self.settings == _OPTIMISED

    def check_files(self, count: int) -> None:
        """Raise `InputError` for too many or too few files."""
        if count < self.fewest_files or (self.most_files is not None and count > self.most_files):
            exactly = self.fewest_files == self.most_files
            wanted = f"{self.fewest_files}" + ("" if exactly else " or more")
            of = f" (--files): {self.takes}" if self.takes else ""
            raise InputError(f"{count} files are given for {self.name}, expected {wanted}{of}")

    def configure(
        self,
        manifest: PackManifest,
        folder: Path,
        config: EditSettings | None = None,
        overrides: Mapping[str, Any] = MappingProxyType({}),
    ) -> EditSettings:
        """Settings of edits with a pack: the defaults, then what `config` gives, then `overrides`.

        Args:
            manifest, folder: of the pack.
            config: settings of the method's class.
            overrides: single ones.

        Raises:
            InputError: an unknown or unfit setting, or settings of another method.
            PackError: such a default of the pack.
        """
        kind = self.settings_class
        if config is not None and not isinstance(config, kind):
            raise InputError(
                f"the settings are {type(config).__name__}, {self.name} takes {kind.__name__}"
            )
        preset = self.preset(folder) if callable(self.preset) else self.preset
        defaults = manifest.defaults.edit if self.of_pack else {}
        if not self.optimises:  # they are an optimisation's, some of them any method's
            shared = {each.name for each in fields(kind)}
            defaults = {name: defaults[name] for name in shared & set(defaults)}
        given = {} if config is None else config.given_values
        return layered_settings(kind, manifest.name, defaults, {**preset, **given}, overrides)


STYLECLIP_L2 = 0.008
"""Weight of the *sum* of squares of the offset in W+ (Patashnik et al., ICCV 2021, section 4)."""

_EVERYWHERE: Mapping[str, Any] = MappingProxyType({"region": "off"})
"""What is compared may change the whole picture; the benchmark confines all methods alike."""

LOGIT_TEXT_MAP: Mapping[str, Any] = MappingProxyType(
    {
        "objective": "logit",
        "start": "text-map",
        "steps": 100,
        # Scores move little, so that the plain gradient takes a large rate.
        "lr": 1.0,
        "optimizer": "sgd",
        # The procedure has no terms that keep an edit small. At this rate those of a pack, whose
        # weights are found for Adam, throw the descent off (avatars, weight of aspects 30).
        **dict.fromkeys(CONFINING_TERMS, 0.0),
        "ramp_up": 0.0,
        "ramp_down": 0.0,
        "patience": 0,
    }
)
"""Plain gradient of the logit objective from the source fused with the text, at a constant rate,
without terms that confine the edit and without stopping early; laid over the defaults of a pack."""


def styleclip_optimisation(generator: "Generator") -> dict[str, Any]:
    """StyleCLIP's latent optimisation, all that decides it; laid over no defaults of a pack.

    Minimises `1 - cos(E(x'), E(t)) + STYLECLIP_L2 * |w' - w|^2`, a sum over the entries of W+ where
    the engine takes the mean: the weight is multiplied by their number, `num_ws * w_dim` of the
    generator. It is the same number in space "w", whose offset moves every layer.
    """
    return {
        "objective": "global",
        "space": "w_plus",
        "bare_prompt": True,
        "steps": 300,
        "lr": 0.1,
        "optimizer": "adam",
        "clip_weight": 1.0,
        **dict.fromkeys(UNPUBLISHED_TERMS, 0.0),
        "latent_l2": STYLECLIP_L2 * generator.num_ws * generator.w_dim,
        "augmentations": 1,
        "distortion": 0.0,
        "ramp_up": 0.05,
        "ramp_down": 0.25,
        "patience": 0,
    }


def directional_optimisation(generator: "Generator") -> dict[str, Any]:
    """`styleclip_optimisation` with StyleGAN-NADA's loss: the objective is all that differs.

    Its texts are in the pack's templates, over which the loss takes the mean.
    """
    return {
        **styleclip_optimisation(generator),
        "objective": "directional",
        "bare_prompt": False,
    }


_OPTIMISED = "cfclip.editors.optimisation_config:LatentOptimisationConfig"

_optimising = partial(
    Method,
    settings=_OPTIMISED,
    editor="cfclip.editing.opened_methods:optimisation",
    most_files=None,
    takes="the networks of --identity and --perceptual, in this order, if these are above 0",
)
"""A row of latent optimisation."""
_mapping = partial(
    Method,
    settings="cfclip.editors.mapper_config:MapperEditConfig",
    editor="cfclip.editing.mappers:mappers",
    fewest_files=1,
    most_files=None,
    takes="runs of `cfclip train`, or files of mappers",
)
"""A row of mappers."""


def _sized(preset: Callable[[Any], Mapping[str, Any]]) -> Callable[[Path], Mapping[str, Any]]:
    """A preset that depends on the sizes of the generator."""

    def of(folder: Path) -> Mapping[str, Any]:
        from cfclip.packs import generator_config

        return preset(generator_config(folder))

    return of


_ROWS = (
    _optimising(
        name=OPTIMISATION,
        summary="descends on each picture's latent with the pack's settings, or any others",
        of_pack=True,
    ),
    _mapping(
        name=MAPPER,
        summary="moves pictures in one pass, by a mapper that was trained for its texts",
        of_pack=True,
        most_files=1,
        takes="a run of `cfclip train`, a mapper, or a released checkpoint",
    ),
    Method(
        name="instant",
        summary="moves pictures in one pass, by any text, with the pack's open mapper",
        settings="cfclip.editors.mapper_config:MapperEditConfig",
        editor="cfclip.editing.opened_methods:instant",
        of_pack=True,
        most_files=1,
        takes="a run of `cfclip train --open`, or an open mapper; the pack's if not given",
    ),
    _optimising(
        name="cfclip-optimisation",
        summary="optimises CF-CLIP's objective with the pack's settings",
        of_pack=True,
        preset={"objective": "clip_nce", **_EVERYWHERE},
        compared="ours",
    ),
    _mapping(
        name="cfclip-mapper",
        summary="CF-CLIP's text mapper, for texts that it was trained for",
        compared="ours",
    ),
    _optimising(
        name="logit-text-map",
        summary="optimises the logit objective by its plain gradient, from the text's own latent",
        of_pack=True,
        preset={**LOGIT_TEXT_MAP, **_EVERYWHERE},
        compared="ours",
    ),
    _optimising(
        name="styleclip-optimisation",
        summary="StyleCLIP's latent optimisation as published",
        preset=_sized(styleclip_optimisation),
        compared="baseline",
    ),
    _mapping(
        name="styleclip-mapper",
        summary="StyleCLIP's latent mappers, one for each text",
        published="global",
        compared="baseline",
    ),
    Method(
        name="styleclip-global",
        summary="StyleCLIP's global directions in StyleSpace",
        settings="cfclip.editors.global_config:GlobalDirectionsConfig",
        editor="cfclip.editing.opened_methods:global_directions",
        fewest_files=1,
        most_files=1,
        takes="a file of `cfclip fit-global-directions`",
        compared="baseline",
    ),
    _optimising(
        name="directional-optimisation",
        summary="StyleCLIP's latent optimisation with StyleGAN-NADA's directional loss",
        preset=_sized(directional_optimisation),
        compared="baseline",
    ),
    _mapping(
        name="directional-mapper",
        summary="StyleCLIP's latent mappers, trained with the directional loss",
        published="directional",
        compared="baseline",
    ),
)

METHODS: Mapping[str, Method] = MappingProxyType({row.name: row for row in _ROWS})
COMPARED = tuple(row.name for row in _ROWS if row.compared)
"""What the benchmark compares."""
OURS = tuple(row.name for row in _ROWS if row.compared == "ours")
"""CF-CLIP's; the others are what it is compared with."""
OPTIMISATIONS = tuple(row.name for row in _ROWS if row.compared and row.optimises)
"""Those compared that take steps for each edit, and need no files."""


def method_named(name: str) -> Method:
    """The method of a name. Raises `InputError` for an unknown one."""
    if name not in METHODS:
        raise InputError(f"method is {shown(name)}, expected one of {', '.join(METHODS)}")
    return METHODS[name]
