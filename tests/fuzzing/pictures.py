"""Spoiling pictures: their chunks, their metadata, their claims."""

import io
import struct
import zlib
from collections.abc import Callable
from random import Random

from PIL import Image

from fuzzing.byte_mutations import spoilt_bytes
from fuzzing.odd_values import TEXTS, words

Spoilt = tuple[bytes, str]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_XMP_KEY = b"XML:com.adobe.xmp"


def spoilt_picture(data: bytes, random: Random) -> Spoilt:
    """A picture with something wrong, and what was done."""
    chance = random.random()
    if chance < 0.2:
        return random.choice(_MADE)(random)
    if data.startswith(_SIGNATURE) and chance < 0.65:
        return _spoilt_png(data, random)
    if chance < 0.75 and not data.startswith(_SIGNATURE):
        return _with_metadata(data, random)
    return spoilt_bytes(data, random)


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], len(_SIGNATURE)
    while place + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, place)
        found.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + size]))
        place += 12 + size
    return found


def _png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    parts = [_SIGNATURE]
    for kind, content in chunks:
        checksum = zlib.crc32(kind + content)
        parts.append(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum))
    return b"".join(parts)


def _spoilt_png(data: bytes, random: Random) -> Spoilt:
    """Chunks changed, with checksums that fit."""
    chunks = _chunks(data)
    place = random.randrange(len(chunks))
    kind, content = chunks[place]
    name = kind.decode("latin-1")
    deed = random.random()
    if deed < 0.15:
        side = random.choice((0, 1, 30_000, 65_535, 2**31 - 1, 2**32 - 1))
        other = random.choice((1, 32, 20_000, side))
        _, header = chunks[0]
        chunks[0] = (b"IHDR", struct.pack(">II", side, other) + header[8:])
        return _png(chunks), f"{side} x {other} px"
    if deed < 0.4:
        name, added = random.choice(_ADDED)(random)
        chunks.insert(random.choice((1, len(chunks) - 1)), added)
        return _png(chunks), name
    if deed < 0.5:
        chunks.insert(place, chunks[random.randrange(len(chunks))])
        return _png(chunks), f"a chunk once more before {name}"
    if deed < 0.6:
        del chunks[place]
        return _png(chunks), f"no {name}"
    if kind in (b"iTXt", b"zTXt", b"iCCP") and deed < 0.8:
        place_of_values = content.rfind(b"\0") + 1
        try:
            inner, told = spoilt_bytes(zlib.decompress(content[place_of_values:]), random)
        except zlib.error:
            inner, told = spoilt_bytes(content[place_of_values:], random)
        else:
            inner = zlib.compress(inner)
        chunks[place] = (kind, content[:place_of_values] + inner)
        return _png(chunks), f"in {name}: {told}"
    spoilt, told = spoilt_bytes(content, random)
    chunks[place] = (kind, spoilt)
    return _png(chunks), f"{name}: {told}"


def _xmp(random: Random) -> str:
    start = '<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:a="b"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    end = "</rdf:RDF></x:xmpmeta>"
    count = random.choice((100, 5000, 60_000))
    return random.choice(
        (
            start + "<a>" * count + "</a>" * count + end,
            start + "<a>" * count,
            start + "<" * count,
            start + "<!--" * count,
            start + "<?a " * count,
            start + "<![CDATA[" * count,
            start + "<a " + " ".join(f'b{n}="c"' for n in range(count)) + "/>" + end,
            start + "<a>" + "&amp;" * count + "</a>" + end,
            start + '<rdf:Description xmlns:c="' + "c" * count + '"/>' + end,
            start + "<rdf:Description><a:b>\x1b[2J\u202e</a:b></rdf:Description>" + end,
            '<!DOCTYPE a [<!ENTITY b "' + "b" * 1000 + '">'
            + "".join(f'<!ENTITY b{n} "{"&b;" * 20}">' for n in range(20)) + "]><a>&b19;</a>",
            '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
            '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>',
            start + "<rdf:li>" * count + end,
            "\0" * count,
            "<x:xmpmeta " * count,
            "",
        )
    )  # fmt: skip


def _xmp_chunk(random: Random) -> tuple[str, tuple[bytes, bytes]]:
    text = _xmp(random).encode("utf-8", "surrogatepass")
    packed = random.random() < 0.5
    content = _XMP_KEY + bytes([0, packed, 0, 0, 0]) + (zlib.compress(text) if packed else text)
    return f"XMP {text[:60]!r}", (b"iTXt", content)


def _text_bomb(random: Random) -> tuple[str, tuple[bytes, bytes]]:
    kind = random.choice((b"zTXt", b"iTXt", b"iCCP"))
    key = random.choice((b"Comment\0", b"icc\0", _XMP_KEY + b"\0"))
    middle = b"\1\0\0\0" if kind == b"iTXt" else b"\0"
    return f"60 MB in {kind!r}", (kind, key + middle + zlib.compress(bytes(60_000_000), 1))


def _text_chunk(random: Random) -> tuple[str, tuple[bytes, bytes]]:
    text = random.choice(TEXTS).encode("utf-8", "surrogatepass")
    kind = random.choice((b"tEXt", b"eXIf", b"caBX", b"gAMA", b"cHRM", b"tRNS", b"acTL", b"fcTL"))
    return f"{kind!r} of {text[:40]!r}", (kind, b"Software\0" + text)


_ADDED = (_xmp_chunk, _xmp_chunk, _text_bomb, _text_chunk)


def _with_metadata(data: bytes, random: Random) -> Spoilt:
    """The picture saved anew with spoilt EXIF, XMP or profile."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            form, info = picture.format or "PNG", picture.info
    except Exception:
        return spoilt_bytes(data, random)
    options, told = {}, []
    for name in random.sample(("exif", "icc_profile", "xmp"), 2):
        given = info.get(name) or b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0"
        if name == "xmp":
            options[name], what = _xmp(random).encode("utf-8", "surrogatepass")[:60_000], "odd"
        else:
            options[name], what = spoilt_bytes(given, random)
        told.append(f"{name}: {what}")
    stream = io.BytesIO()
    try:
        picture.save(stream, form, **options)
    except Exception:
        return spoilt_bytes(data, random)
    return stream.getvalue(), "; ".join(told)


_MARKS = (
    *(_SIGNATURE, b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\xff\xff\xff\x7fWEBPVP8 ", b"II*\0"),
    *(b"BM", b"\0\0\0\x1cftypavif", b"\0\0\1\0", b"8BPS", b"P6 99999 99999 255\n"),
    *(b"%!PS-Adobe", b"FLIF", b"DDS ", b"icns", b"#define a_width 9\n", b"%PDF-1.4"),
)
"""What files of many formats begin with."""


def _of_noise(random: Random) -> Spoilt:
    mark = random.choice(_MARKS)
    return mark + random.randbytes(500), f"{mark[:8]!r} and noise"


def _bomb(random: Random) -> Spoilt:
    """Millions of pixels in a small file."""
    side = random.choice((5000, 7000, 12_000, 30_000))
    rows = zlib.compress(bytes((side * 3 + 1) * min(side, 1000)), 1)
    depth, colours = random.choice(((8, 2), (8, 6), (1, 0), (16, 6), (8, 3)))
    header = struct.pack(">IIBBBBB", side, side, depth, colours, 0, 0, random.choice((0, 1)))
    palette = [(b"PLTE", bytes(6))] if colours == 3 else []
    chunks = [(b"IHDR", header), *palette, (b"IDAT", rows), (b"IEND", b"")]
    return _png(chunks), f"{side} px, depth {depth}, colours {colours}"


def _many_frames(random: Random) -> Spoilt:
    frames = [Image.new("P", (8, 8), n % 7) for n in range(random.choice((2, 300)))]
    stream = io.BytesIO()
    form = random.choice(("GIF", "PNG", "WEBP", "TIFF"))
    frames[0].save(stream, form, save_all=True, append_images=frames[1:])
    return stream.getvalue(), f"{len(frames)} frames of {form}"


def _odd_size(random: Random) -> Spoilt:
    size = random.choice(((1, 1), (1, 3000), (3000, 1), (2, 2), (7, 13), (6000, 2)))
    mode = random.choice(words("1 L LA P RGBA I I;16 F CMYK YCbCr LAB HSV"))
    stream = io.BytesIO()
    picture = Image.new(mode, size)
    try:
        picture.save(stream, "TIFF")
    except (OSError, ValueError, KeyError):
        picture.convert("RGB").save(stream, "TIFF")
    return stream.getvalue(), f"{size} px of {mode}"


def _nothing(random: Random) -> Spoilt:
    return b"", "nothing"


_MADE: tuple[Callable[[Random], Spoilt], ...] = (
    _of_noise,
    _of_noise,
    _bomb,
    _many_frames,
    _odd_size,
    _nothing,
)
