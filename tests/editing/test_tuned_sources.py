from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cfclip.editing import Session, rerun, tuned_source
from cfclip.editing.sources import Source, generator_of
from cfclip.encoders import TuningConfig
from cfclip.errors import InputError
from cfclip.optim import DescentStep
from cfclip.photos import FaceConfig, Photo, open_photo
from cfclip.photos.alignment import face_quad

FACE = ((40, 40), (60, 40), (42, 60), (58, 60))
CONFIG = TuningConfig(steps=8, lr=5e-3)


@pytest.fixture(scope="module")
def session(tiny_pack: Path) -> Session:
    return Session.open(tiny_pack)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Photo:
    points = tmp_path_factory.mktemp("photo") / "points.txt"
    points.write_text("\n".join(f"{x} {y}" for x, y in FACE))
    return open_photo(Image.linear_gradient("L").convert("RGB"), FaceConfig(landmarks=points))


@pytest.fixture(scope="module")
def source(session: Session, photo: Photo) -> Source:
    return session.invert(photo)


@pytest.fixture(scope="module")
def tuned(session: Session, source: Source) -> Source:
    return tuned_source(session.pack, source, CONFIG)


def test_the_photo_stays_with_its_source(source: Source, photo: Photo) -> None:
    assert source.photo is photo
    assert photo.quad == face_quad(*FACE)
    assert source.image.tobytes() == photo.crop(source.image.width).tobytes()


def test_a_tuned_source_is_more_like_its_picture(source: Source, tuned: Source) -> None:
    assert source.psnr is not None
    assert tuned.psnr is not None
    assert tuned.inversion is not None
    assert tuned.psnr > source.psnr + 1.0
    assert tuned.inversion["psnr"] == source.psnr
    assert tuned.inversion["tuning"]["psnr"] == tuned.psnr
    assert tuned.image is source.image
    assert tuned.latents is source.latents
    # Both are poor; the warning is that of the better one alone.
    assert [f"PSNR {tuned.psnr:.1f} dB" in warning for warning in tuned.warnings] == [True]


def test_ctrl_c_ends_the_tuning_without_a_result(session: Session, source: Source) -> None:
    def interrupt(step: DescentStep) -> None:
        if step.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuned_source(session.pack, source, CONFIG, callback=interrupt)


def test_an_edit_of_it_starts_from_the_tuned_picture(session: Session, tuned: Source) -> None:
    result = session.edit(tuned, "green hair", steps=2)
    assert result.at_strength(0.0).image.tobytes() == tuned.reconstruction.tobytes()
    made, whole = np.asarray(result.pasted()), result.photo
    assert whole is not None
    assert made.shape == np.asarray(whole.image).shape


def test_an_edit_of_a_photo_in_memory_is_made_again_from_its_file(
    session: Session, photo: Photo, tuned: Source, tmp_path: Path
) -> None:
    photo.image.save(tmp_path / "photo.png")
    files = session.edit(tuned, "green hair", steps=1).save(tmp_path / "out", "a")
    again = rerun(files.record, image=tmp_path / "photo.png", pack=session.pack.folder)
    assert again.identical
    photo.image.rotate(90).save(tmp_path / "other.png")
    with pytest.raises(InputError, match="is not the image of the record"):
        rerun(files.record, image=tmp_path / "other.png", pack=session.pack.folder)


def test_several_pictures_share_a_generator_only_if_none_is_tuned(
    session: Session, source: Source, tuned: Source
) -> None:
    assert generator_of([source, source], session.generator) is session.generator
    assert generator_of([tuned], session.generator) is tuned.generator
    with pytest.raises(InputError, match="2 pictures at once"):
        session.edit([source, tuned], "green hair", steps=1)


def test_a_mask_is_for_one_photo(session: Session, source: Source) -> None:
    with pytest.raises(InputError, match="one mask for 2 pictures"):
        session.edit([source, source], "green hair", mask=Image.new("RGB", (256, 256), "white"))


def test_a_picture_that_was_not_cut_is_not_put_back(session: Session, tmp_path: Path) -> None:
    result = session.edit("sample:1", "green hair", steps=1)
    with pytest.raises(InputError, match="was not cut from a photo"):
        result.pasted()


def test_the_generators_own_picture_needs_no_tuning(session: Session) -> None:
    with pytest.raises(InputError, match="the generator's own picture"):
        tuned_source(session.pack, session.sample(1, 1)[0], CONFIG)
