"""Packs, mappers and edits behind the page, on tiny random models."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tiny_training import tiny_run

from cfclip import Session
from cfclip.apps.web.jobs import Job
from cfclip.apps.web.orders import OPTIMISATION, Order
from cfclip.apps.web.studio import EDITING, READING, Stage, Studio
from cfclip.editing import EditResult, edit_settings
from cfclip.errors import InputError, PackError
from cfclip.fitting import find_latents, train_mapper
from cfclip.provenance import image_sha256
from cfclip.training import TrainingConfig

PIXELS = 10**6


@pytest.fixture(scope="module")
def mapper(tiny_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "blue"
    few = TrainingConfig(steps=2, batch=2, samples=8, validation=2, validate_every=1)
    session = Session.open(tiny_pack)
    found = find_latents(session, few)
    train_mapper(session, ("blue hair", "red skin"), found.sets, folder, few)
    return folder


@pytest.fixture(scope="module")
def studio(tiny_pack: Path, mapper: Path, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    other = tmp_path_factory.mktemp("other") / "foreign"
    tiny_run(other, steps=2)
    return Studio(str(tiny_pack), {"blue": mapper, "foreign": other})


def job_of(stop_after: int | None = None) -> tuple[Job[Stage, EditResult], list[Stage]]:
    """A job, and what is reported to it; stopped once so much was."""
    job: Job[Stage, EditResult] = Job(lambda _: None, 60.0)
    told: list[Stage] = []
    report = job.report

    def listen(stage: Stage) -> None:
        told.append(stage)
        report(stage)
        if stop_after is not None and len(told) >= stop_after:
            job.stop()

    job.report = listen  # type: ignore[method-assign]
    return job, told


def order(studio: Studio, text: str = "green hair", method: str = OPTIMISATION) -> Order:
    config = edit_settings(studio.session("tiny").pack.manifest)
    return Order(text, tuple(text.split(";")), method, 3, "all", "", config)


def picture(size: tuple[int, int] = (40, 40)) -> bytes:
    buffer = BytesIO()
    Image.linear_gradient("L").resize(size).save(buffer, "PNG")
    return buffer.getvalue()


def test_an_edit_is_that_of_the_library(studio: Studio) -> None:
    job, told = job_of()
    result = studio.edit(studio.sample("tiny", 4), order(studio), job)
    assert result is not None
    direct = studio.session("tiny").edit("sample:4", "green hair", seed=3)
    assert image_sha256(result.image) == image_sha256(direct.image)
    assert {stage.phase for stage in told} == {EDITING}
    assert told[0].preview is None
    assert told[0].seconds_left is None
    assert told[-1].preview is not None
    assert told[-1].seconds_left == 0.0


def test_an_upload_is_inverted_once_and_named_as_it_was_called(
    studio: Studio,
) -> None:
    start = studio.upload("tiny", picture((80, 48)), "My Café <b>.png", PIXELS)
    job, told = job_of()
    result = studio.edit(start, order(studio), job)
    assert result is not None
    assert {stage.phase for stage in told} == {READING, EDITING}
    # While it is read, the page goes on showing it as the picture before, not as an edit so far.
    assert {stage.preview for stage in told if stage.phase == READING} == {None}
    assert result.name == "My-Caf-b_green-hair"
    assert any("central square" in line for line in result.warnings)
    assert result.record["source"]["kind"] == "pixels"
    job, told = job_of()
    assert studio.edit(start, order(studio), job) is not None
    assert {stage.phase for stage in told} == {EDITING}


def test_what_was_reached_is_kept_and_half_an_inversion_is_not(
    studio: Studio,
) -> None:
    job, told = job_of(stop_after=2)
    result = studio.edit(studio.sample("tiny", 1), order(studio), job)
    assert result is not None
    assert (result.stop_reason, len(told)) == ("stopped by the caller", 2)
    start = studio.upload("tiny", picture(), "a.png", PIXELS)
    job, told = job_of(stop_after=1)
    assert studio.edit(start, order(studio), job) is None
    assert start.source is None
    job, told = job_of()
    assert studio.edit(start, order(studio), job) is not None
    readings = sum(stage.phase == READING for stage in told)
    whole = studio.upload("tiny", picture(), "a.png", PIXELS)
    job, told = job_of(stop_after=readings)  # with its last step
    assert studio.edit(whole, order(studio), job) is None
    assert whole.source is not None


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"0" * 50])
def test_bad_uploads_are_told_by_their_name(studio: Studio, content: bytes) -> None:
    with pytest.raises(InputError, match=r"^holiday\.png "):
        studio.upload("tiny", content, "holiday.png", PIXELS)


def test_too_many_pixels_are_refused(studio: Studio) -> None:
    with pytest.raises(InputError, match="the limit is 1,000 in all"):
        studio.upload("tiny", picture(), "a.png", 1000)


def test_mappers_are_offered_to_their_pack_only(studio: Studio) -> None:
    assert list(studio.mappers("tiny")) == ["blue"]
    assert len(studio.notes) == 1
    assert "missing field models" in studio.notes[0]
    assert studio.examples("tiny", "blue") == ("blue hair", "red skin")
    assert studio.examples("tiny", OPTIMISATION) == ("blue hair", "red skin")
    job, told = job_of()
    result = studio.edit(studio.sample("tiny", 4), order(studio, "blue hair", "blue"), job)
    assert result is not None
    assert (result.steps, told) == (0, [])
    with pytest.raises(InputError, match="one text at a time"):
        studio.edit(studio.sample("tiny", 4), order(studio, "a;b", "blue"), job)
    with pytest.raises(InputError, match="no mapper 'x'"):
        studio.edit(studio.sample("tiny", 4), order(studio, "a", "x"), job)


def test_a_result_is_gone_on_from(studio: Studio) -> None:
    job, _ = job_of()
    first = studio.edit(studio.sample("tiny", 4), order(studio), job)
    assert first is not None
    start = studio.follow("tiny", first.at_strength(0.5))
    second = studio.edit(start, order(studio, "red skin"), job_of()[0])
    assert second is not None
    story: dict[str, Any] = second.record["source"]["edited_from"]
    assert story["edits"] == [{"prompts": ["green hair"], "strength": 0.5}]


def test_packs_by_name_only(studio: Studio, tmp_path: Path) -> None:
    assert studio.packs[0] == "tiny"
    assert "avatars" in studio.packs
    with pytest.raises(InputError, match="there is no pack"):
        studio.session(str(tmp_path))
    with pytest.raises(PackError):
        Studio(str(tmp_path), {})
    with pytest.raises(InputError, match="seed is -1"):
        studio.sample("tiny", -1)
