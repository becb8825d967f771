"""Edits that start from the text, through the session, and made again from their record."""

import json
from pathlib import Path

import pytest
import torch
from tiny_models import tiny_text_map

from cfclip import InputError, PackError, Session, rerun
from cfclip.editors import save_text_map
from cfclip.packs import MANIFEST_FILE, TEXT_MAP_FILE, assemble_pack, read_manifest

PROMPT = "green hair"


@pytest.fixture(scope="module")
def session(tiny_pack: Path) -> Session:
    return Session.open(tiny_pack)


@pytest.fixture
def other_map(session: Session, tmp_path: Path) -> Path:
    """A map of a file, for the tiny pack."""
    path = tmp_path / "other.safetensors"
    save_text_map(tiny_text_map(models=session.pack.mapped_models, seed=9), path)
    return path


def test_the_map_of_the_pack_and_of_a_file(session: Session, other_map: Path) -> None:
    source, pack, file = (
        session.edit("sample:1", PROMPT, **settings)  # type: ignore[arg-type]
        for settings in (
            {},
            {"start": "text-map"},
            {"start": "text-map", "text_map": other_map},
        )
    )
    assert not torch.allclose(pack.offset, source.offset, atol=0.1)
    assert not torch.allclose(pack.offset, file.offset, atol=0.1)
    assert source.record["text_map"] is pack.record["text_map"] is None
    assert file.record["text_map"]["path"] == str(other_map)
    assert file.record["settings"]["start"] == "text-map"


def test_a_batch_is_edited_like_each_alone(session: Session) -> None:
    settings = {"start": "text-map", "fusion": "concatenate"}
    batch = session.edit(["sample:0", "sample:1"], PROMPT, **settings)  # type: ignore[call-overload]
    alone = session.edit("sample:1", PROMPT, **settings)  # type: ignore[call-overload]
    assert torch.allclose(batch[1].offset, alone.offset, atol=1e-4)


def test_checks_come_before_any_inversion(
    session: Session, other_map: Path, tiny_pack_copy: Path
) -> None:
    def refused(session: Session, **settings: object) -> str:
        with pytest.raises((InputError, PackError)) as caught:
            session.edit("nonesuch.png", PROMPT, **settings)  # type: ignore[call-overload]
        return str(caught.value)

    assert "the edit starts from its source" in refused(session, text_map=other_map)
    (tiny_pack_copy / TEXT_MAP_FILE).unlink()
    assemble_pack(tiny_pack_copy, read_manifest(tiny_pack_copy / MANIFEST_FILE))
    without = Session.open(tiny_pack_copy)
    assert "pack 'tiny' has no text map" in refused(without, start="text-map")
    assert "start is 'text', expected one of source, text-map" in refused(session, start="text")
    assert "fusion is 'mix'" in refused(session, fusion="mix")
    assert "fusion_strength is nan" in refused(session, fusion_strength=float("nan"))


def test_a_rerun_takes_the_same_map(session: Session, other_map: Path, tmp_path: Path) -> None:
    pack = session.pack.folder
    settings = {"start": "text-map", "fusion": "difference"}
    own = session.edit("sample:1", PROMPT, **settings)  # type: ignore[call-overload]
    assert rerun(own.save(tmp_path / "own").record, pack=pack).identical

    result = session.edit("sample:1", PROMPT, start="text-map", text_map=other_map)
    record = result.save(tmp_path / "out").record
    assert rerun(record, pack=pack).identical

    moved = other_map.rename(tmp_path / "moved.safetensors")
    with pytest.raises(InputError, match=r"the text-map of the record; give it by --text-map"):
        rerun(record, pack=pack)
    assert rerun(record, pack=pack, text_map=moved).identical

    save_text_map(tiny_text_map(models=session.pack.mapped_models, seed=10), moved)
    with pytest.raises(InputError, match="not the text-map of the record"):
        rerun(record, pack=pack, text_map=moved)


def test_records_of_before_there_were_text_maps_still_run(session: Session, tmp_path: Path) -> None:
    record = json.loads(session.edit("sample:1", PROMPT).save(tmp_path).record.read_text())
    for name in ("start", "fusion", "fusion_strength"):
        del record["settings"][name]
    del record["text_map"]
    assert rerun(record, pack=session.pack.folder).identical
