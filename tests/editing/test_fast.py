"""Sessions that compute faster: what their records tell, and that edits are made again by them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from cfclip import LatentOptimisationConfig, ProjectionConfig, Session, rerun
from cfclip.editing import fast_settings
from cfclip.tensors import has_bfloat16

PROMPT = "green hair"
PRECISION = {"precision": "bfloat16"} if has_bfloat16(torch.device("cpu")) else {}
EXACT = {"precision": "float32", "rendering": "whole"}


@pytest.fixture(scope="module")
def fast(tiny_pack: Path) -> Session:
    return Session.open(tiny_pack, fast=True)


def test_bfloat16_is_taken_where_the_processor_has_it() -> None:
    assert fast_settings(LatentOptimisationConfig, "cpu") == {"rendering": "seen", **PRECISION}
    assert fast_settings(ProjectionConfig, "cpu") == {"coarse": 0.75, **PRECISION}


@pytest.mark.parametrize("kept", [{}, {"rendering": "whole"}])
def test_an_edit_and_its_inversion_tell_how_they_were_computed(
    fast: Session, tmp_path: Path, kept: dict[str, Any]
) -> None:
    picture = tmp_path / "me.png"
    Image.new("RGB", (32, 32), (200, 150, 90)).save(picture)
    projection = ProjectionConfig(steps=8)
    result = fast.edit(picture, PROMPT, projection=projection, steps=2, **kept)
    record = result.save(tmp_path / "out").record
    content = json.loads(record.read_text())
    expected = {**EXACT, "rendering": "seen", **PRECISION, **kept}
    assert {name: content["settings"][name] for name in EXACT} == expected
    inverted = content["inversion"]["settings"]
    assert (inverted["steps"], inverted["coarse"]) == (8, 0.75)
    assert rerun(record, pack=fast.pack.folder).identical


def test_a_record_without_them_was_exact(tiny_pack: Path, tmp_path: Path) -> None:
    session = Session.open(tiny_pack)
    record = session.edit("sample:1", PROMPT, steps=2).save(tmp_path / "out").record
    content = json.loads(record.read_text())
    assert {name: content["settings"].pop(name) for name in EXACT} == EXACT
    record.write_text(json.dumps(content))
    assert rerun(record, pack=tiny_pack).identical


def test_what_is_given_goes_over_what_is_fast(fast: Session) -> None:
    method = fast.method(rendering="whole")
    assert method.settings["rendering"] == "whole"
    assert fast.method("styleclip-optimisation").settings["rendering"] == "seen"


def test_many_pictures_are_edited_a_megapixel_at_a_time(tiny_pack: Path) -> None:
    session = Session.open(tiny_pack)
    results = session.edit([f"sample:{seed}" for seed in range(18)], PROMPT, steps=1)
    assert [result.record["batch"] for result in results] == [16] * 16 + [2] * 2
    alone = session.edit("sample:17", PROMPT, steps=1)
    torch.testing.assert_close(results[17].offset, alone.offset, atol=1e-3, rtol=1e-3)


def test_who_stops_one_part_stops_all(tiny_pack: Path) -> None:
    session = Session.open(tiny_pack)
    pictures = [f"sample:{seed}" for seed in range(4)]
    results = session.edit(
        pictures, PROMPT, steps=5, batch=2, callback=lambda progress: progress.step < 2
    )
    assert [result.steps for result in results] == [2, 2, 0, 0]
    assert all(result.record["stopped_from_outside"] for result in results)
