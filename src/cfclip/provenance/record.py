"""The files of a saved edit and their names, and its JSON record: what was done, and with what.

Free of torch, like all that only reads records; names are known before any work is done. The layout
of a record, format 1::

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
    confined_to         {"name": "off", "changed" or "parts", "parts": their names}: what the
                        settings came to; older records do not have it
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
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cfclip.errors import InputError, failing_to
from cfclip.io import sha256_of, write_whole

if TYPE_CHECKING:
    from PIL import Image

FORMAT = 1
EDIT_KIND = "edit"
APPLY_KIND = "apply"
"""What edits by a mapper were once: the same layout with "mapper" (the file, its hash and step) and
"strength" in place of method, files, unrealistic_text, mask, text_map, seed and settings."""


_LONGEST_SLUG = 60
_HASH_CHARACTERS = 6
_NOT_PLAIN = re.compile(r"[^a-z0-9]+")


def image_sha256(image: "Image.Image") -> str:
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
    outputs: Sequence[tuple[float, str, "Image.Image"]],
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


@dataclass(frozen=True)
class EditFiles:
    """Where one edit goes."""

    images: tuple[Path, ...]
    """One PNG per strength."""
    strip: Path
    """PNG with the source and the edits side by side."""
    record: Path
    """JSON from which `rerun` makes the same images again."""
    photos: tuple[Path, ...] = ()
    """One PNG per strength, of the whole photo with the edit in it; none if it is not put back."""

    @property
    def all(self) -> tuple[Path, ...]:
        return (*self.images, *self.photos, self.strip, self.record)


def edit_files(
    directory: str | Path, name: str, strengths: Sequence[float], pasted: bool = False
) -> EditFiles:
    """The files of an edit called `name`; several strengths each get their own image.

    With `pasted` each gets that of the whole photo too.

    >>> [path.name for path in edit_files("out", "a_green-hair", [0.5, 1.0]).all]
    ['a_green-hair_x0.5.png', 'a_green-hair_x1.png', 'a_green-hair_strip.png', 'a_green-hair.json']
    >>> edit_files("out", "a_green-hair", [1.0], pasted=True).photos[0].name
    'a_green-hair_photo.png'
    """
    directory = Path(directory)
    suffixes = [""] if len(strengths) == 1 else [f"_x{strength:g}" for strength in strengths]
    return EditFiles(
        images=tuple(directory / f"{name}{suffix}.png" for suffix in suffixes),
        strip=directory / f"{name}_strip.png",
        record=directory / f"{name}.json",
        photos=tuple(directory / f"{name}{s}_photo.png" for s in suffixes) if pasted else (),
    )


def edit_name(source: str, prompts: Sequence[str]) -> str:
    """Base name of an edit's files, from the name of its source and its prompts.

    >>> edit_name("sample-7", ["green hair", "blue skin!"])
    'sample-7_green-hair+blue-skin'
    """
    return f"{source}_{_slug(prompts)}"


def _slug(prompts: Sequence[str]) -> str:
    """Plain letters and digits; a hash tells apart prompts that would look alike."""
    plain = "+".join(_NOT_PLAIN.sub("-", prompt.lower()).strip("-") for prompt in prompts)
    whole = all(character.isascii() for prompt in prompts for character in prompt)
    if whole and plain and len(plain) <= _LONGEST_SLUG:
        return plain
    digest = short_hash("\n".join(prompts))
    return f"{plain[:_LONGEST_SLUG].rstrip('-+')}-{digest}".lstrip("-+")


def short_hash(text: str) -> str:
    """A few characters that tell texts apart which would get one name."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:_HASH_CHARACTERS]
