"""Codes in files wherever a picture is accepted, through the command line and in Python."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from refusals import refused
from tiny_jobs import write_mapper

from cfclip import Session, rerun
from cfclip.apps.cli import main

TEXT = "green hair"


@pytest.fixture(autouse=True)
def packs(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))


@pytest.fixture
def codes(tiny_pack: Path) -> torch.Tensor:
    return torch.stack([source.latents for source in Session.open(tiny_pack).sample(3)])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def run(command: str, *arguments: object) -> int:
    return main([command, *map(str, arguments), "--pack", "tiny"])


def test_edits_and_their_records(tmp_path: Path, out: Path, codes: torch.Tensor) -> None:
    path, again = tmp_path / "found.pt", tmp_path / "again"
    torch.save(codes, path)
    assert run("edit", path, TEXT, "--out", out, "--steps", "2") == 0
    assert run("edit", "sample:0-2", TEXT, "--out", out, "--steps", "2") == 0
    for index in range(3):
        # Each is edited as the sample that it is.
        name = f"found-{index}_green-hair"
        found, expected = (
            Image.open(out / f"{stem}-{index}_green-hair.png").tobytes()
            for stem in ("found", "sample")
        )
        assert found == expected
        source = json.loads((out / f"{name}.json").read_text())["source"]
        assert (source["kind"], source["index"]) == ("latents_file", index)
    record = out / "found-2_green-hair.json"
    assert main(["rerun", str(record), "--out", str(again)]) == 0
    path.rename(tmp_path / "moved")
    with pytest.raises(Exception, match=r"there is no file .* give it by --image"):
        rerun(record)
    moved = ["--image", str(tmp_path / "moved")]
    assert main(["rerun", str(record), "--out", str(again), "--overwrite", *moved]) == 0
    (tmp_path / "moved").write_bytes(b"other")
    with pytest.raises(Exception, match="is not the image of the record"):
        rerun(record, image=tmp_path / "moved")


def test_some_of_a_file_with_pictures(tmp_path: Path, out: Path, codes: torch.Tensor) -> None:
    path = tmp_path / "found.npz"
    np.savez(path, **{name: code.numpy()[None] for name, code in zip("abc", codes, strict=True)})
    Image.new("RGB", (32, 32), "red").save(tmp_path / "red.png")
    arguments = ["--text", TEXT, "--out", out, "--steps", "1", "--projection.steps", "0"]
    assert run("edit", f"{path}:b", "sample:4", f"{path}:2", tmp_path / "red.png", *arguments) == 0
    stems = {record.stem.split("_")[0] for record in out.glob("*.json")}
    assert stems == {"found-b", "found-c", "sample-4", "red"}


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("found.pt:7", "has no latents '7', but 0 to 2"),
        ("none.pt", "there is no latents file"),
        ("wide.npy", r"shape \(2, 17\), expected \(N, 8, 16\)"),
        ("nan.npy", "not finite"),
    ],
)
def test_codes_that_cannot_be_used(
    tmp_path: Path,
    out: Path,
    codes: torch.Tensor,
    which: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.save(codes, tmp_path / "found.pt")
    np.save(tmp_path / "wide.npy", np.zeros((2, 17), np.float32))
    np.save(tmp_path / "nan.npy", np.full((2, 16), np.nan, np.float32))
    for command in ("edit", "invert", "batch"):
        rest = () if command == "invert" else ("--text", TEXT)
        assert run(command, tmp_path / which, *rest, "--out", out) == 2
        assert re.search(message, refused(capsys))


def test_every_command(tmp_path: Path, tiny_pack: Path, out: Path, codes: torch.Tensor) -> None:
    path = tmp_path / "found.npy"
    np.save(path, codes.numpy())
    mapper = write_mapper(tmp_path / "run", tiny_pack)
    assert run("invert", path, "--out", out / "i") == 0
    assert run("apply", mapper, f"{path}:0-1", "--text", TEXT, "--out", out / "a") == 0
    assert main(["grid", "contact", str(path), "--out", str(out / "g.png"), "--pack", "tiny"]) == 0
    assert len(list((out / "i").glob("*.json"))) == 3
    assert len(list((out / "a").glob("*.json"))) == 2
    assert (out / "g.png").is_file()


def test_patterns(
    tmp_path: Path, out: Path, codes: torch.Tensor, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, code in zip("ab", codes, strict=False):
        np.save(tmp_path / f"{name} [1].npy", code.numpy()[None])
    assert run("invert", tmp_path / "*.npy", "--out", out) == 0
    assert {path.stem for path in out.glob("*.json")} == {"a [1]_inverted", "b [1]_inverted"}
    batch = ["--text", TEXT, "--out", out / "batch", "--steps", "1", "--workers", "1"]
    assert run("batch", tmp_path / "?*.npy:0", *batch) == 0
    assert len((out / "batch" / "results.jsonl").read_text().splitlines()) == 2
    capsys.readouterr()
    assert run("invert", tmp_path / "*.npz", "--out", out) == 2
    assert "there is no latents file" in refused(capsys)


def test_batches(tmp_path: Path, tiny_pack: Path, out: Path, codes: torch.Tensor) -> None:
    torch.save(codes, tmp_path / "found.pt")
    (tmp_path / "list.csv").write_text("image,text\nfound.pt:1,red hair\nfound.pt,x\n../a.pt:1,x\n")
    mapper = write_mapper(tmp_path / "run", tiny_pack)
    options = ["--mapper", mapper, "--workers", "1", "--batch", "4", "--out", out, "--text", TEXT]
    status = run("batch", tmp_path / "found.pt", "sample:0-2", tmp_path / "list.csv", *options)
    told = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert status == 2  # two rows of the list
    assert {row["name"] for row in told} >= {
        *(f"found-{n}_green-hair" for n in range(3)),
        *(f"sample-{n}_green-hair" for n in range(3)),
        "found-1_red-hair",
    }
    for index in range(3):
        found, expected = (
            Image.open(next(out.rglob(f"{stem}-{index}_green-hair.png"))).tobytes()
            for stem in ("found", "sample")
        )
        assert found == expected


@pytest.mark.parametrize(
    "image", ["link.pt", "link.pt:1", "../other.pt:1", "../other.pt:a/../in/b"]
)
def test_a_list_leads_to_no_codes_outside(
    tmp_path: Path, out: Path, codes: torch.Tensor, image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"a/../in/b": codes[:1], "1": codes[1:2]}, tmp_path / "other.pt")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link.pt").symlink_to("../other.pt")
    rows = tmp_path / "in" / "list.csv"
    rows.write_text(f"image,text\n{image},red hair\n")
    assert run("batch", rows, "--out", out, "--workers", "1") == 2
    assert "leads out of" in refused(capsys)


def test_training_on_some_of_a_file(
    tmp_path: Path, out: Path, codes: torch.Tensor, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "found.npy", codes[:, 0].numpy())
    few = ["--steps", "2", "--batch", "2", "--validation", "1", "--augmentations", "2"]
    usual = ["--text", TEXT, "--out", out, *few]
    path = tmp_path / "found.npy"
    assert run("train", "--latents", f"{path}:1", *usual) == 2
    assert "1 latents are too few" in refused(capsys)
    assert run("train", "--latents", f"{path}:0-1", *usual) == 0


def test_in_python(tmp_path: Path, tiny_pack: Path, codes: torch.Tensor) -> None:
    path = tmp_path / "w.pt"
    torch.save({"one": codes[:1]}, path)
    session = Session.open(tiny_pack)
    for image in (path, str(path), f"{path}:0"):
        source = session.invert(image)
        assert torch.equal(source.latents, codes[0])
        assert source.name == "w"
    torch.save(codes, path)
    results = session.edit([f"{path}:0", f"{path}:2"], TEXT, steps=1)
    assert [result.record["source"]["index"] for result in results] == [0, 2]
    with pytest.raises(Exception, match="holds 3 codes; give them one at a time"):
        session.edit(path, TEXT)
    torch.save(codes[1:], path)  # a file that has changed is read anew
    assert torch.equal(session.invert(f"{path}:0").latents, codes[1])
