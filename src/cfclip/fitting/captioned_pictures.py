"""A folder of pictures with captions, read and checked before any work.

The layout::

    FOLDER/images/ada.png ...
    FOLDER/captions.jsonl      one JSON object a line:
        {"image": "ada.png", "text": "a person with brown hair"}
        {"image": "ada-red.png", "text": "red hair", "source": "ada.png"}

A picture may have several captions. "source", optional, names the picture that this one was made
from by the edit that the text describes, everything else being kept.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cfclip.embedders import check_prompt
from cfclip.errors import InputError, shown
from cfclip.images import list_pictures, skipped_line
from cfclip.io import FormatError, build, parse_json, parse_lines

IMAGES_FOLDER = "images"
CAPTIONS_FILE = "captions.jsonl"


@dataclass(frozen=True)
class Caption:
    """One line of the file."""

    image: str
    """File name in `images`."""
    text: str
    source: str | None = None


@dataclass(frozen=True)
class CaptionedFolder:
    """Captions whose pictures are all there. Whether these can be opened is not known yet."""

    captions: tuple[Caption, ...]
    pictures: Mapping[str, Path]
    """Each picture that a caption names, as an image or a source, in that order."""
    uncaptioned: tuple[str, ...]
    """Names of the pictures in `images` that no caption names."""
    skipped: str | None = None
    """One line about pictures in `images` that cannot be opened, other than named ones."""


def read_captioned_folder(folder: str | Path) -> CaptionedFolder:
    """Read the captions of a folder.

    Raises `InputError`, with file and line where there is one: a missing file or folder, no
    picture, no caption, a line that is not of the form above, an unusable text, or a picture that
    is named and missing.
    """
    folder = Path(folder)
    images, file = folder / IMAGES_FOLDER, folder / CAPTIONS_FILE
    if not images.is_dir():
        raise InputError(
            f"there is no folder {images}; put the pictures there and their captions into "
            f"{CAPTIONS_FILE} beside it"
        )
    listed = list_pictures(images)
    captions = list(parse_lines(file, _parse_caption))
    if not captions:
        raise InputError(
            f'{file} has no captions; write one a line: {{"image": "NAME.png", "text": "..."}}'
        )
    pictures: dict[str, Path] = {}
    for line, caption in captions:
        for name in filter(None, (caption.image, caption.source)):
            # Path.is_file raises for a name that is too long.
            if Path(name).name != name or not os.path.isfile(images / name):
                raise InputError(f"{file}:{line}: there is no picture {shown(name)} in {images}")
            pictures[name] = images / name
    return CaptionedFolder(
        captions=tuple(caption for _, caption in captions),
        pictures=pictures,
        uncaptioned=tuple(path.name for path in listed.pictures if path.name not in pictures),
        skipped=skipped_line(path.name for path in listed.skipped if path.name not in pictures),
    )


def _parse_caption(line: str) -> Caption:
    caption = build(Caption, parse_json(line))
    for name in ("image", "source"):
        if getattr(caption, name) == "":
            raise FormatError(f"{name} is empty, expected the name of a picture")
    if caption.source == caption.image:
        raise FormatError(
            f"source and image are both {shown(caption.image)}, expected another picture"
        )
    return replace(caption, text=check_prompt(caption.text))
