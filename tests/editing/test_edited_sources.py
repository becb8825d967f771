"""Edits of edits: exact where latents were moved, and their whole story is told."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from cfclip import EditResult, ProjectionConfig, Session, rerun
from cfclip.editing import source_of
from cfclip.provenance import COMPOSED, GENERATED, inspect_picture, provenance_of

QUICK = ProjectionConfig(steps=2)


@pytest.fixture(scope="module")
def session(tiny_pack: Path) -> Session:
    return Session.open(tiny_pack)


def apart(one: Image.Image, other: Image.Image) -> int:
    return max(high for _, high in ImageChops.difference(one, other).getextrema())


def edit(session: Session, image: Any = "sample:5", **settings: Any) -> EditResult:
    return session.edit(image, "green hair", projection=QUICK, **settings)


@pytest.mark.parametrize("settings", [{}, {"space": "w"}, {"space": "w", "layers": "1-2"}])
def test_moved_latents_are_taken_over(session: Session, settings: dict[str, Any]) -> None:
    result = edit(session, lr=0.5, **settings).at_strength(1.5)
    source = source_of(session, result)
    assert source.origin["kind"] == "latents"
    assert apart(source.image, result.image) <= 1
    assert source.name == result.name


def test_what_latents_do_not_hold_is_inverted(session: Session) -> None:
    mask = Image.new("L", (32, 32))
    mask.paste(255, (0, 0, 16, 32))
    for result in (
        edit(session, space="style_space", lr=0.5),
        edit(session, mask=mask, lr=0.5),
    ):
        source = source_of(session, result, QUICK)
        assert source.origin["kind"] == "pixels"
        assert apart(source.image, result.image) == 0
        assert source.origin["edited_from"]["source"]["kind"] == "sample"


def test_the_story_is_told_to_the_end_and_stays_flat(session: Session, tmp_path: Path) -> None:
    first = edit(session)
    second = session.edit(source_of(session, first.at_strength(0.5)), "red skin", seed=3)
    third = session.edit(source_of(session, second), "a smile")
    story = third.record["source"]["edited_from"]
    assert story["source"] == {"kind": "sample", "seed": 5, "truncation_psi": 0.7}
    assert story["edits"] == [
        {"prompts": ["green hair"], "strength": 0.5},
        {"prompts": ["red skin"], "strength": 1.0},
    ]
    files = third.save(tmp_path, "third")
    told = inspect_picture(files.images[0]).provenance
    assert told is not None
    assert told.source_type == GENERATED
    assert told.prompts == ("green hair", "red skin", "a smile")
    assert told.sample_seed == 5
    again = rerun(files.record, pack=session.pack.folder)
    assert again.identical
    assert provenance_of(again.result.record) == told
    assert json.loads(files.record.read_text())["source"]["kind"] == "latents"


def test_an_edit_of_a_picture_stays_one(session: Session) -> None:
    picture = Image.linear_gradient("L").convert("RGB")
    result = edit(session, picture)
    following = session.edit(source_of(session, result), "a smile")
    assert provenance_of(following.record).source_type == COMPOSED
    given = replace(
        session.sample(1, 2)[0], origin={"kind": "latents", "float32": "AA", "shape": []}
    )
    story = source_of(session, session.edit(given, "a smile")).origin["edited_from"]
    assert story["source"] == {"kind": "latents", "shape": []}
