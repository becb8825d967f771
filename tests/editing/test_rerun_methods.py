"""Edits by any method are made again from their records."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tiny_methods import GREEN, files, opened

from cfclip import InputError, Session, rerun
from cfclip.editing import METHODS


@pytest.fixture(scope="module")
def session(tiny_pack: Path) -> Session:
    return Session.open(tiny_pack)


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    image = Image.new("L", (32, 32))
    image.paste(255, (0, 0, 32, 16))
    image.save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_masks_strengths_and_records(
    session: Session, method_files: Path, mask: Path, tmp_path: Path, name: str
) -> None:
    settings: dict[str, Any] = {"beta": 0.01} if name == "styleclip-global" else {}
    method = opened(name, session, method_files, **settings)
    pictures = ["sample:6", "sample:5"][not method.one_pass :]  # steps are the same if made alone
    results = session.edit(pictures, GREEN, 3, method=method, mask=mask)
    result = results[-1].at_strength(0.5)
    assert result.image.crop((0, 16, 32, 32)) == result.reconstruction.crop((0, 16, 32, 32))
    assert result.image != result.reconstruction
    record = result.save(tmp_path / "out", strengths=[0.0, 0.5, 1.0]).record
    content = json.loads(record.read_text())
    assert (content["method"], content["batch"]) == (name, len(pictures))
    assert [Path(each["path"]).exists() for each in content["files"]] == [True] * len(
        files(name, method_files)
    )
    again = rerun(record, pack=session.pack.folder)
    assert again.identical
    assert again.strengths == (0.0, 0.5, 1.0)


def test_files_that_are_elsewhere_or_others(
    session: Session, method_files: Path, tmp_path: Path
) -> None:
    method = opened("styleclip-mapper", session, method_files)
    record = session.edit("sample:5", GREEN, method=method).save(tmp_path / "out").record
    content = json.loads(record.read_text())
    moved = [tmp_path / f"{place}.safetensors" for place in range(2)]
    for origin, path in zip(content["files"], moved, strict=True):
        path.write_bytes(Path(origin["path"]).read_bytes())
        origin["path"] = str(tmp_path / "nonesuch.safetensors")
    record.write_text(json.dumps(content))
    pack = session.pack.folder
    with pytest.raises(InputError, match=r"there is no file .*nonesuch.* give it by --files"):
        rerun(record, pack=pack)
    assert rerun(record, pack=pack, files=moved).identical
    with pytest.raises(InputError, match="1 files are given for the 2 of the record"):
        rerun(record, pack=pack, files=moved[:1])
    with pytest.raises(InputError, match=r"is not the file of the record \(its hash differs\)"):
        rerun(record, pack=pack, files=moved[::-1])


def test_an_older_record_of_a_mapper(session: Session, method_files: Path, tmp_path: Path) -> None:
    run = method_files / "text"
    (result,) = session.apply(run, "sample:5", GREEN, 0.5)
    content = json.loads(result.save(tmp_path / "out").record.read_text())
    (mapper,) = content.pop("files")
    for name in ("method", "unrealistic_text", "mask", "text_map", "seed", "settings"):
        del content[name]
    again = rerun(
        {**content, "kind": "apply", "mapper": mapper, "strength": 0.5}, pack=session.pack.folder
    )
    assert again.identical
    assert again.result.record["method"] == "mapper"
