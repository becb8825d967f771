"""Records of edits, read from their files and checked as far as making them again relies on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cfclip.errors import InputError, shown
from cfclip.io import FormatError, field_of, named, read_json, table_of
from cfclip.provenance.record import APPLY_KIND, EDIT_KIND, FORMAT


@dataclass(frozen=True)
class EditRecord:
    """A record that was read, checked as far as `rerun` relies on it."""

    content: Mapping[str, Any]
    pack: str
    fingerprint: str
    pack_files: Mapping[str, str]
    versions: Mapping[str, Any]
    """Of cfclip and what it ran with, as far as they are recorded."""
    device: str
    method: str
    files: tuple[Mapping[str, Any], ...]
    """What the method took."""
    prompts: tuple[str, ...]
    source_text: str
    unrealistic_text: str | None
    source: Mapping[str, Any]
    projection: Mapping[str, Any] | None
    """Settings of the projection, if the source was inverted."""
    projection_stop: int | None
    """Step at which the projection was stopped from outside."""
    tuning: Mapping[str, Any] | None
    """Settings of tuning the generator on the source, if it was."""
    tuning_stop: int | None
    """Step at which the tuning was stopped from outside."""
    mask: Mapping[str, Any] | None
    text_map: Mapping[str, Any] | None
    """File of the text map, if it is not the pack's."""
    seed: int
    settings: Mapping[str, Any]
    edit_stop: int | None
    """Step at which the edit was stopped from outside."""
    batch: int
    outputs: tuple[tuple[float, str], ...]
    """(strength, SHA-256 of the pixels)."""
    paste_back: Mapping[str, Any] | None
    """How the edit was put back into its photo, if it was."""


def read_record(record: str | Path | Mapping[str, Any]) -> EditRecord:
    """Read and check a record, from its file or as the mapping that was in it.

    Raises `InputError` naming what is wrong.
    """
    where = "the record" if isinstance(record, Mapping) else str(record)
    content = record if isinstance(record, Mapping) else _load(Path(record))
    if content.get("kind") not in (EDIT_KIND, APPLY_KIND) or "format" not in content:
        raise InputError(f"{where} is not the record of an edit; give the .json beside an edit")
    if content["format"] != FORMAT:
        raise InputError(
            f"{where} has format {shown(content['format'])}, this version of cfclip reads {FORMAT}"
        )
    with named(where, "it is damaged; give another"):
        return _parse(_as_edit(content) if content["kind"] == APPLY_KIND else content)


def _load(path: Path) -> Mapping[str, Any]:
    with named(path, "give the .json beside an edit"):
        return table_of(read_json(path))


def _as_edit(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record of `APPLY_KIND` in the layout of the others."""
    strength = field_of(content, "strength", float)
    own = {
        "method": "mapper",
        "files": [field_of(content, "mapper", Mapping[str, Any])],
        "settings": {"strength": strength},
    }
    absent = ("unrealistic_text", "mask", "seed")
    return {**content, **own, **dict.fromkeys(absent)}


@dataclass(frozen=True)
class _Pack:
    name: str
    version: str
    fingerprint: str
    files: Mapping[str, str]


def _parse(content: Mapping[str, Any]) -> EditRecord:
    def of(name: str, hint: Any, *default: Any) -> Any:
        return field_of(content, name, hint, *default)

    inversion = of("inversion", Mapping[str, Any] | None)
    tuning = field_of(inversion or {}, "tuning", Mapping[str, Any] | None, None)
    pack = of("pack", _Pack)
    outputs = [
        (field_of(each, "strength", float), field_of(each, "pixels_sha256", str))
        for each in of("outputs", tuple[Mapping[str, Any], ...])
    ]
    if not outputs:
        raise FormatError("outputs is empty")
    return EditRecord(
        content=content,
        pack=pack.name,
        fingerprint=pack.fingerprint,
        pack_files=pack.files,
        versions=of("versions", Mapping[str, Any], {}),
        device=of("device", str),
        method=of("method", str, "optimisation"),
        files=tuple(map(_origin, of("files", tuple[Mapping[str, Any], ...], ()))),
        prompts=of("prompts", tuple[str, ...]),
        source_text=of("source_text", str),
        unrealistic_text=of("unrealistic_text", str | None),
        source=_origin(of("source", Mapping[str, Any])),
        projection=None if inversion is None else _settings(inversion),
        projection_stop=None if inversion is None else _outside_stop(inversion),
        tuning=None if tuning is None else _settings(tuning),
        tuning_stop=None if tuning is None else _outside_stop(tuning),
        mask=_origin_or_none(of("mask", Mapping[str, Any] | None)),
        text_map=_origin_or_none(of("text_map", Mapping[str, Any] | None, None)),
        seed=of("seed", int | None) or 0,
        settings=_settings(content),
        edit_stop=_outside_stop(content),
        batch=of("batch", int),
        outputs=tuple(outputs),
        paste_back=of("paste_back", Mapping[str, Any] | None, None),
    )


_ORIGIN_FIELDS: Mapping[str, Mapping[str, Any]] = {
    "sample": {"seed": int, "truncation_psi": float},
    "file": {"path": str, "sha256": str},
    "pixels": {"sha256": str},
    "latents": {"float32": str, "shape": tuple[int, ...]},
    "latents_file": {"path": str, "sha256": str, "index": int},
}
_QUAD = tuple[tuple[float, float], ...]


def _settings(entry: Mapping[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = field_of(entry, "settings", Mapping[str, Any])
    return settings


def _origin_or_none(entry: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if entry is None else _origin(entry)


def _origin(entry: Mapping[str, Any]) -> dict[str, Any]:
    kind = field_of(entry, "kind", str)
    if kind not in _ORIGIN_FIELDS:
        raise FormatError(f"unknown kind of source {shown(kind)}")
    checked = {name: field_of(entry, name, hint) for name, hint in _ORIGIN_FIELDS[kind].items()}
    if "quad" in entry:
        checked["quad"] = field_of(entry, "quad", _QUAD)
    return {**entry, **checked}


def _outside_stop(entry: Mapping[str, Any]) -> int | None:
    """The step at which Ctrl-C or a callback stopped a descent; None if it ended by itself."""
    steps: int = field_of(entry, "steps", int)
    return steps if field_of(entry, "stopped_from_outside", bool) else None
