"""`pack.toml`, the description of a model pack, as frozen dataclasses; strict in both directions.

The file, with every field (those marked optional may be left out)::

    format = 1                          # version of this layout
    name = "avatars"                    # lower-case letters, digits, hyphens
    version = "1.0"
    licence = "CC-BY-4.0"               # of the weights
    origin = "how and from what the weights were made"
    attribution = "whom to credit"      # optional
    resolution = 128                    # pixels, of the generator
    source_text = "a person"            # what any picture of this pack shows
    unrealistic_text = "a blurred blot" # what a broken picture of this pack looks like
    templates = ["{}", "a picture of {}"]
    vocabulary = "vocabulary.txt"       # optional: one known word per line

    [files]                             # every file of the folder but this one, and its SHA-256
    "generator.safetensors" = "9f86d0..."
    "clip/open_clip_config.json" = "..."
    "clip/open_clip_model.safetensors" = "..."
    "vocabulary.txt" = "..."

    [defaults.edit]                     # optional: settings that suit this pack; checked by the
    steps = 100                         # configuration classes of the editors and encoders
    [defaults.projection]               # optional
    [defaults.training]                 # optional

    [aspects]                           # optional: what a picture is told by, aspect to texts
    hair_colour = ["red hair", "black hair"]

    [card]                              # optional: what users should know, heading to text
    data = "what the models were trained on"

File names are relative, with forward slashes. Unknown fields, wrong types and missing fields are
`PackError`s that name them.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any

import tomli_w

from cfclip.errors import CfclipError, PackError, shown, shown_name
from cfclip.io import atomic_write, build, leads_out, named, parse_toml, read_text, sha256_of

MANIFEST_FILE = "pack.toml"
FORMAT_VERSION = 1
ALLOWED_SUFFIXES = (".safetensors", ".json", ".toml", ".txt", ".gz")
"""Formats that hold data only; nothing in a pack is ever executed or unpickled."""
GET_AGAIN = "get the pack again (a shipped pack: reinstall cfclip)"

_LONGEST = 1 << 20
"""Characters; the shipped pack's has 5,000."""
_LONGEST_NAME = 100
"""It names folders too."""
_PLACE = "{}"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DRIVE = re.compile(r"[A-Za-z]:")
_OPTIONAL_TEXTS = ("attribution", "vocabulary")


@dataclass(frozen=True)
class PackDefaults:
    """Settings that suit a pack, as plain values; each key is a field of a configuration class."""

    edit: Mapping[str, Any] = field(default_factory=dict)
    """Of the editor's configuration."""
    projection: Mapping[str, Any] = field(default_factory=dict)
    """Of the projection's configuration."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Of the configuration that text mappers are trained with."""


@dataclass(frozen=True)
class PackManifest:
    """The content of `pack.toml`. Checked at construction: raises `PackError`."""

    name: str
    """Lower-case letters, digits and hyphens."""
    version: str
    licence: str
    """Licence of the weights, by SPDX identifier where there is one."""
    origin: str
    """How and from what the weights were made."""
    resolution: int
    """Side of the generator's images in pixels."""
    source_text: str
    """What any picture of this pack shows: `s` of the losses."""
    unrealistic_text: str
    """What a broken picture looks like: `tn` of the logit objective."""
    templates: tuple[str, ...]
    """Prompt templates, each with exactly one `{}`."""
    attribution: str = ""
    """Whom to credit, and for what."""
    vocabulary: str = ""
    """File with one known word per line; empty where the embedder knows language at large."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Relative file name to lower-case hexadecimal SHA-256, of every file but `pack.toml`."""
    defaults: PackDefaults = field(default_factory=PackDefaults)
    aspects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What a picture of this pack is told by: aspect to the texts that name its values."""
    card: Mapping[str, str] = field(default_factory=dict)
    """The model card: heading (data, training, figures, limits, ...) to text."""

    def __post_init__(self) -> None:
        _check(self)


def parse_manifest(text: str, where: str = MANIFEST_FILE) -> PackManifest:
    """Read the text of a `pack.toml`; `where` names it in messages. Raises `PackError`."""
    with named(where, "get the pack again", PackError):
        content = parse_toml(text)
    try:
        return _from_content(content)
    except CfclipError as error:
        raise PackError(f"{where}: {error}") from error


def read_manifest(path: str | Path) -> PackManifest:
    """Read a `pack.toml`. Raises `PackError` naming the file and what is wrong with it."""
    path = Path(path)
    if path.exists() and leads_out(path, path.parent):
        raise PackError(f"{path} is a link out of the pack folder; put the file itself there")
    with named(path, "get the pack again", PackError):
        text = read_text(path, _LONGEST)
    return parse_manifest(text, str(path))


def format_manifest(manifest: PackManifest) -> str:
    """The text of `pack.toml`: the same manifest always gives the same text, files sorted."""
    content = asdict(manifest)
    content["files"] = dict(sorted(manifest.files.items()))
    content["defaults"] = {name: table for name, table in content["defaults"].items() if table}
    filled = {name: value for name, value in content.items() if value or name == "files"}
    return tomli_w.dumps({"format": FORMAT_VERSION, **filled})


def write_manifest(manifest: PackManifest, path: str | Path) -> None:
    """Write `pack.toml` atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(format_manifest(manifest), encoding="utf-8")


def check_file_name(name: str) -> None:
    """Raise `PackError` unless `name` is a plain relative name of an allowed kind of file."""
    parts = name.split("/")
    if not name or "\\" in name or name.startswith("/") or _DRIVE.match(name):
        raise PackError(f"file name {shown(name)} is not relative with forward slashes")
    if any(part.startswith(".") or not part for part in parts):
        raise PackError(f"file name {shown(name)} has an empty, hidden or '..' part")
    if name == MANIFEST_FILE:
        raise PackError(f"{MANIFEST_FILE} cannot list itself under files")
    if PurePosixPath(name).suffix not in ALLOWED_SUFFIXES:
        raise PackError(
            f"file {shown(name)} is of a kind that packs do not hold; use "
            f"{', '.join(ALLOWED_SUFFIXES)}"
        )


def check_name(name: str) -> None:
    """Raise `PackError` unless `name` can be that of a pack."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise PackError(
            f"name {shown(name)} is not lower-case letters, digits and hyphens, at most "
            f"{_LONGEST_NAME}"
        )


def hashes_in(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that a manifest of this folder lists, by name.

    Raises `PackError` for a file of a kind that packs do not hold, or that cannot be read.
    """
    hashes: dict[str, str] = {}
    for name in sorted(_files_in(folder)):
        check_file_name(name)
        hashes[name] = _checked_hash(folder, name)
    return hashes


def check_files(folder: Path, manifest: PackManifest) -> None:
    """Raise `PackError` unless a folder holds the very files that its manifest lists."""
    present = _files_in(folder)
    if missing := sorted(set(manifest.files) - present):
        raise PackError(f"pack folder {folder} lacks {', '.join(missing)}; {GET_AGAIN}")
    if extra := sorted(present - set(manifest.files)):
        raise PackError(
            f"pack folder {folder} holds {', '.join(extra)}, which its {MANIFEST_FILE} does not "
            "list; remove what does not belong to the pack"
        )
    for name, expected in manifest.files.items():
        if _checked_hash(folder, name) != expected:
            raise PackError(
                f"{folder / name} was changed or damaged (its hash differs); {GET_AGAIN}"
            )


def _files_in(folder: Path) -> set[str]:
    """Names of what is in a pack folder apart from `pack.toml`, relative, with forward slashes.

    Hidden ones are left out: desktops scatter them (`.DS_Store`), a manifest cannot list them, and
    so nothing ever reads them. A linked folder counts as one file, which no manifest can list.
    """
    names: set[str] = set()

    def fail(error: OSError) -> None:
        raise PackError(f"cannot read {error.filename}: {error.strerror}")

    for place, folders, files in os.walk(folder, onerror=fail):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in [*files, *links]:
            if not name.startswith("."):
                names.add((Path(place) / name).relative_to(folder).as_posix())
    return names - {MANIFEST_FILE}


def _checked_hash(folder: Path, name: str) -> str:
    path = folder / name
    try:
        if leads_out(path, folder):
            raise PackError(f"{path} is a link out of the pack folder; put the file itself there")
        if not path.is_file():
            raise PackError(f"{path} is not a regular file; {GET_AGAIN}")
        return sha256_of(path)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        raise PackError(f"cannot read {path}: {error}") from error


def _from_content(content: dict[str, Any]) -> PackManifest:
    version = content.pop("format", None)
    if version != FORMAT_VERSION or isinstance(version, bool):
        found = "missing" if version is None else shown(version)
        raise PackError(
            f"format is {found}, this version of cfclip reads {FORMAT_VERSION}; "
            "get a pack made for it, or another version of cfclip"
        )
    if "files" not in content:
        raise PackError("missing field files")
    return build(PackManifest, content)


def _check(manifest: PackManifest) -> None:
    for each in fields(PackManifest):
        value = getattr(manifest, each.name)
        if each.type is str and not value.strip() and each.name not in _OPTIONAL_TEXTS:
            raise PackError(f"{each.name} is empty")
    check_name(manifest.name)
    if manifest.resolution < 1:
        raise PackError(f"resolution is {manifest.resolution}, expected a number of pixels")
    if not manifest.templates:
        raise PackError('templates is empty; the plainest is "{}"')
    for template in manifest.templates:
        _check_template(template)
    for name, digest in manifest.files.items():
        check_file_name(name)
        if not _SHA256.fullmatch(digest):
            raise PackError(
                f"files: {shown(name)} has {shown(digest)}, expected a SHA-256 in lower-case hex"
            )
    if manifest.vocabulary and not manifest.vocabulary.endswith(".txt"):
        raise PackError(
            f"vocabulary is {shown(manifest.vocabulary)}, expected the name of a .txt file"
        )
    for name, texts in manifest.aspects.items():
        if len(set(texts)) < 2 or not all(text.strip() for text in texts):
            raise PackError(
                f"aspects.{shown_name(name)} is {shown(texts)}, expected two or more texts"
            )
    for heading, text in manifest.card.items():
        if not text.strip():
            raise PackError(f"card.{shown_name(heading)} is empty")


def _check_template(template: str) -> None:
    rest = template.replace(_PLACE, "")
    if template.count(_PLACE) != 1 or "{" in rest or "}" in rest:
        raise PackError(f"template {shown(template)} must contain exactly one {_PLACE}")
