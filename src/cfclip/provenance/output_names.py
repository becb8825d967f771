"""Names of the files that a saved edit consists of, known before any work is done."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_LONGEST_SLUG = 60
_HASH_CHARACTERS = 6
_NOT_PLAIN = re.compile(r"[^a-z0-9]+")


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
