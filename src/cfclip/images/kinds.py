"""Which files are pictures: formats by their content, and what of a folder can be opened.

A file is what its first bytes say, whatever it is called. Its name decides only whether it is
looked for at all: one with the suffix of a picture is told if it cannot be opened; any other is a
picture if its content is that of one.
"""

import glob
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePath

from cfclip.errors import InputError, reason_of

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""The only decoders used; Pillow has dozens more, some of which call other programs."""
HEIF = "HEIF"
"""What phones write as HEIC. The extra `heic` has its decoder."""

SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".webp", ".gif", ".bmp", ".dib"),
    *(".tif", ".tiff", ".avif", ".heic", ".heif", ".hif"),
)
"""Of the files that are looked for."""
_HEIF_SUFFIXES = (".heic", ".heif", ".hif")
_OTHER_SUFFIXES = frozenset(
    (
        *(".jxl", ".jp2", ".j2k", ".jpx", ".jxr", ".psd", ".psb", ".xcf", ".svg", ".eps", ".ai"),
        *(".tga", ".dds", ".exr", ".hdr", ".ppm", ".pgm", ".pbm", ".pnm", ".pcx", ".ico", ".icns"),
        *(".qoi", ".heics", ".heifs", ".avifs"),
        # Of cameras. Many are TIFF files inside, with a thumbnail as their first picture.
        *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".raf", ".orf"),
        *(".rw2", ".pef", ".srw", ".3fr", ".iiq", ".erf", ".mrw", ".x3f", ".raw", ".rwl"),
    )
)
"""Pictures that are never opened."""

HEAD_BYTES = 64
"""As many of a file's first bytes tell its format."""
_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0\x10\0\0\0CR": "camera's raw",  # before TIFF, which it is too
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"8BPS": "Photoshop",
}
_BMP_HEADER = 14
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # bytes of the header behind the first one

_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_NAMED = 3  # of what is skipped


@dataclass(frozen=True)
class Listing:
    """The pictures of a folder, or among some files."""

    pictures: tuple[Path, ...]
    """Those that may be opened, by name or content."""
    skipped: tuple[Path, ...] = ()
    """Pictures of formats that are not opened, and names of pictures that are no files."""

    @property
    def complaint(self) -> str | None:
        """One line about what is skipped; None if nothing is."""
        return skipped_line([path.name for path in self.skipped])


def list_pictures(given: str | Path, others: Sequence[str] = ()) -> Listing:
    """The pictures that a path stands for, and files of the suffixes `others` that a pattern fits.

    A file stands for itself, whatever it is; a folder for the pictures directly in it, sorted by
    name; a pattern such as "in/**/*.png", where no such file is, for those that it fits, where "**"
    is any folders. Hidden files, folders and what is no picture are passed over.

    Raises `InputError` if there is no such path, or nothing there can be opened.
    """
    path, pattern = Path(given), is_pattern(str(given))
    try:
        if pattern:
            entries = sorted(map(Path, glob.glob(str(given), recursive=True)))
        elif path.is_dir():
            entries = sorted(each for each in path.iterdir() if not each.name.startswith("."))
        else:
            check_regular(path)
            return Listing((path,))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {given}: {reason_of(error)}") from error
    found = _sorted_out(entries, others if pattern else ())
    if not found.pictures:
        wanted = ", ".join((*SUFFIXES, *others))
        more = f"; {found.complaint}" if found.skipped else ""
        where = "nothing that can be edited is at '{}'" if pattern else "folder {} has no pictures"
        raise InputError(f"{where.format(given)} ({wanted}){more}")
    return found


def is_pattern(given: str) -> bool:
    """Whether a text stands for names of files and is none itself."""
    return glob.has_magic(given) and not os.path.lexists(given)


def _sorted_out(paths: Iterable[Path], others: Sequence[str]) -> Listing:
    pictures: list[Path] = []
    skipped: list[Path] = []
    for path in paths:
        if path.is_dir():
            continue
        suffix = path.suffix.lower()
        if suffix in others:
            pictures += [path] if path.is_file() else []
        elif suffix in SUFFIXES or suffix in _OTHER_SUFFIXES:
            opens = path.is_file() and opens_by_name(path)
            (pictures if opens else skipped).append(path)
        elif (found := _format_of_file(path)) is not None:
            (pictures if can_open(found) else skipped).append(path)
    return Listing(tuple(pictures), tuple(skipped))


def opens_by_name(name: PurePath) -> bool:
    """Whether pictures of that suffix are opened here."""
    suffix = name.suffix.lower()
    return suffix in SUFFIXES and (suffix not in _HEIF_SUFFIXES or can_open(HEIF))


def is_other_picture(name: PurePath) -> bool:
    """Whether a suffix is that of a picture which is not opened here."""
    return name.suffix.lower() in (*SUFFIXES, *_OTHER_SUFFIXES) and not opens_by_name(name)


def skipped_line(names: Iterable[str]) -> str | None:
    """One line about pictures that are not opened; None for none."""
    listed = list(names)
    if not listed:
        return None
    count = "1 picture is" if len(listed) == 1 else f"{len(listed):,} pictures are"
    shown = ", ".join(name[:100] for name in listed[:_NAMED])
    more = f" and {len(listed) - _NAMED:,} more" if len(listed) > _NAMED else ""
    heif = any(PurePath(name).suffix.lower() in _HEIF_SUFFIXES for name in listed)
    remedy = f"; {heif_remedy()}" if heif and not can_open(HEIF) else ""
    return f"{count} skipped, which cannot be opened: {shown}{more}{remedy}"


def format_of(head: bytes) -> str | None:
    """The format of a file by its first `HEAD_BYTES` bytes; None if it is no picture.

    >>> format_of(b"GIF89a..."), format_of(b"hello")
    ('GIF', None)
    """
    if head[4:8] == b"ftyp":
        size = min(int.from_bytes(head[:4], "big"), len(head))
        brands = {head[8:12], *(head[at : at + 4] for at in range(16, size, 4))}
        if brands & _AVIF_BRANDS:
            return "AVIF"
        return HEIF if brands & _HEIF_BRANDS else None
    if head[:4] == b"RIFF":
        return "WEBP" if head[8:12] == b"WEBP" else None
    found = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
    if found == "BMP":  # two letters are also how texts begin
        size = int.from_bytes(head[_BMP_HEADER : _BMP_HEADER + 4], "little")
        return found if size in _BMP_HEADERS else None
    return found


def can_open(name: str) -> bool:
    """Whether a format is opened here."""
    return name in FORMATS or (name == HEIF and heif_available())


def heif_available() -> bool:
    """Whether the extra `heic` is installed, and its library loads."""
    try:
        import_module("pillow_heif")
    except (ImportError, OSError):
        return False
    return True


def heif_remedy() -> str:
    """What to do about HEIC pictures that cannot be opened."""
    return "HEIC needs pip install 'cfclip[heic]', or save it as JPEG"


def known_formats() -> str:
    """For messages: "PNG, JPEG, ... or HEIC"."""
    return f"{', '.join(FORMATS)} or HEIC"


def check_regular(path: Path) -> None:
    """Raise `InputError` for all but regular files: reading a pipe or a device may never end."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise InputError(f"cannot read {str(path)!r}: {reason_of(error)}") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{path} is a folder; give a picture file")
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is not a regular file; give a picture file")


def _format_of_file(path: Path) -> str | None:
    """By content; None also for what cannot be read, or not without waiting."""
    try:
        if not path.is_file():
            return None
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as stream:
            return format_of(stream.read(HEAD_BYTES))
    except (OSError, ValueError):
        return None
