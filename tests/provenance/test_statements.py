"""What pictures tell of how they were made: written whole whatever the prompt, read safely."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfclip.errors import InputError
from cfclip.provenance.stamping import (
    COMPOSED,
    GENERATED,
    XMP_KEYWORD,
    Provenance,
    png_texts,
    provenance_of,
    xmp_packet,
)
from cfclip.provenance.xmp import MAX_PACKET_CHARACTERS, read_packet

PACK = {"name": "tiny", "version": "1", "fingerprint": "a" * 64}
STATEMENT = Provenance(COMPOSED, ("green hair", "a smile"), "tiny", "1", "a" * 64, 3, 7)

HOSTILE = (
    "<rdf:li>&amp;</rdf:li>",
    "]]> <!-- -->",
    '"/><x:xmpmeta>',
    "<!DOCTYPE x [<!ENTITY a 'b'>]>&a;",
    '<?xpacket end="w"?>',
    "grünes Haar, 緑の髪, \U0001f49a",
)


def test_a_statement_survives() -> None:
    assert read_packet(xmp_packet(STATEMENT)) == STATEMENT


def test_the_packet_is_what_other_programs_look_for() -> None:
    packet = xmp_packet(STATEMENT)
    assert packet.startswith('<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>')
    assert f"<Iptc4xmpExt:DigitalSourceType>{COMPOSED}</" in packet
    (about,) = ElementTree.fromstring(packet).iter(
        "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"
    )
    iptc = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
    assert about.findtext(iptc + "AIPromptInformation") == "green hair; a smile"
    assert about.findtext(iptc + "AISystemUsed") == "cfclip"


@pytest.mark.parametrize("prompt", HOSTILE)
def test_markup_in_a_prompt_is_text(prompt: str) -> None:
    found = read_packet(xmp_packet(Provenance(GENERATED, (prompt, "b"))))
    assert found is not None
    assert found.prompts == (prompt, "b")


@given(st.lists(st.text(st.characters(codec=None)), max_size=3))
def test_any_prompt_makes_a_packet_that_can_be_read_and_stored(prompts: list[str]) -> None:
    statement = Provenance(GENERATED, tuple(prompts))
    for text in png_texts(statement).values():
        text.encode("utf-8")
    found = read_packet(xmp_packet(statement))
    assert found is not None
    assert [len(prompt) for prompt in found.prompts] == [len(prompt) for prompt in prompts]


@pytest.mark.parametrize("character", ["\0", "\x1b", "\x9b", "\r", "\x7f", "\ud800", "\uffff"])
def test_characters_that_xml_or_terminals_choke_on_are_replaced(character: str) -> None:
    found = read_packet(xmp_packet(Provenance(GENERATED, (f"a{character}b",))))
    assert found is not None
    assert found.prompts == ("a\ufffdb",)


def test_endless_prompts_are_cut() -> None:
    packet = xmp_packet(Provenance(GENERATED, ("&" * 10_000,) * 100))
    assert len(packet) < MAX_PACKET_CHARACTERS
    found = read_packet(packet)
    assert found is not None
    assert sum(map(len, found.prompts)) == 16_000


@pytest.mark.parametrize(
    ("source", "kind", "sample"),
    [
        ({"kind": "sample", "seed": 5, "truncation_psi": 0.7}, GENERATED, 5),
        ({"kind": "latents", "float32": "", "shape": [1]}, GENERATED, None),
        ({"kind": "file", "path": "/home/alice/secret.png", "sha256": "b" * 64}, COMPOSED, None),
        ({"kind": "pixels", "sha256": "b" * 64}, COMPOSED, None),
    ],
)
def test_the_source_type_follows_from_the_source(
    source: dict[str, object], kind: str, sample: int | None
) -> None:
    statement = provenance_of({"pack": PACK, "source": source, "prompts": ["x"], "seed": 2})
    assert statement == Provenance(kind, ("x",), "tiny", "1", "a" * 64, 2, sample)
    written = "".join(png_texts(statement).values())
    assert "alice" not in written
    assert "secret" not in written


def test_a_sample_has_neither_prompt_nor_edit_seed() -> None:
    source = {"kind": "sample", "seed": 5, "truncation_psi": 0.7}
    statement = provenance_of({"pack": PACK, "source": source})
    assert statement == Provenance(GENERATED, (), "tiny", "1", "a" * 64, None, 5)
    assert list(png_texts(statement)) == ["Software", XMP_KEYWORD]


# Packets of other programs, and of nobody's good will


def foreign(attributes: str = "", elements: str = "") -> str:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/'
        '22-rdf-syntax-ns#"><r:Description r:about="" xmlns:q="http://iptc.org/std/Iptc4xmpExt/'
        f'2008-02-29/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" {attributes}>{elements}'
        "</r:Description></r:RDF></x:xmpmeta>"
    )


def test_properties_are_read_as_attributes_and_under_any_prefix() -> None:
    expected = Provenance(GENERATED, tool="Painter 3", version="")
    attribute = foreign(f'q:DigitalSourceType="{GENERATED}" xmp:CreatorTool="Painter 3"')
    element = foreign(
        'xmp:CreatorTool="Painter 3"', f"<q:DigitalSourceType> {GENERATED}\n</q:DigitalSourceType>"
    )
    assert read_packet(attribute) == read_packet(element) == expected
    assert read_packet("\ufeff" + attribute + "\n \0") == expected


def test_the_name_of_a_program_alone_states_nothing() -> None:
    assert read_packet(foreign('xmp:CreatorTool="Camera 1"')) is None
    assert read_packet("<a/>") is None


def test_another_programs_prompt() -> None:
    found = read_packet(foreign('q:AIPromptInformation="a cat"'))
    assert found == Provenance("", ("a cat",), tool="", version="")


def test_a_seed_that_is_no_number_is_none() -> None:
    for seed in ("x", "-1", "9" * 5000):
        packet = xmp_packet(STATEMENT).replace("Seed>3<", f"Seed>{seed}<")
        found = read_packet(packet)
        assert found is not None
        assert (found.seed, found.sample_seed) == (None, 7)


LAUGHS = "".join(
    f"<!ENTITY l{i} '{f'&l{i - 1};' * 10}'>" if i else "<!ENTITY l0 'ha'>" for i in range(9)
)


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (f"<?xml version='1.0'?><!DOCTYPE x [{LAUGHS}]><x>&l8;</x>", "document type"),
        ("<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;</x>", "document type"),
        ("<x>&a;</x>", "damaged"),
        ("<x>", "damaged"),
        ("", "damaged"),
        ("<x>\0</x>", "damaged"),
        ("<a>" * 100_000, "damaged"),
        ("x" * (MAX_PACKET_CHARACTERS + 1), "limit is 1,000,000"),
    ],
)
def test_hostile_packets_are_refused_in_one_line(packet: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as caught:
        read_packet(packet)
    assert "\n" not in str(caught.value)


@given(st.integers(0, 2000), st.characters(codec="utf-8"))
def test_a_damaged_packet_is_read_or_refused(place: int, character: str) -> None:
    packet = xmp_packet(STATEMENT)
    place %= len(packet)
    message = ""
    try:
        read_packet(packet[:place] + character + packet[place + 1 :])
    except InputError as error:
        message = str(error)
    assert "\n" not in message


def test_a_property_is_of_the_picture_alone() -> None:
    of_a_part = "<xmp:a><r:Description q:DigitalSourceType='part'/></xmp:a>"
    assert read_packet(foreign("", of_a_part)) is None


def test_prefixes_hold_inside_of_the_element_that_declares_them() -> None:
    inside = '<a xmlns:q="other"><q:AISystemUsed>a</q:AISystemUsed></a>'
    found = read_packet(foreign("", f"{inside}<q:AISystemUsed>b</q:AISystemUsed>"))
    assert found == Provenance("", tool="b", version="")
    other = '<q:AISystemUsed xmlns:q="other">a</q:AISystemUsed>'
    assert read_packet(foreign("", other)) is None
