"""From a captioned folder to a text map, on the tiny pack; inversions are kept on the way."""

import json
from pathlib import Path

import pytest
import torch
from captioned import write_captioned_folder

from cfclip.editing import Session
from cfclip.editors import TextMapFitConfig
from cfclip.encoders import ProjectionConfig
from cfclip.errors import InputError
from cfclip.fitting import FittedTextMap, fit_captioned_folder, read_captioned_folder
from cfclip.optim import Progress

PROJECTION = ProjectionConfig(steps=1, warn_below_psnr=0.0)


@pytest.fixture(scope="module")
def session(tiny_pack: Path) -> Session:
    return Session.open(tiny_pack)


@pytest.fixture
def folder(tiny_pack: Path, tmp_path: Path) -> Path:
    write_captioned_folder(tmp_path / "data", tiny_pack)
    return tmp_path / "data"


def fit(
    session: Session,
    folder: Path,
    projection: ProjectionConfig = PROJECTION,
    progress: list[Progress] | None = None,
    config: TextMapFitConfig | None = None,
) -> FittedTextMap:
    seen = progress if progress is not None else []
    return fit_captioned_folder(
        session,
        read_captioned_folder(folder),
        folder / "kept",
        config,
        projection,
        seen.append,
    )


def test_the_map_fits_the_pack_and_the_pictures(session: Session, folder: Path) -> None:
    progress: list[Progress] = []
    fitted = fit(session, folder, progress=progress)
    assert (fitted.report.pictures, fitted.report.captions) == (24, 24)
    assert fitted.failures == ()
    assert fitted.text_map.config.models == session.pack.mapped_models
    fitted.text_map.check_fits(session.generator, session.embedder)
    assert [each.step for each in progress] == list(range(1, 25))
    assert {each.steps for each in progress} == {24}
    assert all(each.terms["psnr"] > 0 for each in progress)
    assert progress[0].seconds_left is not None
    assert progress[-1].seconds_left == 0.0


def test_a_rerun_goes_on_from_what_is_kept(session: Session, folder: Path) -> None:
    first = fit(session, folder)
    kept = sorted((folder / "kept").iterdir())
    assert len(kept) == 24
    written = json.loads(kept[0].read_text())
    assert (written["kind"], written["latents"]["shape"]) == ("inversion", [8, 16])
    kept[0].unlink()
    kept[1].write_text("{")  # damaged, and so made again
    kept[2].write_text(json.dumps({**written, "latents": {"float32": "", "shape": [0]}}))
    progress: list[Progress] = []
    before = session.embedder.image_calls
    again = fit(session, folder, progress=progress)
    assert torch.equal(again.text_map.weight, first.text_map.weight)
    alone = session.embedder.image_calls - before
    before = session.embedder.image_calls
    fit(session, folder)
    assert session.embedder.image_calls == before  # nothing is left to invert
    session.invert(folder / "images" / "0.png", PROJECTION)
    assert alone == 3 * (session.embedder.image_calls - before)


def test_other_settings_are_other_inversions(session: Session, folder: Path) -> None:
    fit(session, folder)
    fit(session, folder, ProjectionConfig(steps=0, warn_below_psnr=0.0))
    assert len(list((folder / "kept").iterdir())) == 48


def test_pictures_that_fail_are_left_out_and_named(session: Session, folder: Path) -> None:
    (folder / "images" / "3.png").write_bytes(b"no picture")
    progress: list[Progress] = []
    fitted = fit(session, folder, progress=progress)
    (failure,) = fitted.failures
    assert "3.png is not a picture" in failure
    assert fitted.report.pictures == 23
    assert progress[3].terms == {}


def test_warnings_count(session: Session, folder: Path) -> None:
    picture = (folder / "images" / "0.png").read_bytes()
    for name in ("x.png", "y.png"):
        (folder / "images" / name).write_bytes(picture)
    fitted = fit(session, folder, ProjectionConfig(steps=0, warn_below_psnr=100.0))
    uncaptioned, poor, nothing = fitted.warnings
    assert uncaptioned.startswith("2 pictures without a caption were left out, 'x.png' first")
    assert poor.startswith("24 pictures could not be reproduced well")
    assert "explains nothing" in nothing  # random pictures, random captions


def test_edits_give_the_projection_of_concatenation(
    session: Session, tiny_pack: Path, tmp_path: Path
) -> None:
    write_captioned_folder(tmp_path / "many", tiny_pack, count=44, edits=22)
    config = TextMapFitConfig(holdout=0.0)
    fitted = fit(session, tmp_path / "many", config=config)
    assert fitted.text_map.config.fuses
    assert fitted.report.edits == 22
    write_captioned_folder(tmp_path / "few", tiny_pack, count=24, edits=2)
    fitted = fit(session, tmp_path / "few", config=config)
    assert not fitted.text_map.config.fuses
    assert fitted.warnings[-1].startswith("2 captions with a source are too few")


def test_an_edit_without_its_source_is_a_caption(
    session: Session, tiny_pack: Path, tmp_path: Path
) -> None:
    write_captioned_folder(tmp_path / "data", tiny_pack, count=24, edits=2)
    (tmp_path / "data" / "images" / "0.png").write_bytes(b"")
    fitted = fit(session, tmp_path / "data")
    assert (fitted.report.pictures, fitted.report.edits) == (23, 1)


def test_too_few_pictures_are_left(session: Session, folder: Path) -> None:
    for i in range(6):
        (folder / "images" / f"{i}.png").write_bytes(b"")
    with pytest.raises(InputError, match="18 pictures with captions are too few"):
        fit(session, folder)
    for path in (folder / "images").iterdir():
        path.write_bytes(b"")
    message = r"^0 pictures .* \(24 could not be used, the first because .*0\.png is empty"
    with pytest.raises(InputError, match=message):
        fit(session, folder)


def test_captions_that_clip_cannot_read_are_refused_before_the_work(
    session: Session, folder: Path
) -> None:
    with (folder / "captions.jsonl").open("a") as file:
        file.write(json.dumps({"image": "0.png", "text": "green hair " * 20}) + "\n")
    before = session.embedder.image_calls
    with pytest.raises(InputError, match="tokens"):
        fit(session, folder)
    assert session.embedder.image_calls == before


def test_ctrl_c_keeps_what_is_inverted(session: Session, folder: Path) -> None:
    def press(progress: Progress) -> None:
        if progress.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_captioned_folder(
            session, read_captioned_folder(folder), folder / "kept", None, PROJECTION, press
        )
    assert len(list((folder / "kept").iterdir())) == 5
