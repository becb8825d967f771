"""The JSON record of an edit: what was done, with what, and what came out.

Free of torch, like all that only reads records. The layout, format 1::

    format, kind        1, "edit"
    versions            cfclip, torch, python; machine and threads, on which exact bits depend
    pack                name, version, fingerprint (SHA-256 of pack.toml), files {name: SHA-256}
    device              "cpu", ...
    method              "optimisation", "mapper", ...; older records do not have it
    files               what the method takes, each {"path", "sha256"} like a source, of a mapper
                        also the "step" of its training; older records do not have it
    prompts, source_text, unrealistic_text
    source              {"kind": "sample", "seed", "truncation_psi"}
                        {"kind": "file", "path" (as given), "sha256"}
                        {"kind": "pixels", "sha256"}: given without a file; of what was made of it
                        {"kind": "latents", "float32" (base64), "shape"}
                        {"kind": "latents_file", "path", "sha256", "index"}: a code in a file
                        of a photo that a face was cut from also "quad", the corners of its square;
                        of the result of an edit "edited_from": the "source" of the first edit
                        (without latents) and all "edits", each with "prompts" and "strength"
    inversion           null, or settings, psnr, perceptual, steps, stop_reason, seconds, and
                        "tuning", the same of tuning the generator, if it was
    mask                null, or {"path", "sha256"} like a source
    text_map            the same; null also for that of the pack; older records do not have it
    seed, settings      every setting of the edit; the seed null where nothing is drawn
    batch               how many images were edited together
    steps, stop_reason, stopped_from_outside, interrupted, seconds, warnings
    loss, history       each unweighted term at the end, and at every step
    outputs             [{"strength", "file", "pixels_sha256"}], strip
    paste_back          region and feather, if the edit was put back into its photo
    identity            network, and similarities to the source, if they were measured
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from cfclip.errors import InputError, failing_to, shown
from cfclip.io.files import sha256_of, write_whole
from cfclip.io.text_files import read_json
from cfclip.io.text_formats import FormatError, field_of, named, table_of

FORMAT = 1
EDIT_KIND = "edit"
APPLY_KIND = "apply"
"""What edits by a mapper were once: the same layout with "mapper" (the file, its hash and step) and
"strength" in place of method, files, unrealistic_text, mask, text_map, seed and settings."""


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


def image_sha256(image: Image.Image) -> str:
    """SHA-256 of an image's size and RGB bytes: the same for the same pixels, whatever the file."""
    rgb = image.convert("RGB")
    digest = hashlib.sha256(f"{rgb.width}x{rgb.height} RGB\n".encode())
    digest.update(rgb.tobytes())
    return digest.hexdigest()


def file_origin(path: str | Path) -> dict[str, Any]:
    """The `source` or `mask` entry of a file. Raises `InputError` if it cannot be read."""
    with failing_to(f"read {path}"):  # a name that is too long, a folder that is closed
        if not Path(path).is_file():  # reading a pipe or a device may never end
            raise InputError(f"there is no file {path}")
        return {"kind": "file", "path": str(path), "sha256": sha256_of(path)}


def finished_record(
    facts: Mapping[str, Any],
    outputs: Sequence[tuple[float, str, Image.Image]],
    strip: str,
) -> dict[str, Any]:
    """The whole record: the facts of an edit and its outputs (strength, file name, image).

    Numbers that are not finite become null, which is all that JSON can say.
    """
    written = [
        {"strength": strength, "file": name, "pixels_sha256": image_sha256(image)}
        for strength, name, image in outputs
    ]
    content = {"format": FORMAT, "kind": EDIT_KIND, **facts, "outputs": written, "strip": strip}
    made: dict[str, Any] = finite(content)
    return made


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write JSON, whole or not at all. Raises `InputError` if it cannot be written."""
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_whole(path, text.encode("utf-8"))


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


def differences(begun: Mapping[str, Any], wanted: Mapping[str, Any], of: str = "") -> list[str]:
    """Dotted names of what is not the same in two mappings of JSON values.

    >>> differences({"seed": 1, "pack": {"name": "a"}}, {"seed": 1, "pack": {"name": "b"}})
    ['pack.name']
    """
    found = []
    for name in sorted({*begun, *wanted}):
        one, other = begun.get(name), wanted.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            found += differences(one, other, f"{of}{name}.")
        elif one != other:
            found.append(f"{of}{name}")
    return found


def finite(value: Any) -> Any:
    """A JSON value with null for each number in it that is not finite, which JSON cannot say."""
    if isinstance(value, Mapping):
        return {str(key): finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
