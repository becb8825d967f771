"""Options that commands share, and the editing options with the defaults of a pack."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, make_dataclass, replace
from functools import cache, cached_property
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import tyro

from cfclip.apps.console import Console
from cfclip.apps.writing import Writing
from cfclip.editing import (
    METHODS,
    OPTIMISATION,
    fast_settings,
    projection_settings,
    training_settings,
)
from cfclip.editors import LatentOptimisationConfig
from cfclip.encoders import ProjectionConfig
from cfclip.errors import CfclipError, InputError
from cfclip.packs import MANIFEST_FILE, PackManifest, read_manifest, resolve
from cfclip.photos import FEATHER, FaceConfig, PasteBack
from cfclip.settings import EditSettings, Settings, check_strength

if TYPE_CHECKING:
    from cfclip.editing import Session
    from cfclip.provenance import Marking
    from cfclip.training import TrainingConfig, TrainingPreset

DEFAULT_PACK = "avatars"
DEFAULT_PRESET: "TrainingPreset" = "pack"
_SAFETENSORS = ".safetensors"
_PACK_OPTION = "--pack"
_PRESET_OPTION = "--preset"
_OPEN_OPTION = "--open"
_METHOD_OPTION = "--method"
_DEVICE_OPTION = "--device"
_FAST_OPTION = "--fast"

OK = 0
FAILED = 2
INTERRUPTED = 130
BROKEN_PIPE = 141
"""Exit status; the last two are the shell's for SIGINT and SIGPIPE."""

Images: TypeAlias = Annotated[
    tyro.conf.Positional[tuple[str, ...]],
    tyro.conf.arg(metavar="IMAGE...", help_behavior_hint="(required)"),
]
Texts: TypeAlias = tyro.conf.UseAppendAction[tuple[str, ...]]
Points: TypeAlias = Annotated[
    tyro.conf.UseAppendAction[tuple[tuple[float, float], ...]], tyro.conf.arg(metavar="X Y")
]
Strengths: TypeAlias = tyro.conf.UseAppendAction[tuple[tuple[float, ...], ...]]


@dataclass(frozen=True, kw_only=True)
class Output:
    """How a command talks."""

    quiet: bool = False
    """Say nothing but errors."""

    json: bool = False
    """Results as lines of JSON on stdout."""

    @cached_property
    def console(self) -> Console:
        """The console of this run."""
        return Console(self.quiet, self.json)


@dataclass(frozen=True, kw_only=True)
class TensorFile(Output):
    """Options of commands that write one file of tensors."""

    overwrite: bool = False
    """Replace the file if it exists."""

    def check(self, out: Path) -> None:
        """Raise `InputError` if the file cannot be written or must not be."""
        from cfclip.images import check_outputs

        if out.suffix != _SAFETENSORS:
            raise InputError(f"out is {out}, expected the name of a {_SAFETENSORS} file")
        check_outputs([out], self.overwrite)


@dataclass(frozen=True, kw_only=True)
class Marked(Output):
    """What the pictures that a command makes tell of how they were made."""

    no_metadata: bool = False
    """Leave out what pictures otherwise tell of how they were made (see `cfclip inspect`)."""

    c2pa_certificate: Path | None = None
    """PEM file of a certificate and the chain above it: sign the pictures as Content Credentials.
    Needs --c2pa-key, and the c2pa extra."""

    c2pa_key: Path | None = None
    """PEM file of the certificate's private key, without a password."""

    def marking(self) -> "Marking":
        """What the pictures shall tell. Raises `InputError` for what cannot be signed with."""
        from cfclip.provenance import Marking

        certificate, key = self.c2pa_certificate, self.c2pa_key
        if (certificate is None) != (key is None):
            raise InputError("to sign, give both --c2pa-certificate and --c2pa-key")
        signer = None
        if certificate is not None and key is not None:
            from cfclip.provenance import PictureSigner

            signer = PictureSigner(certificate, key)
        return Marking(not self.no_metadata, signer)


@dataclass(frozen=True, kw_only=True)
class Work(Marked):
    """Options of commands that make files."""

    out: Path
    """Folder for the results; made if needed."""

    overwrite: bool = False
    """Replace files that exist. Without it, nothing is ever replaced but what the same command
    wrote before it was killed."""

    def writing(self, folder: Path | None = None) -> Writing:
        """What puts the files of this run in place, in --out or another folder."""
        same = replace(self, out=Path(), overwrite=False, quiet=False, json=False)
        return Writing(folder or self.out, repr(same), self.overwrite)


@dataclass(frozen=True, kw_only=True)
class OnPack(Output):
    """Options of commands that open a pack."""

    pack: str = DEFAULT_PACK
    """Model pack, by name (see `cfclip packs list`) or folder."""

    device: str = "cpu"
    """Where to compute: cpu, cuda, cuda:1, mps."""

    def open_session(self, device: str | None = None) -> "Session":
        """The models of the pack, on another device if that is given. Raises as `Session.open`."""
        from cfclip.editing import Session

        return Session.open(self.pack, device or self.device)


@dataclass(frozen=True, kw_only=True)
class FastOption:
    """Options of commands that edit, invert or train."""

    fast: bool = False
    """Compute faster and a little less exactly: in bfloat16 where the processor has it, on pictures
    no larger than CLIP sees them. It decides the defaults of the options that say so, --help with
    it shows them."""


@dataclass(frozen=True, kw_only=True)
class PackWork(OnPack, Work):
    """Options of commands that make files with a pack."""


FaceOptions: TypeAlias = Annotated[FaceConfig, tyro.conf.arg(name="")]


@dataclass(frozen=True)
class Paste:
    """Whether and how an edit is put back into its photo."""

    paste_back: Literal["no", "changed", "whole"] = "no"
    """Also write the whole photo with the edit in it: where it changed something, or the whole
    crop of the face."""

    feather: float = FEATHER
    """Width of the soft edge of what is pasted, as a share of the crop's side."""

    def __post_init__(self) -> None:
        PasteBack(feather=self.feather)  # which knows the limits

    @property
    def chosen(self) -> PasteBack | None:
        """The settings, if it is put back."""
        return None if self.paste_back == "no" else PasteBack(self.paste_back, self.feather)


PasteOptions: TypeAlias = Annotated[Paste, tyro.conf.arg(name="")]

MethodName: TypeAlias = Annotated[
    str,
    tyro.conf.arg(
        metavar="NAME",
        help="How pictures are edited, by a method whose settings are the options of --help with "
        "it: " + "; ".join(f"{each.name} ({each.summary})" for each in METHODS.values()) + ".",
    ),
]
MethodFiles: TypeAlias = Annotated[
    tyro.conf.UseAppendAction[tuple[Path, ...]],
    tyro.conf.arg(
        metavar="FILE",
        help="What the method takes; may be repeated: "
        + "; ".join(f"{each.name} {each.takes}" for each in METHODS.values() if each.takes)
        + ".",
    ),
]
MethodSettings: TypeAlias = Annotated[EditSettings, tyro.conf.arg(name="")]


def chosen_strengths(given: Sequence[Sequence[float]], usual: float = 1.0) -> tuple[float, ...]:
    """The strengths of an option, each once; `usual` if none is given. Raises `InputError`."""
    chosen = tuple(dict.fromkeys(each for group in given for each in group)) or (usual,)
    for strength in chosen:
        check_strength("strength", strength)
    return chosen


def as_options(settings: EditSettings) -> EditSettings:
    """Settings of a method as the options of a command, of which the strength is none: strengths
    are an option of their own, since they can be several."""
    values = {each.name: getattr(settings, each.name) for each in fields(settings)}
    kind: Any = type(settings)
    return _options_class(kind)(**values)


def as_settings(options: EditSettings) -> EditSettings:
    """What `as_options` was given, with the values that were parsed."""
    kind: type[EditSettings] = type(options).__bases__[0]
    return kind(**{each.name: getattr(options, each.name) for each in fields(options)})


@cache
def _options_class(kind: Any) -> type[EditSettings]:
    hidden = Annotated[
        tyro.conf.Suppress[tyro.conf.Fixed[float]], tyro.conf.arg(name="one-strength")
    ]
    strength = [("strength", hidden, field(default=1.0))]
    options: type[EditSettings] = make_dataclass(
        kind.__name__, strength, bases=(kind,), frozen=True, namespace={"__doc__": kind.__doc__}
    )
    return options


def optimisation_options() -> EditSettings:
    """The options of an optimisation with the defaults of the library."""
    return as_options(LatentOptimisationConfig())


def pack_in(arguments: Sequence[str]) -> str:
    """The pack that a command line names. Its defaults are shown by --help, so it is read first."""
    return _value_in(arguments, _PACK_OPTION) or DEFAULT_PACK


def method_in(arguments: Sequence[str]) -> str:
    """The method that a command line names; the usual one for an unknown name, which the command
    itself reports. Its settings are options, so it is read first."""
    name = _value_in(arguments, _METHOD_OPTION)
    return name if name is not None and name in METHODS else OPTIMISATION


def fast_device_in(arguments: Sequence[str]) -> str | None:
    """The device of a command line that asks for fast work; None if it does not."""
    asked = _FAST_OPTION in takewhile(lambda each: each != "--", arguments)
    return (_value_in(arguments, _DEVICE_OPTION) or "cpu") if asked else None


def faster(settings: Settings, device: str | None) -> Settings:
    """Settings with what is set to be fast on a device, if one is given. Raises `InputError` for a
    device that is not there."""
    return (
        settings if device is None else replace(settings, **fast_settings(type(settings), device))
    )


def training_in(arguments: Sequence[str]) -> "TrainingConfig":
    """The settings of the training preset that a command line names, for the pack that it names.

    Those of the preset `pack` if there is none of that name, and without a pack's defaults if there
    is no such pack; the parser or the command itself reports it. Raises `PackError` for defaults
    that do not fit.
    """
    from cfclip.training import TRAINING_PRESETS, TrainingConfig

    presets: dict[str, TrainingPreset] = {str(name): name for name in TRAINING_PRESETS}
    preset = presets.get(_value_in(arguments, _PRESET_OPTION) or "", DEFAULT_PRESET)
    if _OPEN_OPTION in takewhile(lambda each: each != "--", arguments):
        preset = "open"
    manifest = _manifest(pack_in(arguments))
    if manifest is None:
        return TRAINING_PRESETS.get(preset, TrainingConfig())
    return training_settings(manifest, preset)


def _value_in(arguments: Sequence[str], option: str) -> str | None:
    """What the parser takes: the last of several, none of what follows "--"."""
    value = None
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        if argument == "--":
            break
        if argument == option:
            value = following
        elif argument.startswith(option + "="):
            value = argument.partition("=")[2]
    return value


def pack_settings(
    pack: str, method: str = OPTIMISATION, fast_on: str | None = None
) -> tuple[EditSettings, ProjectionConfig]:
    """The defaults of a pack for a method, as options, and for inversions.

    Those of the library if there is no such pack, which the command itself reports.

    Args:
        pack: name or folder.
        method: by name.
        fast_on: the device that they shall be fast on, see `faster`.

    Raises:
        PackError: defaults that do not fit.
        InputError: no such device.
    """
    manifest = _manifest(pack)
    settings, projection = METHODS[method].settings_class(), ProjectionConfig()
    if manifest is not None:
        settings = METHODS[method].configure(manifest, resolve(pack))
        projection = projection_settings(manifest)
    return as_options(faster(settings, fast_on)), faster(projection, fast_on)


def _manifest(pack: str) -> PackManifest | None:
    try:
        return read_manifest(resolve(pack) / MANIFEST_FILE)
    except CfclipError:
        return None
