"""`cfclip apply` on the tiny pack: every picture gets its result, or is named."""

import json
from pathlib import Path

import pytest
from full_disk import room_for
from PIL import Image
from portrait import PORTRAIT_POINTS, PORTRAIT_SIZE, portrait
from refusals import refused
from tiny_mapper import write_mapper

from cfclip.apps.cli import main
from cfclip.editors import BEST

PROMPTS = ("green hair", "blue skin")
QUICK = ("--projection.steps", "0", "--projection.warn-below-psnr", "0")


@pytest.fixture(autouse=True)
def packs(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))


@pytest.fixture(scope="module")
def run(tiny_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of one prompt."""
    return write_mapper(tmp_path_factory.mktemp("runs") / "one", tiny_pack, PROMPTS[0])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def paint(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.linear_gradient("L").convert("RGB").save(path)
    return path


def apply(run: Path, out: Path, *arguments: object) -> int:
    options = ["--pack", "tiny", "--out", str(out), *QUICK]
    return main(["apply", str(run), *map(str, arguments), *options])


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


@pytest.mark.parametrize("count", [1, 4, 5, 9])
def test_every_picture_gets_its_result(
    run: Path, out: Path, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert apply(run, out, f"sample:0-{count - 1}", "--batch", 4) == 0
    assert len(names(out)) == 3 * count
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == str(out / "sample-0_green-hair.png")
    assert captured.err == ""


def test_the_face_of_a_photo_is_edited_and_put_back(
    tmp_path: Path, run: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = tmp_path / "points.json"
    points.write_text(json.dumps(PORTRAIT_POINTS))
    options = ("--landmarks", points, "--paste-back", "whole")
    assert apply(run, out, portrait(), *options) == 0
    assert Image.open(out / "grace_hopper_green-hair_photo.png").size == PORTRAIT_SIZE
    capsys.readouterr()
    assert apply(run, out, portrait(), "sample:1", *options, "--overwrite") == 2
    assert "no face to be cut" in refused(capsys)


def test_files_folders_and_samples_together(tmp_path: Path, run: Path, out: Path) -> None:
    folder = paint(tmp_path / "in" / "a.png").parent
    paint(folder / "b.png")
    me = paint(tmp_path / "me.png")
    assert apply(run, out, folder, me, "sample:3", "--strength", "0.5", "1", "--json") == 0
    edited = {name for name in names(out) if name.endswith("_x0.5.png")}
    assert edited == {f"{name}_green-hair_x0.5.png" for name in ("a", "b", "me", "sample-3")}
    record = json.loads((out / "me_green-hair.json").read_text())
    assert (record["kind"], record["method"]) == ("edit", "mapper")
    assert record["source"]["path"] == str(me)
    assert [each["strength"] for each in record["outputs"]] == [0.5, 1.0]


def test_the_file_of_a_mapper(run: Path, out: Path) -> None:
    assert apply(run / BEST, out, "sample:1") == 0


def test_a_mapper_of_several_texts(
    tmp_path: Path, tiny_pack: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    several = write_mapper(tmp_path / "several", tiny_pack, *PROMPTS)
    assert apply(several, out, "sample:1") == 2
    assert "give one of them (--text) or ask for all (--all-texts)" in refused(capsys)
    assert names(out) == set()
    assert apply(several, out, "sample:1", "--text", "blue skin") == 0
    assert "sample-1_blue-skin.png" in names(out)
    assert apply(several, out, "sample:1-3", "--all-texts", "--overwrite", "--batch", 2) == 0
    assert len(names(out)) == 3 * 3 * 2


def test_pictures_that_fail_are_named_and_counted(
    tmp_path: Path, run: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = paint(tmp_path / "in" / "a.png").parent
    (folder / "bad.png").write_bytes(b"no picture")
    for name in ("c.png", "d.png"):
        paint(folder / name)
    assert apply(run, out, folder, tmp_path / "missing.png", "sample:1", "--batch", 2) == 2
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if "error" in line]
    assert len(errors) == 2
    assert any("bad.png is not a picture" in line for line in errors)
    assert any("no file" in line and "missing.png" in line for line in errors)
    assert captured.err.splitlines()[-1] == "4 of 6 pictures done"
    assert {name for name in names(out) if name.endswith("hair.png")} == {
        f"{name}_green-hair.png" for name in ("a", "c", "d", "sample-1")
    }


def test_a_full_disk_is_told_of_each_picture(
    run: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with room_for(100):
        assert apply(run, out, "sample:1-2") == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.count("cannot write") for line in lines] == [1, 1, 0]
    assert lines[-1] == "0 of 2 pictures done"
    assert names(out) == set()


def test_nothing_is_replaced_unasked(
    tmp_path: Path, tiny_pack: Path, run: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert apply(run, out, "sample:1", "--quiet") == 0
    assert apply(run, out, "sample:0-2") == 2
    assert "--overwrite" in refused(capsys)
    assert len(names(out)) == 3
    texts = ("5 degrees", "-5 degrees")  # of which one name is made
    assert (
        apply(write_mapper(tmp_path / "two", tiny_pack, *texts), out, "sample:2", "--all-texts")
        == 2
    )
    assert "make them one at a time" in refused(capsys)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "no pictures"),
        (("nothing.png",), "there is no file nothing.png"),
        (("sample:x",), "is not a sample"),
        (("sample:1", "--strength", "1e9"), "strength is 1000000000.0"),
        (("sample:1", "--batch", "0"), "batch is 0"),
        (("sample:1", "--text", " "), "empty"),
        (("sample:1", "--text", "hair " * 40), "tokens"),
        (("sample:1", "--text", "green hair", "--all-texts"), "not both"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    run: Path,
    out: Path,
    arguments: tuple[str, ...],
    why: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert apply(run, out, *arguments) == 2
    assert why in refused(capsys)
    assert names(out) == set()


def test_no_mapper(tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert apply(tmp_path, out, "sample:1") == 2
    assert "has no mapper yet" in refused(capsys)
    (tmp_path / BEST).write_bytes(b"half")
    assert apply(tmp_path, out, "sample:1") == 2
    assert "not a readable safetensors file" in refused(capsys)


def test_a_mapper_for_another_pack(
    run: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--out", str(out), "--pack", "avatars"]
    assert main(["apply", str(run), "sample:1", *options]) == 2
    assert "it is one for pack tiny 1: open that, or train one for this" in refused(capsys)


def test_other_texts_are_a_warning(
    run: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert apply(run, out, "sample:1-2", "--text", "blue skin") == 0
    warning = capsys.readouterr().err
    assert warning.count("was not trained for 'blue skin'") == 1
    assert warning.count("\n") == 1
