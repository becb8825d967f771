"""What workers make of rows: each its own edit, whatever else is in the batch."""

import io
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from png_bytes import png_of
from tiny_jobs import job_of, rows_of, write_mapper

from cfclip.batches.row_editing import RowEditor
from cfclip.batches.rows import Place, Row
from cfclip.batches.shards import read_shard
from cfclip.editing import Session
from cfclip.errors import CheckpointError, PackError
from cfclip.fitting import fit_parts, keep_parts
from cfclip.images import read_xmp
from cfclip.provenance import COMPOSED, GENERATED
from cfclip.provenance.xmp import read_packet
from cfclip.regions import Parts, PartsFitConfig


@pytest.fixture(scope="module")
def run(tiny_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mapper(tmp_path_factory.mktemp("runs") / "two", tiny_pack)


@pytest.fixture
def editor(tiny_pack: Path, run: Path, tmp_path: Path) -> RowEditor:
    return RowEditor(job_of(tiny_pack, run, tmp_path))


def pixels(png: bytes | None) -> bytes:
    assert png is not None
    return Image.open(io.BytesIO(png)).tobytes()


def made(editor: RowEditor, rows: list[Row]) -> dict[str, bytes]:
    return {each.name: pixels(each.png) for each in editor.edit(rows)}


def test_a_row_is_the_same_in_any_company(editor: RowEditor) -> None:
    rows = rows_of("sample:0-3", texts=("green hair", "blue skin"))
    expected = made(editor, rows[:4]) | made(editor, rows[4:])
    assert len(set(expected.values())) == len(rows)
    random.Random(0).shuffle(rows)
    assert made(editor, rows[:4]) | made(editor, rows[4:]) == expected
    for row in rows:
        assert made(editor, [row]) == {row.name: expected[row.name]}


def test_it_is_the_edit_that_apply_makes(editor: RowEditor, tiny_pack: Path, run: Path) -> None:
    session = Session.open(tiny_pack)
    rows = rows_of("sample:0-3", texts=("blue skin",), strength=0.5)
    sources = session.sample(4, 0)
    results = session.apply(run, sources, "blue skin", 0.5)
    assert made(editor, rows) == {
        row.name: result.image.tobytes() for row, result in zip(rows, results, strict=True)
    }


def test_each_row_is_confined_by_its_own_text(
    tiny_pack_copy: Path, run: Path, tmp_path: Path
) -> None:
    session = Session.open(tiny_pack_copy)
    fitted = fit_parts(session, PartsFitConfig(images=16))
    names = fitted.parts.names
    # The aspects of the tiny pack's random CLIP say nothing: hair is the first part, skin the last.
    about = {"hair": names[:1], "skin": names[-1:]}
    parts = Parts(replace(fitted.parts.config, aspects=about))
    parts.centroids.copy_(fitted.parts.centroids)
    pack = keep_parts(session.pack, replace(fitted, parts=parts.eval()))
    session = Session(pack, session.device)
    texts = ("green hair", "blue skin")
    found = made(
        RowEditor(job_of(tiny_pack_copy, run, tmp_path)), rows_of("sample:0-1", texts=texts)
    )
    sources = session.sample(2, 0)
    alone = [session.apply(run, sources, text) for text in texts]
    regions = {str(result.record["confined_to"]) for results in alone for result in results}
    assert regions != {str({"name": "off", "parts": ()})}
    pictures = {result.image.tobytes() for results in alone for result in results}
    for name, picture in found.items():
        differences = [
            max(abs(a - b) for a, b in zip(picture, each, strict=True)) for each in pictures
        ]
        assert min(differences) <= 1, name  # rendered in a batch, and alone


def test_strength_zero_is_the_source(editor: RowEditor, tiny_pack: Path) -> None:
    rows = rows_of("sample:0-3", strength=0.0)
    sources = Session.open(tiny_pack).sample(4, 0)
    found = made(editor, rows)
    for row, source in zip(rows, sources, strict=True):
        difference = zip(found[row.name], source.image.tobytes(), strict=True)
        assert max(abs(a - b) for a, b in difference) <= 1  # rendered in a batch, and alone


def test_pictures_tell_how_they_were_made(editor: RowEditor, tmp_path: Path) -> None:
    (tmp_path / "me.png").write_bytes(png_of(90, 64))
    place = Place("file", path=str(tmp_path / "me.png"))
    rows = [*rows_of("sample:7"), Row("me", "me.png", place, "blue skin", 1.0, 0)]
    for outcome, row, kind in zip(editor.edit(rows), rows, (GENERATED, COMPOSED), strict=True):
        (tmp_path / "out.png").write_bytes(outcome.png or b"")
        packet = read_xmp(tmp_path / "out.png")
        assert packet is not None
        told = read_packet(packet)
        assert told is not None
        assert (told.source_type, told.prompts) == (kind, (row.text,))
        assert told.sample_seed == (7 if kind == GENERATED else None)
        assert "me.png" not in packet


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_no_picture(editor: RowEditor, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    pipe = Row("pipe", "pipe.png", Place("file", path=str(tmp_path / "pipe.png")), "x", 1.0, 0)
    (outcome,) = editor.edit([pipe])
    assert "there is no file" in str(outcome.error)


def test_bad_rows_fail_alone(editor: RowEditor, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    (good,) = rows_of("sample:7")
    bad = Row("bad", "bad.png", Place("file", path=str(tmp_path / "bad.png")), "x", 1.0, 0)
    gone = replace(bad, name="gone", place=Place("file", path=str(tmp_path / "gone.png")))
    long = replace(good, name="long", text="hair " * 40)
    endless = replace(gone, name="endless", place=Place("file", path=str(tmp_path / ("x" * 300))))
    outcomes = {each.name: each for each in editor.edit([bad, good, gone, long])}
    (no_name,) = editor.edit([endless])
    assert "File name too long" in str(no_name.error)
    assert "bad.png is not a picture" in str(outcomes["bad"].error)
    assert "there is no file" in str(outcomes["gone"].error)
    assert "tokens" in str(outcomes["long"].error)
    assert outcomes[good.name].error is None
    assert pixels(outcomes[good.name].png) == made(editor, [good])[good.name]


def test_pictures_in_shards_are_as_files(editor: RowEditor, tmp_path: Path) -> None:
    import tarfile

    (tmp_path / "me.png").write_bytes(png_of(90, 64))
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        archive.add(tmp_path / "me.png", "me.png")
    (entry,) = read_shard(tmp_path / "s.tar")
    file = Row("file", "me.png", Place("file", path=str(tmp_path / "me.png")), "x", 1.0, 0)
    member = replace(file, name="member", place=entry.place)  # type: ignore[union-attr]
    one, other = editor.edit([file, member])
    assert pixels(one.png) == pixels(other.png)
    assert (one.psnr, one.warnings) == (other.psnr, other.warnings)
    assert len(list((tmp_path / "inversions").iterdir())) == 1  # inverted once


def test_optimisation_is_the_edit_of_the_session(tiny_pack: Path, tmp_path: Path) -> None:
    editor = RowEditor(job_of(tiny_pack, None, tmp_path))
    (row,) = rows_of("sample:7", texts=("green hair",), strength=0.5, seed=3)
    session = Session.open(tiny_pack)
    source = session.sample(1, 7)[0]
    expected = session.edit(source, "green hair", 3, steps=2, strength=0.5)
    assert made(editor, [row]) == {row.name: expected.image.tobytes()}


def test_other_models_than_those_of_the_job(tiny_pack: Path, run: Path, tmp_path: Path) -> None:
    job = job_of(tiny_pack, run, tmp_path)
    with pytest.raises(PackError, match="is another one here"):
        RowEditor(replace(job, fingerprint="0" * 64))
    with pytest.raises(CheckpointError, match="is another file here"):
        RowEditor(replace(job, hashes=("0" * 64,)))


def test_the_generator_alone(editor: RowEditor) -> None:
    assert editor.synthesis_rate(0.01) > 0


def test_the_networks_of_terms_are_part_of_what_was_begun(tiny_pack: Path, tmp_path: Path) -> None:
    job = job_of(tiny_pack, None, tmp_path)
    assert set(job.claim("folder")) == {
        *("pack", "mapper", "settings", "projection", "form", "metadata", "signed")
    }
    claims = [replace(job, hashes=(digest,)).claim("folder") for digest in ("a" * 64, "b" * 64)]
    assert claims[0] != claims[1]
