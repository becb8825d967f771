"""Landmarks of faces: what alignment needs of them, and files of them.

Points are `(x, y)` in pixels of the photo as it is seen upright, `(0, 0)` the centre of the first
one; left and right are those of the picture, which are the reverse of the person's.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cfclip.errors import InputError, reason_of
from cfclip.io import FormatError, finite_number, named, parse_json, read_text
from cfclip.photos.alignment import FARTHEST, Points, Quad, face_quad

_LEFT_EYE, _RIGHT_EYE = slice(36, 42), slice(42, 48)
_MOUTH_LEFT, _MOUTH_RIGHT = 48, 54
"""Of the 68 points of iBUG 300-W (Sagonas et al. 2013), which FFHQ's pictures were aligned by."""

KNOWN_LAYOUTS = {
    68: "the points of iBUG 300-W, as dlib gives them",
    5: "left eye, right eye, nose, left and right corner of the mouth",
    4: "left eye, right eye, left and right corner of the mouth",
}
"""Number of points of a face to what they are."""

_SUFFIXES = (".txt", ".json")
_COMMENT = "#"
_LONGEST = 1_000_000
_ONE_FACE, _SEVERAL_FACES = 2, 3  # dimensions


def quad_of(landmarks: Points) -> Quad:
    """The square that a face is cut by, from its landmarks `(68, 2)`, `(5, 2)` or `(4, 2)`.

    Raises `InputError` for another number of points, or points that no face has.
    """
    points = np.asarray(landmarks, np.float64)
    if points.ndim != _ONE_FACE or points.shape[1] != 2 or len(points) not in KNOWN_LAYOUTS:
        shape = "x".join(map(str, points.shape))
        raise InputError(f"the landmarks are {shape} numbers, {_expected()}")
    if not (np.abs(points) <= FARTHEST).all():
        raise InputError(
            f"the landmarks hold numbers that are not finite, or beyond {FARTHEST:,.0f}; give "
            "pixels of the photo"
        )
    if len(points) in (4, 5):
        return face_quad(points[0], points[1], points[-2], points[-1])
    return face_quad(
        points[_LEFT_EYE].mean(0),
        points[_RIGHT_EYE].mean(0),
        points[_MOUTH_LEFT],
        points[_MOUTH_RIGHT],
    )


def read_quads(path: str | Path) -> tuple[Quad, ...]:
    """The squares of the faces in a file of landmarks, the largest first.

    The file is JSON, `[[x, y], ...]` or a list of these, or text with two numbers a line, where an
    empty line parts faces and `#` begins a comment. Raises `InputError` for any other content.
    """
    faces = _read(Path(path))
    try:
        return by_size(quad_of(face) for face in faces)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def landmarks_file(path: Path, picture: str | Path) -> Path:
    """The file of a picture's landmarks: `path`, or that of its name in the folder `path`.

    Raises `InputError` for a folder without one.
    """
    if not path.is_dir():
        return path
    name = Path(picture).stem
    for suffix in _SUFFIXES:
        if (file := path / f"{name}{suffix}").is_file():
            return file
    names = " or ".join(f"{name}{suffix}" for suffix in _SUFFIXES)
    raise InputError(f"there are no landmarks of {picture} in {path}, expected {names}")


def by_size(quads: Iterable[Quad]) -> tuple[Quad, ...]:
    """Squares of faces, the largest first: the order that faces are numbered in."""
    return tuple(sorted(quads, key=lambda quad: -quad.size))


def _read(path: Path) -> list[Points]:
    with named(path, _expected()):
        text = read_text(path, _LONGEST)
        try:
            faces = _from_json(text) if text.lstrip()[:1] in ("[", "{") else _from_lines(text)
        except (ValueError, TypeError) as error:
            raise FormatError(f"it has no landmarks ({reason_of(error)})") from error
        if not faces:
            raise FormatError("it has no landmarks")
    return faces


def _from_json(text: str) -> list[Points]:
    points = np.asarray(parse_json(text), np.float64)
    return list(points) if points.ndim == _SEVERAL_FACES else [points]


def _from_lines(text: str) -> list[Points]:
    faces: list[list[list[float]]] = [[]]
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition(_COMMENT)[0].replace(",", " ").split()
        if len(words) == 2:
            faces[-1].append([finite_number(f"a number of line {number}", word) for word in words])
        elif words:
            raise FormatError(f"line {number} has {len(words)} numbers, not 2")
        elif faces[-1] and not line.strip():
            faces.append([])
    return [np.asarray(face) for face in faces if face]


def _expected() -> str:
    counts = [str(count) for count in KNOWN_LAYOUTS]
    return (
        f"expected x and y of {', '.join(counts[:-1])} or {counts[-1]} points of a face (see "
        "docs/PHOTOS.md)"
    )
