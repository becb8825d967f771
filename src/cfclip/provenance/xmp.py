"""The XMP packet of any program: its properties, and what they state on how a picture was made.

Read in one pass, in time and memory in proportion to the packet, whatever it nests, repeats or
declares. ElementTree is not for that: it spells out the namespace in the name of every element,
and a few long ones then take gigabytes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from xml.parsers import expat

from cfclip.errors import InputError
from cfclip.provenance.stamping import NAMESPACES, Provenance, limited_prompts

MAX_PACKET_CHARACTERS = 1_000_000
"""Longer XMP is not read: it is no statement on one picture, and parsing takes memory."""

_PREFIXES = {uri: prefix for prefix, uri in NAMESPACES.items()}
_NUMBER = re.compile(r"\d{1,20}")
_DECLARES = "xmlns"
_ABOUT = ["rdf:RDF", "rdf:Description"]
"""What holds the properties of the picture; a description inside of one is of something else."""
_ITEM = "rdf:li"


def read_packet(packet: str) -> Provenance | None:
    """What an XMP packet of any program states on how its picture was made; None if nothing.

    Raises `InputError` as `read_properties` does.
    """
    properties = read_properties(packet)
    found = properties.texts
    prompts = properties.items.get("cfclip:Prompts", ())
    stated = found.get("Iptc4xmpExt:AIPromptInformation", "")
    provenance = Provenance(
        source_type=found.get("Iptc4xmpExt:DigitalSourceType", ""),
        prompts=limited_prompts(prompts or ((stated,) if stated else ())),
        pack=found.get("cfclip:Pack", ""),
        pack_version=found.get("cfclip:PackVersion", ""),
        pack_hash=found.get("cfclip:PackHash", ""),
        seed=_number(found.get("cfclip:Seed", "")),
        sample_seed=_number(found.get("cfclip:SampleSeed", "")),
        tool=found.get("Iptc4xmpExt:AISystemUsed", ""),
        version=found.get("Iptc4xmpExt:AISystemVersionUsed", ""),
    )
    if provenance == Provenance("", tool="", version=""):
        return None
    # The creator tool may be a camera's as well: by itself it states nothing.
    return replace(provenance, tool=provenance.tool or found.get("xmp:CreatorTool", ""))


@dataclass(frozen=True)
class Properties:
    """What a packet states; names are such as "xmp:CreatorTool", those of others begin with ":"."""

    texts: Mapping[str, str]
    """Name to text. Of a property that is stated again, the first one."""
    items: Mapping[str, tuple[str, ...]]
    """Name to the texts of an array."""


def read_properties(packet: str) -> Properties:
    """The properties in a packet.

    Raises `InputError` for a packet that is too long, damaged, or has a document type, whose
    entities could unpack to gigabytes.
    """
    if len(packet) > MAX_PACKET_CHARACTERS:
        raise InputError(
            f"its XMP has {len(packet):,} characters, the limit is {MAX_PACKET_CHARACTERS:,}; "
            "have it written again by the program it is from"
        )
    if "<!DOCTYPE" in packet:
        raise InputError("its XMP declares a document type, which XMP does not have; not read")
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.CharacterDataHandler = reader.characters
    parser.EndElementHandler = reader.end
    try:
        parser.Parse(packet.strip("\ufeff\0 \t\r\n"), True)
    except (expat.ExpatError, ValueError) as error:
        raise InputError(f"its XMP is damaged ({error}); nothing of it is read") from error
    return Properties(reader.texts, {name: tuple(found) for name, found in reader.items.items()})


class _Reader:
    """Keeps the properties that it is told of, element by element.

    A simple property is a child of its description or an attribute; an array is a child with a
    list, whose items are elements of their own.
    """

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.items: dict[str, list[str]] = {}
        self._uris: dict[str, list[str]] = {}
        """Prefix to the namespaces that it has stood for, from the outermost element inwards."""
        self._declared: list[list[str]] = []
        """The prefixes that each open element declares."""
        self._open: list[str] = []
        """Names of the open elements."""
        self._text: list[str] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        prefixes = []
        for name, value in attributes.items():
            kind, _, prefix = name.partition(":")
            if kind == _DECLARES:
                self._uris.setdefault(prefix, []).append(value)
                prefixes.append(prefix)
        self._declared.append(prefixes)
        self._open.append(self._known(tag))
        self._text = []
        if self._open[-2:] == _ABOUT:
            for name, value in attributes.items():
                if ":" in name:  # any other is of no namespace
                    self.texts.setdefault(self._known(name), value)

    def characters(self, text: str) -> None:
        self._text.append(text)

    def end(self, tag: str) -> None:
        text = "".join(self._text)
        if self._open[-3:-1] == _ABOUT:
            self.texts.setdefault(self._open[-1], text.strip())
        elif self._open[-5:-3] == _ABOUT and self._open[-1] == _ITEM:
            self.items.setdefault(self._open[-3], []).append(text)
        self._text = []
        self._open.pop()
        for prefix in self._declared.pop():
            self._uris[prefix].pop()

    def _known(self, name: str) -> str:
        """A name with the prefix that its namespace has here."""
        prefix, _, local = name.rpartition(":")
        uris = self._uris.get(prefix)
        return f"{_PREFIXES.get(uris[-1], '') if uris else ''}:{local}"


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None
