"""Results on the disk: one of each row, whole, wherever the process that wrote them was killed."""

import json
from pathlib import Path
from typing import Any

import pytest
from full_disk import room_for
from png_bytes import png_of

from cfclip.batches import Form, Results, packer_of
from cfclip.errors import InputError

SHARDED: tuple[Form, ...] = ("parquet", "webdataset")


def about(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "image": "in/\udcff.png",
        "text": "grünes Haar",
        "strength": 0.5,
        "seed": 3,
        "psnr": None,
        "warnings": ["in/\udcff.png is transparent in places"],
    }


def opened(folder: Path, form: Form = "folder", shard_rows: int = 3) -> Results:
    if form == "parquet":
        pytest.importorskip("pyarrow")
    return Results(folder, packer_of(form), shard_rows)


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_pictures_in_a_folder(tmp_path: Path) -> None:
    results = opened(tmp_path)
    results.add("a", png_of(1), about)
    results.pack(about)
    assert "a" in results
    assert "b" not in results
    assert len(results) == 1
    assert names(tmp_path) == {"pictures/a.png"}
    again = opened(tmp_path)
    assert (again.picture("a"), len(again)) == (png_of(1), 1)
    assert again.file("a") == tmp_path / "pictures" / "a.png"


def test_half_pictures_are_none(tmp_path: Path) -> None:
    """A power cut may leave a name without its content, a killed process what it was writing."""
    opened(tmp_path).add("a", png_of(1), about)
    pictures = tmp_path / "pictures"
    (pictures / "b.png").write_bytes(png_of(2)[:-5])
    (pictures / "c.png").write_bytes(b"")
    (pictures / ".cfclip-x.partial.png").write_bytes(png_of(3))
    assert len(opened(tmp_path)) == 1
    assert names(tmp_path) == {"pictures/a.png"}


@pytest.mark.parametrize("form", SHARDED)
def test_shards_are_made_as_pictures_come(tmp_path: Path, form: Form) -> None:
    results = opened(tmp_path, form)
    for number in range(7):
        results.add(f"row-{number}", png_of(number), about)
    assert len(results) == 7
    suffix = results.file("row-0").suffix
    expected = {f"shards/part-{part:05}{suffix}" for part in range(2)}
    assert names(tmp_path) == {*expected, "pictures/row-6.png"}
    again = opened(tmp_path, form)
    assert [again.picture(f"row-{number}") for number in range(7)] == [
        png_of(number) for number in range(7)
    ]
    again.pack(about)
    assert names(tmp_path) == {*expected, f"shards/part-00002{suffix}"}
    assert len(opened(tmp_path, form)) == 7


@pytest.mark.parametrize("form", SHARDED)
def test_killed_between_a_shard_and_its_pictures(tmp_path: Path, form: Form) -> None:
    results = opened(tmp_path, form)
    for number in range(3):
        results.add(f"row-{number}", png_of(number), about)
    # What a process leaves that is killed when the shard is there and its pictures are too.
    (tmp_path / "pictures" / "row-1.png").write_bytes(png_of(1))
    again = opened(tmp_path, form)
    assert len(again) == 3
    assert len(names(tmp_path)) == 1


@pytest.mark.parametrize("form", SHARDED)
def test_half_a_shard_is_told(tmp_path: Path, form: Form) -> None:
    results = opened(tmp_path, form)
    for number in range(3):
        results.add(f"row-{number}", png_of(number), about)
    shard = results.file("row-0")
    shard.write_bytes(shard.read_bytes()[:300])
    with pytest.raises(InputError, match=r"cannot read .*part-00000.*; move it away"):
        opened(tmp_path, form)


@pytest.mark.parametrize("form", SHARDED)
def test_a_row_in_two_shards_is_told(tmp_path: Path, form: Form) -> None:
    results = opened(tmp_path, form, 1)
    results.add("a", png_of(1), about)
    shard = results.file("a")
    (shard.parent / f"part-00001{shard.suffix}").write_bytes(shard.read_bytes())
    with pytest.raises(InputError, match=r"a is in .* and in .*; move one of them away"):
        opened(tmp_path, form)


@pytest.mark.parametrize("form", ["folder", *SHARDED])
def test_a_full_disk_loses_nothing(tmp_path: Path, form: Form) -> None:
    results = opened(tmp_path, form, 2)
    results.add("a", png_of(1), about)
    with room_for(10), pytest.raises(InputError, match="cannot write"):
        results.add("b", png_of(2), about)
    again = opened(tmp_path, form, 2)
    assert len(again) == 1
    again.add("b", png_of(2), about)
    assert len(opened(tmp_path, form, 2)) == 2


def test_webdataset_reads_its_shards(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    results = opened(tmp_path, "webdataset", 2)
    for number in range(2):
        results.add(f"row-{number}", png_of(number), about)
    found = list(webdataset.WebDataset(str(results.file("row-0")), shardshuffle=False))
    assert [each["__key__"] for each in found] == ["row-0", "row-1"]
    assert [each["png"] for each in found] == [png_of(0), png_of(1)]
    assert json.loads(found[1]["json"]) == about("row-1")


def test_parquet_is_read_by_arrow(tmp_path: Path) -> None:
    results = opened(tmp_path, "parquet", 1)
    from pyarrow import parquet

    results.add("a", png_of(1), about)
    (row,) = parquet.read_table(results.file("a")).to_pylist()
    plain = {"image": "in/\\udcff.png", "warnings": ["in/\\udcff.png is transparent in places"]}
    assert row == {**about("a"), **plain, "png": png_of(1)}


@pytest.mark.parametrize("form", SHARDED)
def test_a_picture_that_nothing_is_told_of_is_packed_too(tmp_path: Path, form: Form) -> None:
    results = opened(tmp_path, form, 1)
    results.add("a", png_of(1), lambda name: dict.fromkeys(about(name)))
    assert opened(tmp_path, form).picture("a") == png_of(1)
