import json
import math
from pathlib import Path

import numpy as np
import pytest
from golden_cases import golden
from PIL import Image
from portrait import PORTRAIT_POINTS, portrait

from cfclip.errors import InputError
from cfclip.photos import FaceConfig, open_photo
from cfclip.photos.alignment import SMALLEST_FACE, Quad, align, face_quad
from cfclip.photos.landmarks import quad_of

GREY_LEVEL = 1.0  # what versions of Pillow may differ by, in the mean


def square(left: float, top: float, side: float) -> Quad:
    right, bottom = left + side, top + side
    return Quad(((left, top), (left, bottom), (right, bottom), (right, top)))


def golden_image(height: int) -> Image.Image:
    """The synthetic picture that the golden case describes."""
    y, x = np.mgrid[:height, :height].astype(float)
    channels = [
        np.rint(127 + 100 * np.sin(x / 37) * np.cos(y / 53)),
        np.rint(127 + 100 * np.cos(x / 29 + y / 61)),
        np.rint(255 * x / height),
    ]
    return Image.fromarray(np.stack(channels, -1).clip(0, 255).astype(np.uint8))


def noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_the_square_is_that_of_ffhq() -> None:
    _, arrays, _ = golden("ffhq_alignment")
    quad = quad_of(arrays["landmarks"])
    np.testing.assert_allclose(quad.corners, arrays["quad"], rtol=1e-12)
    assert quad.size == pytest.approx(float(arrays["qsize"]))


@pytest.mark.parametrize("case", ["inside", "at_border"])
def test_the_pixels_are_those_of_ffhq(case: str) -> None:
    _, arrays, _ = golden("ffhq_alignment_pixels")
    image = golden_image(int(arrays[f"size_{case}"]))
    expected = arrays[f"aligned_{case}"].astype(float)
    made = np.asarray(align(image, quad_of(arrays[f"landmarks_{case}"]), 256), float)
    assert np.abs(made - expected).mean() < GREY_LEVEL


@pytest.mark.parametrize("case", ["inside", "at_border"])
def test_the_pixels_of_a_photo_and_its_landmarks_in_files(case: str, tmp_path: Path) -> None:
    _, arrays, _ = golden("ffhq_alignment_pixels")
    golden_image(int(arrays[f"size_{case}"])).save(tmp_path / "photo.png")
    points = tmp_path / "points.json"
    points.write_text(json.dumps(arrays[f"landmarks_{case}"].tolist()))
    photo = open_photo(tmp_path / "photo.png", FaceConfig(landmarks=points))
    made = np.asarray(photo.crop(256), float)
    assert np.abs(made - arrays[f"aligned_{case}"].astype(float)).mean() < GREY_LEVEL


def test_an_upright_square_of_the_right_size_is_cut_bit_for_bit() -> None:
    photo = noise(100, 80)
    made = align(photo, square(29.5, 19.5, 32), 32)
    np.testing.assert_array_equal(np.asarray(made), np.asarray(photo)[20:52, 30:62])


def test_a_turned_face_stands_upright() -> None:
    photo = noise(60, 60)
    turned = photo.transpose(Image.Transpose.ROTATE_90)  # counterclockwise
    upright = square(13.5, 9.5, 32)
    # A pixel at (x, y) of a photo 60 wide has come to (y, 59 - x).
    moved = Quad(tuple((y, 59.0 - x) for x, y in upright.corners))
    np.testing.assert_array_equal(
        np.asarray(align(turned, moved, 32)), np.asarray(align(photo, upright, 32))
    )


def test_a_large_photo_is_reduced_without_aliasing() -> None:
    y, x = np.mgrid[:900, :900]
    stripes = np.where((x + y) % 2, 255, 0).astype(np.uint8)
    photo = Image.fromarray(np.stack([stripes] * 3, -1))
    made = np.asarray(align(photo, square(100.3, 100.1, 700), 32), float)
    assert np.abs(made - 127.5).max() < 16


def test_the_scale_is_kept_where_a_photo_is_reduced() -> None:
    _, x = np.mgrid[:1000, :1000]
    ramp = np.rint(x * 0.25).astype(np.uint8)
    photo = Image.fromarray(np.stack([ramp] * 3, -1))
    made = np.asarray(align(photo, square(99.5, 99.5, 800), 64), float)[..., 0]
    centres = 100 + 800 * (np.arange(64) + 0.5) / 64 - 0.5
    assert np.abs(made[20] - 0.25 * centres).max() < 2.0


def test_beyond_its_edge_a_photo_goes_on_and_fades_to_its_median() -> None:
    photo = Image.new("RGB", (200, 200), (200, 40, 90))
    made = np.asarray(align(photo, square(-60, -60, 200), 64))
    np.testing.assert_allclose(made.reshape(-1, 3), [[200, 40, 90]] * 64**2, atol=1)
    stripes = noise(200, 200)
    made = np.asarray(align(stripes, square(-90, -20, 200), 64), float)
    assert made[:, :8].std() < 0.2 * made[:, -32:].std()


def test_a_face_in_a_corner_of_a_small_photo() -> None:
    made = align(noise(20, 20), square(-90, -95, 200), 32)
    assert made.size == (32, 32)


def test_the_portrait_is_cut_with_its_face_in_the_middle() -> None:
    photo = Image.open(portrait()).convert("RGB")
    quad = quad_of(np.array(PORTRAIT_POINTS))
    made = align(photo, quad, 256)
    assert made.size == (256, 256)
    # Where FFHQ has the eyes: at 0.375 and 0.625 of the width, a little above the middle.
    matrix = quad.to_photo(256)
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    eyes = [inverse @ (x + 0.5, y + 0.5, 1) for x, y in PORTRAIT_POINTS[:2]]
    assert [eye[0] / 256 for eye in eyes] == pytest.approx([0.375, 0.625], abs=0.02)
    assert [eye[1] / 256 for eye in eyes] == pytest.approx([0.475, 0.475], abs=0.02)


def test_places_in_the_crop_are_found_in_the_photo() -> None:
    matrix = square(9.5, 19.5, 64).to_photo(32)
    np.testing.assert_allclose(matrix @ (0, 0, 1), (10, 20))
    np.testing.assert_allclose(matrix @ (32, 16, 1), (74, 52))


def test_the_sides_of_a_face_turn_with_it() -> None:
    points = np.array([(40, 40), (60, 40), (42, 60), (58, 60)], float)
    angle = math.radians(25)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    quad, turned = face_quad(*points), face_quad(*(points @ turn.T))
    np.testing.assert_allclose(turned.corners, np.array(quad.corners) @ turn.T, atol=1e-9)


@pytest.mark.parametrize(
    "points",
    [
        [(60, 40), (40, 40), (58, 60), (42, 60)],  # left and right exchanged
        [(50, 40), (50, 40), (42, 60), (58, 60)],  # one eye on the other
        [(40, 40), (60, 40), (50, 40), (50, 40)],  # the mouth between the eyes
    ],
)
def test_points_that_no_face_has(points: list[tuple[float, float]]) -> None:
    with pytest.raises(InputError, match="those of no face"):
        face_quad(*points)


def test_a_face_outside_the_photo() -> None:
    with pytest.raises(InputError, match=r"outside the photo of 100x80 pixels") as caught:
        align(noise(100, 80), square(90, 10, 40), 32)
    assert "\n" not in str(caught.value)


def test_a_face_that_is_too_small() -> None:
    with pytest.raises(InputError, match=f"at least {SMALLEST_FACE} are needed"):
        align(noise(100, 80), square(40, 40, 15.9), 32)


@pytest.mark.parametrize(
    "corners",
    [
        ((0, 0), (0, 9), (9, 9)),
        ((0, 0), (0, 9), (9, 9), (9, 1)),
        ((0, 0), (0, 9), (9, 9), (math.nan, 0)),
        ((0, 0), (9, 0), (9, 9), (0, 9)),  # mirrored
        ((3, 3), (3, 3), (3, 3), (3, 3)),
    ],
)
def test_a_crop_is_a_square(corners: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(InputError):
        Quad(corners)
