import importlib.util

import numpy as np
import pytest
from PIL import Image
from portrait import PORTRAIT_POINTS, portrait

from cfclip.photos import Quad
from cfclip.photos.detector import find_quads
from cfclip.photos.landmarks import quad_of

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("dlib") is None, reason="the extra photos is not installed"
)


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return Image.open(portrait()).convert("RGB")


def distance(found: Quad, expected: Quad) -> float:
    """The largest distance of two corners, as a share of the square's side."""
    apart = np.linalg.norm(np.array(found.corners) - expected.corners, axis=1)
    return float(apart.max() / expected.size)


def scaled(quad: Quad, factor: float, x: float = 0.0, y: float = 0.0) -> Quad:
    points = np.array(quad.corners) * factor + (x, y)
    return Quad(tuple((float(px), float(py)) for px, py in points))


def test_the_face_of_the_portrait_is_where_a_person_sees_it(photo: Image.Image) -> None:
    (found,) = find_quads(photo)
    assert distance(found, quad_of(np.array(PORTRAIT_POINTS))) < 0.03


def test_a_large_photo_has_the_same_face(photo: Image.Image) -> None:
    large = photo.resize((photo.width * 5, photo.height * 5), Image.Resampling.BICUBIC)
    (found,) = find_quads(large)
    assert distance(found, scaled(find_quads(photo)[0], 5)) < 0.06


def test_several_faces_come_by_size(photo: Image.Image) -> None:
    group = Image.new("RGB", (900, 600), "grey")
    group.paste(photo.resize((256, 300)), (600, 100))
    group.paste(photo, (0, 0))
    large, small = find_quads(group)
    alone = find_quads(photo)[0]
    assert distance(large, alone) < 0.06
    assert distance(small, scaled(alone, 0.5, 600, 100)) < 0.06


def test_a_tiny_face_is_found_in_the_enlarged_photo(photo: Image.Image) -> None:
    small = photo.resize((128, 150), Image.Resampling.LANCZOS)
    (found,) = find_quads(small)
    assert distance(found, scaled(find_quads(photo)[0], 0.25)) < 0.1


def test_no_face(photo: Image.Image) -> None:
    assert find_quads(Image.new("RGB", (300, 200), "grey")) == ()
