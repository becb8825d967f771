"""What a picture tells of how it was made, in XMP, and writing pictures that tell it.

The statement follows the IPTC Photo Metadata Standard 2025.1: the digital source type
(https://cv.iptc.org/newscodes/digitalsourcetype/), the AI system and its version, the prompts. What
that standard has no property for (pack, seeds, prompts one by one) is in a namespace of cfclip's
own. Nothing tells of files, folders or people, or of the time: the same edit gives the same bytes.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from PIL import Image

from cfclip.errors import InputError
from cfclip.images import encode_png, write_gif, write_png
from cfclip.version import __version__

if TYPE_CHECKING:
    from cfclip.provenance.c2pa import Credentials, PictureSigner

TOOL = "cfclip"

_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
GENERATED = f"{_SOURCE_TYPES}trainedAlgorithmicMedia"
"""Source type of what a model made alone: samples, and edits of samples."""
COMPOSED = f"{_SOURCE_TYPES}compositeWithTrainedAlgorithmicMedia"
"""Source type of what a model made of a picture: edits and inversions of pictures."""

NAMESPACES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "cfclip": "cfclip:ns:1.0/",
}
"""Those that are known, by the prefix that stands for them in what is written."""


XMP_KEYWORD = "XML:com.adobe.xmp"
"""Keyword of the PNG text chunk that holds XMP (PNG specification, third edition, 11.3.3.2)."""

_MAX_PROMPT_CHARACTERS = 16_000
"""Of all prompts together; what is longer is cut, so that a packet stays readable. An empty prompt
counts as one."""

# The wrapper by which programs find XMP in a file (XMP specification, part 1, 7.3.2): its begin
# is a byte order mark, its id a fixed text; "r": not to be changed in place.
_PACKET_BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
_PACKET_END = '<?xpacket end="r"?>'

_NOT_XML = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, or that act on a terminal."""
_REPLACEMENT = "\ufffd"


@dataclass(frozen=True)
class Provenance:
    """How a picture was made. What another program wrote may lack anything."""

    source_type: str
    """URI of an IPTC digital source type; empty if none is stated."""
    prompts: tuple[str, ...] = ()
    """What it was asked to show."""
    pack: str = ""
    """Name of the model pack."""
    pack_version: str = ""
    pack_hash: str = ""
    """SHA-256 of `pack.toml`, which stands for every byte of the pack."""
    seed: int | None = None
    """Of the random draws of an edit."""
    sample_seed: int | None = None
    """Of the sample that the picture is, or that was edited."""
    tool: str = TOOL
    version: str = __version__
    """Of the tool."""


_OWN_KINDS = ("sample", "latents", "latents_file")
"""Sources that are of the generator's own making."""


def provenance_of(record: Mapping[str, Any]) -> Provenance:
    """The statement on an edit from its record, or on a picture from the record's entries "pack"
    and "source". What an edit of an edit was first made from counts, and all of its prompts."""
    pack, source = record["pack"], record["source"]
    earlier = source.get("edited_from", {"source": source, "edits": ()})
    source, edits = earlier["source"], earlier["edits"]
    prompts = [prompt for edit in edits for prompt in edit["prompts"]]
    return Provenance(
        source_type=GENERATED if source["kind"] in _OWN_KINDS else COMPOSED,
        prompts=(*prompts, *record.get("prompts", ())),
        pack=pack["name"],
        pack_version=pack["version"],
        pack_hash=pack["fingerprint"],
        seed=record.get("seed"),
        sample_seed=source["seed"] if source["kind"] == "sample" else None,
    )


def joint_provenance(parts: Sequence[Provenance | None]) -> Provenance | None:
    """The statement on a picture that is put together of others, from what these state, if they do.

    It names all prompts, and of the rest what holds for all. It is a composite with what a model
    made if any part is, and what a model made alone if every part is; None if no part is.

    >>> made = Provenance(GENERATED, ("green hair",), "avatars", seed=1)
    >>> whole = joint_provenance([made, replace(made, prompts=("blue skin",), seed=2), None])
    >>> whole.source_type == COMPOSED, whole.prompts, whole.pack, whole.seed
    (True, ('green hair', 'blue skin'), '', None)
    """
    kinds = {"" if part is None else part.source_type for part in parts}
    if not kinds & {GENERATED, COMPOSED}:
        return None
    whole = Provenance(
        source_type=GENERATED if kinds == {GENERATED} else COMPOSED,
        prompts=tuple(dict.fromkeys(text for part in parts if part for text in part.prompts)),
    )
    names = ("pack", "pack_version", "pack_hash", "seed", "sample_seed")
    told = [{name: getattr(part, name, None) for name in names} for part in parts]
    shared = {name: told[0][name] for name in names if len({each[name] for each in told}) == 1}
    return replace(whole, **{name: value for name, value in shared.items() if value is not None})


def png_texts(provenance: Provenance) -> dict[str, str]:
    """Keyword to text of PNG text chunks: the XMP packet, and two plain ones that any program
    shows."""
    texts = {"Software": TOOL}
    if provenance.prompts:
        texts["Description"] = "; ".join(limited_prompts(provenance.prompts))
    return {**texts, XMP_KEYWORD: xmp_packet(provenance)}


def xmp_packet(provenance: Provenance) -> str:
    """The statement as an XMP packet.

    Whatever the texts hold, the packet is well-formed: markup is escaped, characters that XML
    cannot hold become U+FFFD, and prompts are cut at 16,000 characters in all.
    """
    prompts = limited_prompts(provenance.prompts)
    # Written out, since many are made: ElementTree takes ten times as long.
    declared = " ".join(
        f'xmlns:{name}="{NAMESPACES[name]}"' for name in ("xmp", "Iptc4xmpExt", "cfclip")
    )
    properties = (
        ("xmp:CreatorTool", f"{provenance.tool} {provenance.version}".strip()),
        ("Iptc4xmpExt:DigitalSourceType", provenance.source_type),
        ("Iptc4xmpExt:AISystemUsed", provenance.tool),
        ("Iptc4xmpExt:AISystemVersionUsed", provenance.version),
        ("Iptc4xmpExt:AIPromptInformation", "; ".join(prompts)),
        ("cfclip:Pack", provenance.pack),
        ("cfclip:PackVersion", provenance.pack_version),
        ("cfclip:PackHash", provenance.pack_hash),
        ("cfclip:Seed", provenance.seed),
        ("cfclip:SampleSeed", provenance.sample_seed),
    )
    told = [
        f"   <{name}>{escape(_plain(str(value)))}</{name}>"
        for name, value in properties
        if value not in ("", None)
    ]
    if prompts:
        items = [f"     <rdf:li>{escape(prompt)}</rdf:li>" for prompt in prompts]
        told += ["   <cfclip:Prompts>", "    <rdf:Seq>", *items]
        told += ["    </rdf:Seq>", "   </cfclip:Prompts>"]
    body = "\n".join(
        (
            f'<x:xmpmeta xmlns:x="{NAMESPACES["x"]}">',
            f' <rdf:RDF xmlns:rdf="{NAMESPACES["rdf"]}">',
            f'  <rdf:Description rdf:about="" {declared}>',
            *told,
            "  </rdf:Description>",
            " </rdf:RDF>",
            "</x:xmpmeta>",
        )
    )
    return f"{_PACKET_BEGIN}\n{body}\n{_PACKET_END}"


def limited_prompts(prompts: Sequence[str]) -> tuple[str, ...]:
    """The prompts, in characters that XML can hold, up to the limit on all of them together."""
    kept: list[str] = []
    left = _MAX_PROMPT_CHARACTERS
    for prompt in prompts:
        if left <= 0:
            break
        kept.append(_plain(prompt)[:left])
        left -= max(1, len(kept[-1]))
    return tuple(kept)


def _plain(text: str) -> str:
    return _NOT_XML.sub(_REPLACEMENT, text)


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
    from cfclip.images import read_xmp
    from cfclip.provenance.c2pa import credentials_available, read_credentials
    from cfclip.provenance.xmp import read_packet

    packet = read_xmp(path)
    try:
        provenance = None if packet is None else read_packet(packet)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    available = credentials_available()
    return Inspection(provenance, read_credentials(path) if available else None, available)
