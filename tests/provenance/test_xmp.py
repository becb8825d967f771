"""XMP that nests, repeats or declares as much as it can, through `cfclip inspect`."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin
from tiny_process import environment

from cfclip.provenance.stamping import XMP_KEYWORD
from cfclip.provenance.xmp import MAX_PACKET_CHARACTERS

MOST_SECONDS = 5.0
MOST_BYTES = 2 << 30
"""Of addresses: Python and the library that reads signatures map some hundred megabytes."""

LENGTH = MAX_PACKET_CHARACTERS - 1000
RDF = (
    '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:c="cfclip:ns:1.0/" '
    'xmlns:q="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">{}</r:RDF>'
)
ABOUT = RDF.format("<r:Description>{}</r:Description>")
PROMPTS = ABOUT.format("<c:Prompts><r:Seq>{}</r:Seq></c:Prompts>")


def nested(start: str, end: str) -> str:
    count = LENGTH // len(start + end)
    return start * count + end * count


def repeated(text: str) -> str:
    return text * (LENGTH // len(text))


def numbered(text: str, reserved: int = 0) -> str:
    count = (LENGTH - reserved) // len(text.format(99999))
    return "".join(text.format(i) for i in range(count))


LONG = "u" * (LENGTH // 2)
PACKETS = {
    "nested-arrays": RDF.format(
        nested("<r:Description><c:Prompts>", "</c:Prompts></r:Description>")
    ),
    "nested-descriptions": RDF.format(nested("<r:Description>", "</r:Description>")),
    "nested-items": PROMPTS.format(nested("<r:li>", "</r:li>")),
    "nested-others": RDF.format(nested("<a>", "</a>")),
    "many-arrays": ABOUT.format(repeated("<c:Prompts><r:Seq><r:li/></r:Seq></c:Prompts>")),
    "many-items": PROMPTS.format(repeated("<r:li/>")),
    "many-descriptions": RDF.format(repeated("<r:Description/>")),
    "many-attributes": RDF.format("<r:Description" + numbered(" a{}=''") + "/>"),
    "many-namespaces": RDF.format("<r:Description" + numbered(" xmlns:a{}='u'") + "/>"),
    "many-references": ABOUT.format(f"<c:Pack>{repeated('&#65;')}</c:Pack>"),
    "long-namespace": f'<a xmlns:c="{LONG}">{numbered("<c:a{}/>", len(LONG))}</a>',
    "long-namespace-of-attributes": f"<a xmlns:c='{LONG}'"
    + numbered(" c:a{}=''", len(LONG))
    + "/>",
    "long-number": ABOUT.format(f"<c:Seed>{repeated('9')}</c:Seed>"),
}


def picture(folder: Path, name: str, packet: str) -> Path:
    """A picture with a packet, which is compressed: some kilobytes in all."""
    assert len(packet) <= MAX_PACKET_CHARACTERS
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt(XMP_KEYWORD, packet, zip=True)
    path = folder / f"{name}.png"
    Image.new("RGB", (32, 32)).save(path, pnginfo=texts)
    return path


def computed() -> float:
    """Seconds of computing of all processes that ended: other work may make one wait."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))


@pytest.mark.parametrize("name", PACKETS)
def test_no_packet_takes_long_or_gigabytes(tmp_path: Path, name: str) -> None:
    path = picture(tmp_path, name, PACKETS[name])
    began = computed()
    ran = subprocess.run(
        [sys.executable, "-m", "cfclip", "inspect", str(path), "--json"],
        env=environment({}),
        preexec_fn=limited,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert computed() - began < MOST_SECONDS
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["image"] == str(path)
