import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from portrait import PORTRAIT_POINTS, PORTRAIT_SIZE, portrait

from cfclip.errors import InputError
from cfclip.images import write_png
from cfclip.images.image_files import MAX_PIXELS
from cfclip.photos import FaceConfig, Photo, Quad, open_photo, paste_back, photo_at
from cfclip.photos.landmarks import quad_of

ORIENTATION = 0x0112
TURNED = 6  # stored on its side, to be shown turned clockwise
SIZE = 64


def given(folder: Path, *faces: object) -> FaceConfig:
    (folder / "landmarks.json").write_text(json.dumps(faces or [PORTRAIT_POINTS]))
    return FaceConfig(landmarks=folder / "landmarks.json")


def smaller(points: object) -> object:
    return (np.asarray(points) * 0.5).tolist()


def refusal(picture: Path, config: FaceConfig) -> str:
    with pytest.raises(InputError) as caught:
        open_photo(picture, config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_landmarks_given_by_hand(tmp_path: Path) -> None:
    photo = open_photo(portrait(), given(tmp_path))
    assert photo.image.size == PORTRAIT_SIZE
    assert photo.quad == quad_of(np.array(PORTRAIT_POINTS))
    assert photo.name == "grace_hopper"
    assert photo.warnings == ()
    assert photo.crop(SIZE).size == (SIZE, SIZE)
    again = photo_at(portrait(), photo.quad)
    assert again.origin == photo.origin
    assert again.crop(SIZE).tobytes() == photo.crop(SIZE).tobytes()


def test_a_photo_stored_on_its_side_is_seen_upright(tmp_path: Path) -> None:
    upright = Image.open(portrait())
    exif = Image.Exif()
    exif[ORIENTATION] = TURNED
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    turned.save(tmp_path / "turned.png", exif=exif)
    config = given(tmp_path)
    made = open_photo(tmp_path / "turned.png", config).crop(SIZE)
    assert made.tobytes() == open_photo(portrait(), config).crop(SIZE).tobytes()


def test_a_photo_put_back_stands_upright_and_says_that_it_is_srgb(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = TURNED
    stored = Image.open(portrait()).transpose(Image.Transpose.ROTATE_90)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    stored.save(tmp_path / "photo.jpg", exif=exif, icc_profile=profile)
    photo = open_photo(tmp_path / "photo.jpg", given(tmp_path))
    crop = photo.crop(SIZE)
    write_png(paste_back(photo.image, photo.quad, crop, crop), tmp_path / "made.png")
    made = Image.open(tmp_path / "made.png")
    assert made.size == PORTRAIT_SIZE
    assert made.info == {"srgb": 0}
    assert ORIENTATION not in made.getexif()


def test_a_photo_far_wider_than_high(tmp_path: Path) -> None:
    wide = Image.new("RGB", (3000, 600), "grey")
    wide.paste(Image.open(portrait()), (2000, 0))
    wide.save(tmp_path / "wide.png")
    points = (np.asarray(PORTRAIT_POINTS) + np.array([2000, 0])).tolist()
    made = open_photo(tmp_path / "wide.png", given(tmp_path, points)).crop(SIZE)
    alone = open_photo(portrait(), given(tmp_path)).crop(SIZE)
    assert np.abs(np.asarray(made, float) - np.asarray(alone, float)).mean() < 3.0


def test_a_photo_of_more_pixels_than_are_decoded_is_reduced(tmp_path: Path) -> None:
    width, height = (side * 16 for side in PORTRAIT_SIZE)
    assert width * height > MAX_PIXELS
    large = Image.open(portrait()).resize((width, height), Image.Resampling.NEAREST)
    large.save(tmp_path / "a.jpg", quality=95)
    points = (np.asarray(PORTRAIT_POINTS) * 16 + 7.5).tolist()
    photo = open_photo(tmp_path / "a.jpg", given(tmp_path, points))
    assert photo.image.size == (width // 2, height // 2)
    assert f"is {width}x{height} pixels; all of it is used at" in photo.warnings[0]
    alone = open_photo(portrait(), given(tmp_path))
    assert np.abs(np.asarray(photo.crop(SIZE), float) - np.asarray(alone.crop(SIZE))).mean() < 3.0
    # Records tell the place in the whole photo, whatever it is reduced to.
    corners = np.asarray(photo.origin["quad"])
    np.testing.assert_allclose(corners, np.asarray(alone.quad.corners) * 16 + 7.5, atol=1e-6)
    again = photo_at(tmp_path / "a.jpg", Quad(tuple(map(tuple, corners.tolist()))))
    assert again.crop(SIZE).tobytes() == photo.crop(SIZE).tobytes()
    mask = Image.new("RGB", photo.image.size, "white")
    assert photo.crop_mask(mask, SIZE).size == (SIZE, SIZE)


def test_a_photo_with_too_many_pixels(tmp_path: Path) -> None:
    Image.new("1", (10_000, MAX_PIXELS // 10_000 + 1)).save(tmp_path / "huge.png")
    assert "scale it down first" in refusal(tmp_path / "huge.png", given(tmp_path))


def test_of_several_faces_the_largest_is_taken_and_others_can_be(tmp_path: Path) -> None:
    config = given(tmp_path, smaller(PORTRAIT_POINTS), PORTRAIT_POINTS)
    photo = open_photo(portrait(), config)
    assert photo.quad == quad_of(np.array(PORTRAIT_POINTS))
    (warning,) = photo.warnings
    assert "2 faces; the largest is used, choose another by its number (--face 2 to 2)" in warning
    second = open_photo(portrait(), FaceConfig(landmarks=config.landmarks, face=2))
    assert second.quad == quad_of(np.asarray(smaller(PORTRAIT_POINTS)))
    assert second.warnings == ()
    third = FaceConfig(landmarks=config.landmarks, face=3)
    assert "face is 3, but" in refusal(portrait(), third)


def test_a_tiny_face_is_told_and_a_tinier_one_refused(tmp_path: Path) -> None:
    points = np.asarray(PORTRAIT_POINTS)
    config = given(tmp_path, ((points - 250) * 0.08 + 250).tolist())
    photo = open_photo(portrait(), config)
    (warning,) = photo.crop_warnings(SIZE)
    assert "the crop of the face is 26 pixels wide; it is enlarged to 64x64" in warning
    assert photo.crop_warnings(32) == ()
    config = given(tmp_path, ((points - 250) * 0.04 + 250).tolist())
    assert "use a larger photo" in refusal(portrait(), config)


def test_landmarks_of_another_photo(tmp_path: Path) -> None:
    config = given(tmp_path, (np.asarray(PORTRAIT_POINTS) * 3).tolist())
    assert "outside the photo of 512x600 pixels" in refusal(portrait(), config)


def test_a_photo_in_memory(tmp_path: Path) -> None:
    photo = open_photo(Image.open(portrait()), given(tmp_path))
    assert photo.origin["kind"] == "pixels"
    assert photo.name.startswith("image-")


def test_a_mask_is_painted_over_the_whole_photo(tmp_path: Path) -> None:
    photo: Photo = open_photo(portrait(), given(tmp_path))
    mask = Image.new("RGB", PORTRAIT_SIZE)
    mask.paste((255, 255, 255), (0, 0, PORTRAIT_SIZE[0], 200))
    cut = np.asarray(photo.crop_mask(mask, SIZE))
    assert cut[0].min() == 255
    assert cut[-1].max() == 0
    with pytest.raises(InputError, match="the mask is 9x9 pixels, the photo 512x600"):
        photo.crop_mask(Image.new("RGB", (9, 9)), SIZE)


def test_no_face(tmp_path: Path) -> None:
    pytest.importorskip("dlib", reason="the extra photos is not installed")
    Image.new("RGB", (200, 200), "grey").save(tmp_path / "a.png")
    assert "no face was found in" in refusal(tmp_path / "a.png", FaceConfig(align=True))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"align": True, "face": 0}, "face is 0"),
        ({"face": 2}, "no face is cut from a photo"),
    ],
)
def test_settings_that_do_not_fit(values: dict[str, object], why: str) -> None:
    with pytest.raises(InputError, match=why):
        FaceConfig(**values)  # type: ignore[arg-type]
