"""The JSON record of an edit: what was done, with what, and what came out.

Free of torch, like all that only reads records. The layout, format 1::

    format, kind        1, "edit"
    versions            cfclip, torch, python; machine and threads, on which exact bits depend
    pack                name, version, fingerprint (SHA-256 of pack.toml), files {name: SHA-256}
    device              "cpu", ...
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
    seed, settings      every setting of the edit
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

from cfclip.errors import InputError
from cfclip.files import atomic_write, sha256_of

FORMAT = 1
EDIT_KIND = "edit"
APPLY_KIND = "apply"
"""An edit by a trained mapper: the same layout with "mapper" (the file, its hash and step) and
"strength" in place of unrealistic_text, mask, text_map, seed and settings, and without steps."""
_LARGEST_RECORD_BYTES = 100_000_000


@dataclass(frozen=True)
class EditRecord:
    """A record that was read, checked as far as `rerun` relies on it."""

    content: Mapping[str, Any]
    pack: str
    fingerprint: str
    pack_files: Mapping[str, str]
    device: str
    prompts: tuple[str, ...]
    source_text: str
    unrealistic_text: str
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
    try:
        if not Path(path).is_file():  # reading a pipe or a device may never end
            raise InputError(f"there is no file {path}")
        return {"kind": "file", "path": str(path), "sha256": sha256_of(path)}
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


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
    finite: dict[str, Any] = _finite(content)
    return finite


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write JSON, whole or not at all. Raises `InputError` if it cannot be written."""
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    try:
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def read_record(record: str | Path | Mapping[str, Any]) -> EditRecord:
    """Read and check a record, from its file or as the mapping that was in it.

    Raises `InputError` naming what is wrong.
    """
    where = "the record" if isinstance(record, Mapping) else str(record)
    content = record if isinstance(record, Mapping) else _load(Path(record))
    if content.get("kind") == APPLY_KIND:
        raise InputError(f"{where} is the record of an applied mapper; run that cfclip apply again")
    if content.get("kind") != EDIT_KIND or "format" not in content:
        raise InputError(f"{where} is not the record of an edit; give the .json beside an edit")
    if content["format"] != FORMAT:
        raise InputError(
            f"{where} has format {content['format']!r}, this version of cfclip reads {FORMAT}"
        )
    try:
        return _parse(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        detail = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{where} is damaged: {detail}") from error


def _load(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_RECORD_BYTES:
            raise InputError(f"{path} is too large for a record; give the .json beside an edit")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read record {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON; give the .json beside an edit") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is not the record of an edit; give the .json beside an edit")
    return content


def _parse(content: Mapping[str, Any]) -> EditRecord:
    inversion = content["inversion"]
    tuning = (inversion or {}).get("tuning")
    outputs = [(float(each["strength"]), str(each["pixels_sha256"])) for each in content["outputs"]]
    if not outputs:
        raise ValueError("no outputs")
    return EditRecord(
        content=content,
        pack=str(content["pack"]["name"]),
        fingerprint=str(content["pack"]["fingerprint"]),
        pack_files=dict(content["pack"]["files"]),
        device=str(content["device"]),
        prompts=tuple(content["prompts"]),
        source_text=str(content["source_text"]),
        unrealistic_text=str(content["unrealistic_text"]),
        source=_origin(content["source"]),
        projection=None if inversion is None else dict(inversion["settings"]),
        projection_stop=None if inversion is None else _outside_stop(inversion),
        tuning=None if tuning is None else dict(tuning["settings"]),
        tuning_stop=None if tuning is None else _outside_stop(tuning),
        mask=None if content["mask"] is None else _origin(content["mask"]),
        text_map=None if content.get("text_map") is None else _origin(content["text_map"]),
        seed=int(content["seed"]),
        settings=dict(content["settings"]),
        edit_stop=_outside_stop(content),
        batch=int(content["batch"]),
        outputs=tuple(outputs),
        paste_back=None if content.get("paste_back") is None else dict(content["paste_back"]),
    )


_ORIGIN_FIELDS: Mapping[str, Mapping[str, Any]] = {
    "sample": {"seed": int, "truncation_psi": (int, float)},
    "file": {"path": str, "sha256": str},
    "pixels": {"sha256": str},
    "latents": {"float32": str, "shape": list},
    "latents_file": {"path": str, "sha256": str, "index": int},
}


def _origin(entry: Mapping[str, Any]) -> dict[str, Any]:
    kind = entry["kind"]
    if kind not in _ORIGIN_FIELDS:
        raise ValueError(f"unknown kind of source {kind!r}")
    for name, kinds in _ORIGIN_FIELDS[kind].items():
        if not isinstance(entry[name], kinds):
            raise ValueError(f"{name} is {entry[name]!r}")
    if "quad" in entry:
        return {**entry, "quad": tuple((float(x), float(y)) for x, y in entry["quad"])}
    return dict(entry)


def _outside_stop(entry: Mapping[str, Any]) -> int | None:
    """The step at which Ctrl-C or a callback stopped a descent; None if it ended by itself."""
    steps, stopped = entry["steps"], entry["stopped_from_outside"]
    if not isinstance(steps, int) or not isinstance(stopped, bool):
        raise ValueError(f"steps is {steps!r}, stopped_from_outside is {stopped!r}")
    return steps if stopped else None


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


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
