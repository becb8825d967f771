"""Colour profiles of pictures."""

import struct

from PIL import Image

from cfclip.images.colour_profiles import CICP, stated_profile


def p3_profile() -> bytes:
    """Display P3, of which phones' pictures are."""
    image = Image.new("RGB", (16, 16))
    image.info[CICP] = (12, 13)
    profile = stated_profile(image)
    assert profile is not None
    return bytes(profile.tobytes())


def grey_profile(gamma: int) -> bytes:
    """A grey scale of a whole gamma."""
    tags = {b"wtpt": struct.pack(">4sI3i", b"XYZ ", 0, 63190, 65536, 54061)}
    tags[b"kTRC"] = struct.pack(">4sIIH", b"curv", 0, 1, gamma << 8) + b"\0\0"
    table, body = struct.pack(">I", 2), b""
    for name, content in tags.items():
        table += name + struct.pack(">II", 156 + len(body), len(content))
        body += content
    header = struct.pack(">I4sI", 156 + len(body), b"", 0x02400000) + b"mntrGRAYXYZ "
    header = header.ljust(36, b"\0") + b"acsp"
    header = header.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + table + body
