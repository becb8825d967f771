"""`cfclip grid` on the tiny pack: what it draws, tells and refuses."""

import json
from pathlib import Path

import pytest
from PIL import Image
from refusals import refused

from cfclip.apps.cli import main
from cfclip.editing import Session
from cfclip.provenance import COMPOSED, GENERATED, inspect_picture
from cfclip.training import LOG

GAP, SIDE, LINE = 8, 64, 20
FEW = f"--pack tiny --steps 2 --projection.steps 1 --size {SIDE}".split()


@pytest.fixture(autouse=True)
def packs(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))


@pytest.fixture
def photos(tiny_pack: Path, tmp_path: Path) -> Path:
    """Two pictures that state nothing."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for source in Session.open(tiny_pack).sample(2):
        source.image.save(folder / f"{source.name}.png")
    return folder


def grid(*arguments: object) -> int:
    return main(["grid", *map(str, arguments)])


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


# Contact sheets


def test_a_contact_sheet_of_pictures_and_samples(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "contact.png"
    given = (photos, "sample:3-5", "--pack", "tiny", "--columns", 2, "--size", SIDE, "--out", out)
    assert grid("contact", *given) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert size_of(out) == (2 * (SIDE + GAP) + GAP, 3 * (SIDE + LINE + GAP) + GAP)
    provenance = inspect_picture(out).provenance
    assert provenance is not None
    assert (provenance.source_type, provenance.pack) == (COMPOSED, "")
    assert grid("contact", *given, "--overwrite", "--no-names") == 0
    assert size_of(out) == (2 * (SIDE + GAP) + GAP, 3 * (SIDE + GAP) + GAP)


def test_a_contact_sheet_states_what_its_pictures_do(photos: Path, tmp_path: Path) -> None:
    plain, samples, edits = (tmp_path / f"{name}.png" for name in ("plain", "samples", "edits"))
    assert grid("contact", photos, "--out", plain) == 0
    assert inspect_picture(plain).provenance is None
    assert grid("contact", "sample:1-2", "--pack", "tiny", "--out", samples) == 0
    provenance = inspect_picture(samples).provenance
    assert provenance is not None
    assert (provenance.source_type, provenance.pack) == (GENERATED, "tiny")
    edit = ["edit", "sample:1", "green hair", "--pack", "tiny", "--out", str(tmp_path / "edit")]
    assert main(edit) == 0
    assert grid("contact", tmp_path / "edit" / "sample-1_green-hair.png", "--out", edits) == 0
    provenance = inspect_picture(edits).provenance
    assert provenance is not None
    assert (provenance.source_type, provenance.prompts) == (GENERATED, ("green hair",))


def test_pictures_that_fail_are_named_and_left_out(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "bad.png").write_bytes(b"no picture")
    out = tmp_path / "contact.png"
    assert grid("contact", photos, tmp_path / "nothing.png", "--out", out, "--size", SIDE) == 2
    captured = capsys.readouterr()
    assert "bad.png is not a picture" in captured.err
    assert "nothing.png" in captured.err
    assert "2 of 4 pictures done" in captured.err
    assert size_of(out)[0] == 2 * (SIDE + GAP) + GAP


# Grids of edits


def test_strengths_are_columns_and_pictures_with_texts_rows(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "strengths.png"
    texts = ["--text", "green hair", "--text", "blue skin"]
    strengths = ["--strength", 0, 1, 2]
    assert grid("strengths", photos, *texts, *strengths, *FEW, "--out", out) == 0
    width, height = size_of(out)
    assert height == GAP + LINE * 2 + 4 * (SIDE + GAP)  # "strength 1" takes two lines of 64 pixels
    label = width - (4 * (SIDE + GAP) + GAP)
    assert 0 < label <= 120 + GAP
    with Image.open(out) as picture:
        tops = [GAP + 2 * LINE + row * (SIDE + GAP) for row in range(4)]
        lefts = [label + GAP + column * (SIDE + GAP) for column in range(4)]

        def tile(row: int, column: int) -> bytes:
            left, top = lefts[column], tops[row]
            return picture.crop((left, top, left + SIDE, top + SIDE)).tobytes()

        assert tile(0, 0) == tile(1, 0) != tile(2, 0)  # the sources: a row for each text
        assert tile(0, 1) == tile(1, 1)  # at strength 0 the texts do not matter
        assert tile(0, 2) != tile(1, 2)
        assert len({tile(0, column) for column in (1, 2, 3)}) == 3
    provenance = inspect_picture(out).provenance
    assert provenance is not None
    assert provenance.source_type == COMPOSED
    assert provenance.prompts == ("green hair", "blue skin")
    assert (provenance.pack, provenance.seed) == ("tiny", 0)
    assert capsys.readouterr().out == f"{out}\n"


def test_texts_or_methods_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts, methods = tmp_path / "texts.png", tmp_path / "methods.png"
    two = ["--text", "green hair", "--text", "blue skin"]
    assert grid("compare", "sample:1-2", *two, *FEW, "--out", texts) == 0
    names = ["--methods", "cfclip-optimisation", "styleclip-optimisation", "logit-text-map"]
    assert grid("compare", "sample:1", *two, *names, *FEW, "--json", "--out", methods) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"grid": str(methods)}
    for path, columns, rows in ((texts, 3, 2), (methods, 4, 2)):
        width, height = size_of(path)
        assert columns * (SIDE + GAP) < width < columns * (SIDE + GAP) + 150
        assert rows * (SIDE + GAP) < height < rows * (SIDE + GAP) + 100
    provenance = inspect_picture(methods).provenance
    assert provenance is not None
    assert (provenance.source_type, provenance.sample_seed) == (GENERATED, 1)


def test_a_mapper_can_be_swept(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "grid.png"
    few = ["--steps", "2", "--batch", "2", "--validation", "2", "--samples", "10"]
    assert main(["train", "--pack", "tiny", "--out", str(run), "--text", "green hair", *few]) == 0
    files = ["--files", f"cfclip-mapper={run}"]
    given = ["sample:1", "--pack", "tiny", "--size", SIDE, "--out", out, *files]
    assert grid("strengths", *given, "--text", "green hair") == 0
    assert size_of(out)[1] > SIDE


def test_an_edit_that_fails_loses_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, out = tmp_path / "bad.png", tmp_path / "grid.png"
    bad.write_bytes(b"no picture")
    given = ["sample:1", bad, "--text", "green hair", *FEW]
    assert grid("strengths", *given, "--strength", 1, "--out", out) == 2
    assert "bad.png is not a picture" in capsys.readouterr().err
    assert size_of(out)[1] < 2 * SIDE + 2 * LINE


def test_ctrl_c_keeps_the_finished_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    invert = Session.invert

    def pressed(session: Session, image: object, *rest: object) -> object:
        if image == "sample:2":
            raise KeyboardInterrupt
        return invert(session, image, *rest)  # type: ignore[arg-type, call-overload]

    monkeypatch.setattr(Session, "invert", pressed)
    out = tmp_path / "grid.png"
    given = ["--text", "green hair", *FEW, "--strength", 1, "--out", out]
    assert grid("strengths", "sample:1-3", *given) == 130
    assert f"interrupted; 1 of 3 rows are in {out}" in capsys.readouterr().err
    assert size_of(out)[1] < 2 * SIDE + 2 * LINE
    out.unlink()
    assert grid("strengths", "sample:2-3", *given) == 130
    assert "interrupted; nothing was lost" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("contact", "--out", "x.png"), "no pictures; give files, folders or sample:SEED"),
        (("contact", "sample:1", "--out", "x.jpg"), "out is x.jpg, a PNG file is written"),
        (("contact", "sample:1", "--out", "x.png", "--size", "8"), "size is 8, it must be"),
        (("contact", "sample:1", "--out", "x.png", "--columns", "0"), "columns is 0"),
        (("strengths", "sample:1", "--out", "x.png"), "no text; describe the edit"),
        (("compare", "sample:1", "--text", "a", "--out", "x.png", "--seed", "-1"), "seed is -1"),
        (
            ("compare", "sample:1", "--text", "a", "--out", "x.png", "--methods", "magic"),
            "method is 'magic', expected one of",
        ),
        (
            ("strengths", "sample:1", "--text", "a", "--out", "x.png", "--strength", "1e9"),
            "strength is 1000000000.0",
        ),
        (
            (
                *("strengths", "sample:1", "--text", "a", "--out", "x.png"),
                *("--files", "cfclip-mapper=a", "--files", "styleclip-mapper=b"),
            ),
            "a sweep shows one method",
        ),
        (("curves", "--out", "x.png"), "no trainings; give their folders"),
        (("curves", "nothing", "--out", "x.png"), "give the folder of a run"),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...],
    line: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    pack = [] if arguments[0] == "curves" else ["--pack", "tiny"]
    assert grid(*arguments, *pack) == 2
    assert line in refused(capsys)
    assert list(tmp_path.iterdir()) == []


# Curves


def log_of(run: Path, *rows: dict[str, float]) -> Path:
    run.mkdir()
    (run / LOG).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return run


def test_curves_have_a_chart_for_each_term(tmp_path: Path) -> None:
    one = log_of(
        tmp_path / "one",
        *({"step": s, "steps_per_second": 5.0, "total": 1.0 / s, "aspects": 2.0} for s in (1, 2)),
        {"step": 3, "steps_per_second": 5.0, "total": 0.3, "validation": 0.5},
    )
    two = log_of(tmp_path / "two", {"step": 3, "steps_per_second": 5.0, "total": 0.2})
    out = tmp_path / "curves.png"
    assert grid("curves", one, two, "--out", out) == 0
    width, height = size_of(out)
    assert width > height > 2 * 440  # total and validation, aspects below
    with Image.open(out) as picture:
        assert picture.info["Software"] == "cfclip"
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24) or []}
    assert {(0, 0, 0), (0xE6, 0x9F, 0)} < colours  # a curve of each run
    assert inspect_picture(out).provenance is None
    assert grid("curves", one, "--out", out) == 2


@pytest.mark.parametrize(
    ("values", "status"),
    [
        *(((value, value), 0) for value in (1e30, -1e30, 1e15, 0.0, 5e-324)),
        *(((0.0, value), 0) for value in (5e-324, 1e-300, 1e30)),
        *(((0.0, value), 2) for value in (1e38, -1e38, 1e308)),
    ],
)
def test_curves_of_any_numbers(
    values: tuple[float, float],
    status: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = [{"step": step, "clip_nce": value} for step, value in enumerate(values, 1)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert grid("curves", tmp_path, "--out", tmp_path / "a.png") == status
    if status:
        assert "clip_nce" in refused(capsys)
