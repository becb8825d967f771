"""Writing pictures that tell how they were made, and reading what pictures tell."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from cfclip.errors import InputError
from cfclip.images.output_files import encode_png, write_gif, write_png
from cfclip.provenance.metadata import TOOL, Provenance, png_texts, xmp_packet

if TYPE_CHECKING:
    from cfclip.provenance.c2pa import Credentials, PictureSigner


@dataclass(frozen=True)
class Marking:
    """How written pictures tell what they are. Raises `InputError` for a contradiction."""

    metadata: bool = True
    """Whether they carry their provenance as XMP."""
    signer: "PictureSigner | None" = None
    """Signs them (C2PA) if given; what is signed includes the XMP."""

    def __post_init__(self) -> None:
        if self.signer is not None and not self.metadata:
            raise InputError(
                "a signature and no metadata (--no-metadata) are asked for, but a signature is "
                "metadata; ask for one of them"
            )


MARKED = Marking()
"""What holds where nothing else is asked for."""


@dataclass(frozen=True)
class Inspection:
    """What a picture file tells of how it was made."""

    provenance: Provenance | None
    """None if it states nothing."""
    credentials: "Credentials | None"
    """None if it is not signed, or that was not looked for."""
    credentials_read: bool
    """Whether the library that reads signatures is installed."""


def write_picture(
    image: Image.Image,
    path: str | Path,
    provenance: Provenance | None,
    marking: Marking = MARKED,
    overwrite: bool = False,
) -> None:
    """Write a PNG with its provenance, whole or not at all.

    The pixels are those of `image` whatever the marking; unless it is signed, the same picture and
    provenance give the same bytes. What no model had a part in, such as a chart, has none, and
    tells only what program wrote it.

    Raises `InputError` as `images.write_png` does, or if that is to be signed.
    """
    texts, seal = _texts_and_seal(provenance, marking)
    write_png(image, path, texts, overwrite, seal)


def encode_picture(
    image: Image.Image, provenance: Provenance, marking: Marking = MARKED, quickly: bool = False
) -> bytes:
    """The bytes of a PNG with its provenance, for those who write many; see `encode_png`."""
    texts, seal = _texts_and_seal(provenance, marking)
    return encode_png(image, texts, seal, quickly)


def _texts_and_seal(
    provenance: Provenance | None, marking: Marking
) -> tuple[dict[str, str], Callable[[bytes], bytes] | None]:
    texts: dict[str, str] = {}
    if marking.metadata:
        texts = {"Software": TOOL} if provenance is None else png_texts(provenance)
    if marking.signer is None:
        return texts, None
    if provenance is None:
        raise InputError(
            "a picture shows nothing that a model made, which is all that is signed; leave out "
            "the certificate"
        )
    return texts, partial(marking.signer.sign, provenance=provenance)


def write_animation(
    frames: Sequence[tuple[Image.Image, int]],
    path: str | Path,
    provenance: Provenance,
    marking: Marking = MARKED,
    overwrite: bool = False,
) -> None:
    """Write pictures, each with the milliseconds it is shown, as a GIF with its provenance.

    Raises `InputError` as `images.write_gif` does, and where a signature is asked for: animations
    are not signed.
    """
    if marking.signer is not None:
        raise InputError("animations are not signed; write this one without a certificate")
    write_gif(frames, path, xmp_packet(provenance) if marking.metadata else None, overwrite)


def inspect_picture(path: str | Path) -> Inspection:
    """What a picture file tells of how it was made; signatures only with the `c2pa` extra.

    Raises `InputError` for an unusable picture, or XMP or a manifest that is damaged or hostile.
    """
    from cfclip.images.image_files import read_xmp
    from cfclip.provenance.c2pa import credentials_available, read_credentials
    from cfclip.provenance.xmp import read_packet

    packet = read_xmp(path)
    try:
        provenance = None if packet is None else read_packet(packet)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    available = credentials_available()
    return Inspection(provenance, read_credentials(path) if available else None, available)
