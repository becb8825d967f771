"""Finding faces and their 68 landmarks with dlib, by which FFHQ's own pictures were aligned.

dlib's detector is part of its library; its landmark predictor (Kazemi and Sullivan, CVPR 2014) is a
file of a package. Both are the extra `photos`; nothing is downloaded when it is used.
"""

import importlib.util
import itertools
import math
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cfclip.errors import InputError
from cfclip.io import sha256_of
from cfclip.photos.alignment import Quad
from cfclip.photos.landmarks import by_size, quad_of

_MODELS_PACKAGE = "face_recognition_models"
_PREDICTOR = Path("models", "shape_predictor_68_face_landmarks.dat")
_PREDICTOR_SHA256 = "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f"
"""Of the file as dlib publishes it. Another is not given to dlib, which trusts what it reads."""

_DETECTION_SIDE = 1600
"""Long side in pixels that photos are reduced to for finding faces: the time grows with the area,
and a face of that many pixels less is too small to be edited."""
_DOUBLINGS = 1
"""Of the reduced photo, as for FFHQ: the detector sees faces from 80 pixels, so from 40."""
_SHIFTS = (-0.05, 0.0, 0.05)
_SCALES = (0.9, 1.0, 1.1)
"""The predictor depends on the box that a face is found in, which depends on the size of the photo.
It is asked for boxes moved by these shares of their side both ways and scaled by these factors, and
the median is taken. Over six sizes of one portrait, the angle of the square then varied by 0.6
degrees, by 2.6 without."""

_HOW_TO_INSTALL = (
    "finding faces needs dlib and its landmarks; pip install 'cfclip[photos]', or give the "
    "landmarks (--landmarks FILE)"
)


def find_quads(photo: Image.Image) -> tuple[Quad, ...]:
    """The squares of all faces in an upright RGB photo, the largest first; none if there are none.

    Raises `InputError` if the extra `photos` is not installed or damaged.
    """
    detector, predictor = _models()
    reduction = max(1.0, max(photo.size) / _DETECTION_SIDE)
    seen = photo
    if reduction > 1.0:
        size = [max(1, round(side / reduction)) for side in photo.size]
        seen = photo.resize((size[0], size[1]), Image.Resampling.BOX)
    quads = []
    for box in detector(np.asarray(seen), _DOUBLINGS):
        middle = (
            (box.left() + box.right()) / 2 * reduction,
            (box.top() + box.bottom()) / 2 * reduction,
        )
        with suppress(InputError):  # now and then something is taken for a face that is none
            quads.append(_quad(photo, middle, box.width() * reduction, predictor))
    return by_size(quads)


def _quad(photo: Image.Image, middle: tuple[float, float], side: float, predictor: Any) -> Quad:
    """The square of the face in a box of the photo.

    The predictor gives whole pixels, so that it is shown the photo as large as it is; but only what
    is around the box.
    """
    import dlib

    left, top = (max(0, math.floor(each - side)) for each in middle)
    right, bottom = (math.ceil(each + side) for each in middle)
    pixels = np.asarray(photo.crop((left, top, min(right, photo.width), min(bottom, photo.height))))
    guesses = []
    for x, y, scale in itertools.product(_SHIFTS, _SHIFTS, _SCALES):
        centre = (middle[0] - left + x * side, middle[1] - top + y * side)
        reach = scale * side / 2
        edges = (centre[0] - reach, centre[1] - reach, centre[0] + reach, centre[1] + reach)
        parts = predictor(pixels, dlib.rectangle(*map(round, edges))).parts()
        guesses.append([(part.x + left, part.y + top) for part in parts])
    return quad_of(np.median(np.array(guesses, np.float64), axis=0))


@cache
def _models() -> tuple[Any, Any]:
    """dlib's detector and landmark predictor."""
    found = importlib.util.find_spec(_MODELS_PACKAGE)
    if found is None or importlib.util.find_spec("dlib") is None:
        raise InputError(_HOW_TO_INSTALL)
    import dlib

    folders = list(found.submodule_search_locations or ())
    file = Path(*folders[:1]) / _PREDICTOR
    if not file.is_file() or sha256_of(file) != _PREDICTOR_SHA256:
        raise InputError(f"{file} is missing or damaged; {_HOW_TO_INSTALL}")
    return dlib.get_frontal_face_detector(), dlib.shape_predictor(str(file))
