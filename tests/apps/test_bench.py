"""`cfclip bench` on the tiny pack: what it writes, says, refuses and resumes."""

import csv
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from few_prompts import PROMPTS_WITH_CONTROL
from PIL import Image
from refusals import refused
from tiny_training import tiny_config

from cfclip.apps.cli import main
from cfclip.editing import Inversions, Session
from cfclip.editors import mapper_file
from cfclip.encoders import ProjectionConfig
from cfclip.fitting import find_latents, train_mapper
from cfclip.io import sha256_of
from cfclip.packs import CLIP_FOLDER
from cfclip.tensors import pil_from_signed
from cfclip_benchmark import MeasuredEdit, RowLog
from cfclip_benchmark.avatars import RULER_VERSION

METHODS = ("cfclip-optimisation", "directional-optimisation")
TIMEOUT = 240.0
"""Seconds; a busy machine may take its time to start Python."""
ROWS = 2 * 2 * 3  # avatars, prompts, methods with the oracle


@pytest.fixture(autouse=True)
def packs(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "prompts.toml").write_text(PROMPTS_WITH_CONTROL)
    return tmp_path / "bench"


def bench(out: Path, *arguments: object, pack: object = "tiny") -> int:
    given = [] if "--methods" in arguments else ["--methods", *METHODS]
    few = ["--prompts", str(out.with_name("prompts.toml")), "--quick"]
    return main(
        ["bench", "--pack", str(pack), "--out", str(out), *few, *given, *map(str, arguments)]
    )


def picture_of(out: Path, row: MeasuredEdit) -> Path:
    name = f"{row.prompt.replace(' ', '-')}-{row.avatar:03d}.png"
    return out / "pictures" / row.method / name


def read_by_another_ruler(
    out: Path, old: Sequence[MeasuredEdit], new: Sequence[MeasuredEdit] = ()
) -> None:
    """As if another ruler had read the first, of which this one has read some anew."""
    wrong = [replace(row, ruler=1, lost=("beard",), exact=None) for row in old]
    (out / "rows.jsonl").write_text("".join(row.to_json() + "\n" for row in (*wrong, *new)))
    about = json.loads((out / "bench.json").read_text())
    (out / "bench.json").write_text(json.dumps({**about, "ruler": 1}))


@contextmanager
def asked_to_stop(monkeypatch: pytest.MonkeyPatch, after: int) -> Iterator[None]:
    """Ctrl-C comes when a command has looked for it `after` times."""
    from cfclip.apps import console

    class AfterSome(threading.Event):
        asked = 0

        def is_set(self) -> bool:
            AfterSome.asked += 1
            return AfterSome.asked > after

    class Requests:
        def __enter__(self) -> threading.Event:
            return AfterSome()

        def __exit__(self, *_: object) -> None:
            return None

    with monkeypatch.context() as patch:
        patch.setattr(console, "stop_requests", Requests)
        yield


def test_every_method_is_measured_and_summed_up(
    tiny_pack: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(out, "--judge-clip", tiny_pack / CLIP_FOLDER) == 0
    captured = capsys.readouterr()
    tables = ["results.csv", "summary.csv", "summary.md"]
    drawn = "drawn.png"
    charts = ["exact_by_strength.svg", "exact_by_seconds.svg"]
    told = captured.out.splitlines()
    assert told[:4] == [str(out / file) for file in (*tables, "examples.png")]
    assert told[-2:] == [str(out / file) for file in charts]
    assert told[-3] == str(out / drawn)
    assert {*told[4:-3]} <= {str(out / "exact.png"), str(out / "failed.png")}
    assert len(told) > 7  # an edit is exact or failed
    assert "oracle: " in captured.err
    assert "warning: 2 avatars could not be reproduced well" in captured.err

    rows = RowLog(out / "rows.jsonl").rows
    assert [row.method for row in rows] == sorted(
        [row.method for row in rows], key=("oracle", *METHODS).index
    )
    assert {(row.prompt, row.avatar) for row in rows} == {
        (prompt, avatar) for prompt in ("green hair", "a smile") for avatar in (0, 1)
    }
    for row in rows:
        picture = (
            out / "pictures" / row.method / f"{row.prompt.replace(' ', '-')}-00{row.avatar}.png"
        )
        assert Image.open(picture).size == (32, 32)
        # The judge is the same model here, which no honest benchmark would do.
        assert row.judge_similarity == row.clip_similarity
        assert (row.seconds is None) == (row.method == "oracle")
        assert len(row.strengths) == (0 if row.method == "oracle" else 6)
    by_avatar = {row.avatar: (row.inversion_distance, row.inversion_psnr) for row in rows}
    assert all(by_avatar[r.avatar] == (r.inversion_distance, r.inversion_psnr) for r in rows)

    with open(out / "summary.csv", newline="") as stream:
        figures = {(f["method"], f["group"], f["measure"]): f for f in csv.DictReader(stream)}
    hair = [row for row in rows if (row.method, row.family) == ("oracle", "hair")]
    mean = sum(row.preservation for row in hair) / 2
    told = figures["oracle", "hair", "preservation"]
    assert float(told["value"]) == pytest.approx(mean, rel=1e-5)
    assert float(told["low"]) <= mean <= float(told["high"])
    assert ("oracle", "all", "seconds") not in figures
    assert ("cfclip-optimisation", "counterfactual", "kid") in figures
    for file in charts:
        assert ElementTree.parse(out / file).getroot().tag.endswith("svg")
    # 2 avatars x 2 prompts, each beside its avatar, its inversion and the true answer.
    assert Image.open(out / "examples.png").width == 6 * (256 + 8) + 8
    text = (out / "summary.md").read_text()
    assert "## Prompts in the domain" in text


def test_what_is_done_is_not_done_again(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(out, "--methods", METHODS[0]) == 0
    rows = RowLog(out / "rows.jsonl").rows
    # The shipped judge is another model than the one that edits are optimised with.
    assert all(row.judge_similarity not in (None, row.clip_similarity) for row in rows)
    lines = (out / "rows.jsonl").read_text().splitlines()
    times = {path: path.stat().st_mtime_ns for path in (out / "inversions").iterdir()}

    # Killed in the middle: the last row torn, the one before without its picture.
    (out / "rows.jsonl").write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:50])
    picture_of(out, MeasuredEdit.from_json(lines[-2])).unlink()
    assert bench(out, "--methods", METHODS[0], "--resume") == 0
    again = (out / "rows.jsonl").read_text().splitlines()
    assert again[: len(lines) - 1] == lines[:-1]
    assert len(again) == len(lines) + 1
    assert times == {path: path.stat().st_mtime_ns for path in (out / "inversions").iterdir()}

    def measured(line: str) -> dict[str, object]:
        ignored = ("seconds", "peak_memory")
        return {k: v for k, v in json.loads(line).items() if k not in ignored}

    assert [measured(line) for line in again[-2:]] == [measured(line) for line in lines[-2:]]

    # A method is added; the rows before stay.
    assert bench(out, "--resume") == 0
    assert (out / "rows.jsonl").read_text().splitlines()[: len(again)] == again
    assert len(RowLog(out / "rows.jsonl").rows) == ROWS
    about = json.loads((out / "bench.json").read_text())
    assert tuple(about["methods"]) == METHODS
    assert about["methods"][METHODS[0]]["settings"]["steps"] == 2


def test_rows_of_another_ruler_are_read_anew_without_editing(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(out, "--methods", METHODS[0]) == 0
    rows = RowLog(out / "rows.jsonl").rows
    assert {row.ruler for row in rows} == {RULER_VERSION}
    pictures = {path: path.stat().st_mtime_ns for path in (out / "pictures").rglob("*.png")}

    for done in (0, 2):
        read_by_another_ruler(out, rows, rows[:done])
        assert bench(out, "--methods", METHODS[0], "--resume") == 0
        assert set(RowLog(out / "rows.jsonl").rows) == set(rows)
        assert len((out / "rows.jsonl").read_text().splitlines()) == 2 * len(rows)
    assert pictures == {path: path.stat().st_mtime_ns for path in pictures}
    assert json.loads((out / "bench.json").read_text())["ruler"] == RULER_VERSION

    read_by_another_ruler(out, [replace(row, offset=None) for row in rows])
    before = (out / "rows.jsonl").read_bytes()
    capsys.readouterr()
    assert bench(out, "--methods", METHODS[0], "--resume") == 2
    error = refused(capsys)
    assert "was read by ruler 1, and oracle keeps no offset" in error
    assert "choose another --out" in error
    assert before == (out / "rows.jsonl").read_bytes()

    broken = [
        replace(row, offset=row.offset and replace(row.offset, values="AAA=")) for row in rows
    ]
    read_by_another_ruler(out, broken)
    assert bench(out, "--methods", METHODS[0], "--resume") == 2
    assert "the row of oracle for 'green hair', avatar 0: offset has 1 values" in refused(capsys)


def test_what_is_measured_is_what_a_row_keeps(tiny_pack: Path, out: Path) -> None:
    assert bench(out, "--methods", METHODS[0]) == 0
    session = Session.open(tiny_pack)
    projection = ProjectionConfig(**json.loads((out / "bench.json").read_text())["projection"])
    store = Inversions(session, out / "inversions", projection)
    inverted = [store.invert(out / "avatars" / f"00{number}.png") for number in (0, 1)]
    assert all(each.known for each in inverted)
    for row in RowLog(out / "rows.jsonl").rows:
        assert row.offset is not None
        latents = inverted[row.avatar].latents[None]
        (made,) = pil_from_signed(row.offset.render(session.generator, latents))
        assert np.array_equal(np.asarray(made), np.asarray(Image.open(picture_of(out, row))))


def test_reading_anew_is_stopped_and_goes_on(
    out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of a method that is not asked for again are read anew as well."""
    assert bench(out) == 0
    rows = RowLog(out / "rows.jsonl").rows
    read_by_another_ruler(out, rows)
    asked = ("--methods", METHODS[0], "--resume")
    capsys.readouterr()
    with asked_to_stop(monkeypatch, after=5):
        assert bench(out, *asked) == 130
    lines = (out / "rows.jsonl").read_text().splitlines()
    done = len(lines) - ROWS
    assert 0 < done < ROWS
    left = f"stopped with 8 of 8 edits and {ROWS - done} rows still to be read by the new ruler,"
    assert left in capsys.readouterr().err
    assert bench(out, *asked) == 0
    assert (out / "rows.jsonl").read_text().splitlines()[: len(lines)] == lines
    assert len((out / "rows.jsonl").read_text().splitlines()) == 2 * ROWS
    assert set(RowLog(out / "rows.jsonl").rows) == set(rows)


def test_rows_of_two_rulers_are_not_summed_up(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(out, "--methods", METHODS[0]) == 0
    rows = RowLog(out / "rows.jsonl").rows
    read_by_another_ruler(out, rows)
    before = (out / "summary.md").read_bytes()
    capsys.readouterr()
    asked = ("--methods", METHODS[0], "--resume", "--images")
    assert bench(out, *asked, 1) == 2
    line = "has rows that another ruler read; go on with --resume --images 2"
    assert line in capsys.readouterr().err
    assert (out / "summary.md").read_bytes() == before
    assert bench(out, *asked, 2) == 0
    assert set(RowLog(out / "rows.jsonl").rows) == set(rows)
    assert f"Read by ruler {RULER_VERSION}." in (out / "summary.md").read_text()
    with open(out / "results.csv", newline="") as stream:
        results = list(csv.DictReader(stream))
    assert {result["ruler"] for result in results} == {str(RULER_VERSION)}
    assert not {"offset"} & set(results[0])


def test_a_benchmark_of_something_else_is_refused(
    out: Path, tiny_pack_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(out, "--methods", METHODS[0]) == 0
    capsys.readouterr()
    assert bench(out) == 2
    assert "holds a benchmark already; go on with it (--resume)" in refused(capsys)
    assert bench(out, "--resume", "--seed", 1, "--projection.lr", 0.1) == 2
    assert "begun with another projection.lr, seed;" in refused(capsys)
    assert bench(out, "--resume", "--split", "validation") == 2
    assert "another prompts.a smile, prompts.blue skin, prompts.green hair" in refused(capsys)
    tuned = out.with_name("tuned")
    tuned.mkdir()
    (tuned / f"{METHODS[0]}.json").write_text('{"settings": {"lr": 0.3}}')
    assert bench(out, "--resume", "--tuned", tuned) == 2
    assert "another methods.cfclip-optimisation.settings.lr;" in refused(capsys)
    manifest = tiny_pack_copy / "pack.toml"
    manifest.write_text(manifest.read_text().replace('version = "1"', 'version = "2"'))
    assert bench(out, "--resume", pack=tiny_pack_copy) == 2
    assert "another pack.fingerprint, pack.version" in refused(capsys)
    about = json.loads((out / "bench.json").read_text())
    about["versions"]["torch"] = "2.0"
    (out / "bench.json").write_text(json.dumps(about))
    assert bench(out, "--resume") == 2
    assert "another versions.torch;" in refused(capsys)


def test_variants_are_compared_under_their_own_names(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = out.with_name("variants.toml")
    file.write_text(
        '[[variant]]\nname = "gentle"\nmethod = "cfclip-optimisation"\nsettings = { lr = 0.01 }\n'
    )
    options = ["--pack", "tiny", "--prompts", str(out.with_name("prompts.toml")), "--quick"]
    assert main(["bench", "--out", str(out), *options, "--variants", str(file)]) == 0
    assert {row.method for row in RowLog(out / "rows.jsonl").rows} == {"oracle", "gentle"}
    assert json.loads((out / "bench.json").read_text())["methods"]["gentle"]["settings"]["lr"] == (
        0.01
    )
    assert bench(out, "--variants", file, "--methods", METHODS[0], "--resume") == 0
    names = {row.method for row in RowLog(out / "rows.jsonl").rows}
    assert names == {"oracle", "gentle", METHODS[0]}
    capsys.readouterr()
    file.write_text("[")
    assert bench(out, "--variants", file, "--resume") == 2
    assert "is not TOML" in refused(capsys)


def test_prompts_that_a_mapper_does_not_know_are_left_out(
    tiny_pack: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session, config = Session.open(tiny_pack), tiny_config(steps=1)
    run = out.with_name("run")
    train_mapper(session, ("green hair",), find_latents(session, config).sets, run, config)
    name = "cfclip-mapper"
    assert bench(out, "--methods", name, "--files", f"{name}={run}") == 0
    line = "no mapper of cfclip-mapper was trained for 'a smile' alone"
    assert capsys.readouterr().err.count(line) == 1
    rows = [row for row in RowLog(out / "rows.jsonl").rows if row.method == name]
    assert [(row.prompt, row.steps) for row in rows] == [("green hair", 0)] * 2
    assert "- cfclip-mapper: a smile\n" in (out / "summary.md").read_text()
    facts = json.loads((out / "bench.json").read_text())["methods"][name]
    assert facts["files"] == [sha256_of(mapper_file(run))]
    assert facts["seconds_of_training"] > 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--methods", "magic"), "method is 'magic', expected one of optimisation, "),
        (("--methods", METHODS[0], METHODS[0]), "is named twice"),
        (("--methods", "cfclip-mapper"), "0 files are given for cfclip-mapper"),
        (("--files", "cfclip-mapper"), "files is 'cfclip-mapper', expected METHOD=PATH"),
        (("--files", "cfclip-mapper=run"), "which is not among --methods"),
        (("--files", "magic=run"), "method is 'magic'"),
        (("--images", 0), "images is 0, it must be from 1 to 1000"),
        (("--seed", -1), "seed is -1"),
        (("--batch", 0), "batch is 0, it must be at least 1"),
        (("--share", 0), "share is 0.0, it must be above 0 and at most 1"),
        (("--share", 1.5), "share is 1.5, it must be above 0 and at most 1"),
        (("--prompts", "nonesuch.toml"), "nonesuch.toml: cannot read it"),
        (("--judge-clip", "nonesuch"), "there is no folder nonesuch"),
        (("--tuned", "nonesuch"), "there is no folder nonesuch"),
        (("--device", "gpu"), "unknown device"),
    ],
)
def test_bad_input_is_one_line_before_any_work(
    out: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[object, ...], message: str
) -> None:
    assert bench(out, *arguments) == 2
    assert message in refused(capsys)
    assert not out.exists()


def test_a_prompt_that_no_clip_can_read(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompts = out.with_name("prompts.toml")
    prompts.write_text(PROMPTS_WITH_CONTROL.replace('"a smile"', f'"{"a smile " * 20}"', 1))
    assert bench(out) == 2
    assert "CLIP reads at most" in refused(capsys)
    assert not out.exists()


def test_json(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(out, "--json", "--quiet") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    told = json.loads(captured.out)
    assert (told["out"], told["edits"], told["left_out"]) == (str(out), ROWS, [])


def test_ctrl_c_keeps_what_is_done(
    out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request to stop that comes while rows are made ends after the row at hand."""
    with asked_to_stop(monkeypatch, after=5):
        assert bench(out, "--methods", METHODS[0]) == 130
    said = capsys.readouterr().err
    done = RowLog(out / "rows.jsonl").rows
    assert f"stopped with {len(done)} of 8 edits, which are kept" in said
    assert 0 < len(done) < 8
    assert bench(out, "--methods", METHODS[0], "--resume") == 0
    assert RowLog(out / "rows.jsonl").rows[: len(done)] == done


@pytest.mark.slow
def test_a_killed_benchmark_goes_on(tiny_pack: Path, out: Path) -> None:
    options = ["--quick", "--prompts", str(out.with_name("prompts.toml")), "--methods", METHODS[0]]
    command = [sys.executable, "-m", "cfclip", "bench", "--pack", str(tiny_pack), *options]
    process = subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.PIPE)
    rows, end = out / "rows.jsonl", time.monotonic() + TIMEOUT
    while process.poll() is None and not (rows.exists() and rows.stat().st_size):
        assert time.monotonic() < end
        time.sleep(0.01)
    process.kill()
    process.communicate()
    kept = rows.read_bytes()
    assert bench(out, "--methods", METHODS[0], "--resume", pack=tiny_pack) == 0
    assert rows.read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    assert len(rows.read_text().splitlines()) == len(RowLog(rows).rows) == 8


@pytest.mark.slow
def test_the_shipped_pack(out: Path) -> None:
    """Quick, but with real models: the avatars come back, and a true answer is read as such."""
    options = ["--quick", "--prompts", str(out.with_name("prompts.toml")), "--methods", METHODS[0]]
    assert main(["bench", *options, "--images", "1", "--out", str(out)]) == 0
    rows = RowLog(out / "rows.jsonl").rows
    assert {(row.method, row.prompt) for row in rows} == {
        (method, prompt)
        for method in ("oracle", METHODS[0])
        for prompt in ("green hair", "a smile")
    }
    oracle = next(row for row in rows if (row.method, row.prompt) == ("oracle", "green hair"))
    mine = next(row for row in rows if (row.method, row.prompt) == (METHODS[0], "green hair"))
    assert oracle.success
    assert oracle.inversion_psnr > 24.0
    assert oracle.truth_psnr > mine.truth_psnr
    assert oracle.clip_similarity > mine.clip_similarity


def test_pictures_edited_together_are_those_edited_alone(out: Path) -> None:
    """Each with its own row and picture, up to the last bits of floats."""
    assert bench(out, "--methods", METHODS[0]) == 0
    together = out.with_name("together")
    options = ["--prompts", str(out.with_name("prompts.toml")), "--quick", "--methods", METHODS[0]]
    assert main(["bench", "--pack", "tiny", "--out", str(together), *options, "--batch", "8"]) == 0
    alone = {row.key: row for row in RowLog(out / "rows.jsonl").rows}
    rows = RowLog(together / "rows.jsonl").rows
    assert {row.key for row in rows} == set(alone)
    for row in rows:
        assert row.truth_psnr == pytest.approx(alone[row.key].truth_psnr, abs=0.05)
        assert row.clip_similarity == pytest.approx(alone[row.key].clip_similarity, abs=1e-3)
        pixels = [np.asarray(Image.open(picture_of(o, row)), float) for o in (out, together)]
        assert np.abs(pixels[0] - pixels[1]).max() <= 2
    edits = [row for row in rows if row.method == METHODS[0]]
    for prompt in ("green hair", "a smile"):  # of one batch each
        assert len({row.seconds for row in edits if row.prompt == prompt}) == 1
    assert json.loads((together / "bench.json").read_text())["batch"] == 8


def test_a_share_of_the_cases_is_drawn_by_the_seed(out: Path) -> None:
    found = []
    for seed in (0, 0, 1, 2, 3):
        folder = out.with_name(f"share{len(found)}")
        assert bench(folder, "--methods", METHODS[0], "--share", 0.5, "--seed", seed) == 0
        rows = RowLog(folder / "rows.jsonl").rows
        cases = {row.key[1:] for row in rows if row.method == METHODS[0]}
        assert cases == {row.key[1:] for row in rows if row.method == "oracle"}
        assert len(cases) == 2
        found.append(cases)
    assert found[0] == found[1]
    assert any(found[0] != other for other in found[2:])


def test_avatars_are_not_added_to_a_share(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    share = ("--methods", METHODS[0], "--share", 0.5, "--images", 1)
    assert bench(out, *share) == 0
    capsys.readouterr()
    assert bench(out, *share[:-1], 2, "--resume") == 2
    assert "begun with another images;" in refused(capsys)
