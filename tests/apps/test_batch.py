"""`cfclip batch` on the tiny pack: one result per row, however often it is killed."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from full_disk import room_for
from PIL import Image, ImageChops, ImageStat
from png_bytes import png_of
from refusals import refused
from tiny_jobs import write_mapper

from cfclip.apps.cli import main
from cfclip.editing import Session

QUICK = ("--projection.steps", "0", "--projection.warn-below-psnr", "0")
TIMEOUT = 600.0


@pytest.fixture(autouse=True)
def packs(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))


@pytest.fixture(scope="module")
def run(tiny_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of two prompts."""
    return write_mapper(tmp_path_factory.mktemp("runs") / "two", tiny_pack)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def options(run: Path | None, out: Path, *arguments: object) -> list[str]:
    usual = {"--workers": "1"} | ({} if run is None else {"--mapper": str(run), "--batch": "4"})
    rest = ["--pack", "tiny", "--out", str(out), *QUICK]
    for option, value in usual.items():
        rest += [] if option in arguments else [option, value]
    return ["batch", *map(str, arguments), *rest]


def batch(run: Path | None, out: Path, *arguments: object) -> int:
    return main(options(run, out, *arguments))


def told(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "no input"),
        (("nothing",), "there is no file nothing"),
        (("sample:1",), "it has no text; give one in column text, or for all (--text)"),
        (("sample:1", "--all-texts", "--text", "green hair"), "not both"),
        (("sample:1", "--text", " "), "empty"),
        (("sample:1", "--text", "hair " * 40), "tokens"),
        (("sample:1", "--text", "green hair", "--strength", "1e9"), "strength is 1000000000.0"),
        (("sample:1", "--text", "green hair", "--batch", "0"), "batch is 0"),
        (("sample:1", "--text", "green hair", "--workers", "0"), "workers is 0"),
        (("sample:1", "--text", "green hair", "--shard-rows", "0"), "shard_rows is 0"),
        (("sample:1", "--text", "green hair", "--steps", "9"), "say nothing to a mapper"),
        (("sample:1", "--text", "green hair", "--seed", "-1"), "seed is -1"),
        (("sample:1", "--text", "green hair", "--measure", "-1"), "measure is -1"),
        (("sample:1", "--text", "green hair", "--address", "auto"), "ask for --engine ray"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    run: Path,
    out: Path,
    arguments: tuple[str, ...],
    why: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert batch(run, out, *arguments) == 2
    assert why in refused(capsys)
    assert not out.exists()


def test_a_mapper_is_needed_for_all_its_texts(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert batch(None, out, "sample:1", "--all-texts") == 2
    assert "give --mapper" in refused(capsys)


def test_a_folder_of_something_else(
    run: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out.mkdir()
    (out / "mine.txt").write_text("x")
    assert batch(run, out, "sample:1", "--text", "green hair") == 2
    assert "holds other files; choose another --out" in refused(capsys)


def test_a_second_process(run: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fcntl = pytest.importorskip("fcntl")
    out.mkdir()
    with open(out / ".lock", "a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert batch(run, out, "sample:1", "--text", "green hair") == 2
    assert "another process works in" in refused(capsys)


@pytest.mark.slow
def test_rows_of_every_kind_end_in_one_result_each(
    tmp_path: Path, run: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "me.png").write_bytes(png_of(90, 64))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    lines = [
        "image,text,strength,name",
        "me.png,,,",
        "sample:7,blue skin,0.5,",
        "sample:8,,,mine",
        "bad.png,,,",
        "../out.png,,,",
        "sample:7,blue skin,0.5,",
    ]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    assert batch(run, out, tmp_path / "list.csv", "--text", "green hair") == 2
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [str(out / "results.jsonl"), str(out / "summary.html")]
    errors = [line for line in captured.err.splitlines() if "error" in line]
    assert len(errors) == 3
    assert any("list.csv:6: '../out.png' leads out of" in line for line in errors)
    assert any("list.csv:7: its result would be" in line for line in errors)
    assert any("bad_green-hair: " in line and "is not a picture" in line for line in errors)
    assert captured.err.splitlines()[-1] == "3 of 6 pictures done"
    pictures = {path.name for path in (out / "pictures").iterdir()}
    assert pictures == {"me_green-hair.png", "sample-7_blue-skin_x0p5.png", "mine.png"}
    assert [each["status"] for each in told(out)] == ["done", "done", "done", "failed"]
    page = (out / "summary.html").read_text()
    assert page.count("data:image/jpeg") == 2 * len(pictures)
    assert "is not a picture" in page

    # What failed is tried again, and nothing else.
    before = {path: path.stat().st_mtime_ns for path in (out / "pictures").iterdir()}
    (tmp_path / "bad.png").write_bytes(png_of(30, 64))
    assert batch(run, out, tmp_path / "list.csv", "--text", "green hair") == 2
    assert "3 of 4 are done already" in capsys.readouterr().err
    assert [each["status"] for each in told(out)] == ["done"] * 4
    assert (
        before.items()
        <= {path: path.stat().st_mtime_ns for path in (out / "pictures").iterdir()}.items()
    )


@pytest.mark.slow
@pytest.mark.parametrize("form", ["parquet", "webdataset"])
def test_shards(run: Path, out: Path, form: str) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow")
    arguments = ("sample:0-9", "--text", "green hair", "--to", form, "--shard-rows", "4")
    assert batch(run, out, *arguments) == 0
    assert len(list((out / "shards").iterdir())) == 3
    assert list((out / "pictures").iterdir()) == []
    assert Counter(each["file"] for each in told(out)).total() == 10


@pytest.mark.slow
def test_json_and_other_settings(
    run: Path, out: Path, capsys: pytest.CaptureFixture[str], tiny_pack: Path
) -> None:
    arguments = ("sample:0-4", "--text", "green hair")
    assert batch(run, out, *arguments, "--json", "--measure", "0.05") == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["done"], content["failed"], content["done_now"]) == (5, 0, 5)
    assert content["generator_per_second"] > 0
    assert batch(run, out, *arguments, "--no-metadata") == 2
    assert "was begun with another metadata; choose another --out" in refused(capsys)
    assert batch(None, out, *arguments) == 2
    assert "another mapper, settings" in refused(capsys)
    assert batch(run, out, *arguments, "--json") == 0  # nothing is left to do
    assert json.loads(capsys.readouterr().out)["done_now"] == 0


@pytest.mark.slow
def test_a_full_disk_stops_in_one_line_and_goes_on(
    run: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("sample:0-9", "--text", "green hair", "--quiet")
    with room_for(3_000):
        assert batch(run, out, *arguments) == 2
    assert "cannot write" in refused(capsys)
    assert batch(run, out, *arguments) == 0
    assert len(list((out / "pictures").iterdir())) == 10


@pytest.mark.slow
def test_optimised_rows_have_their_own_seeds(
    tmp_path: Path, out: Path, tiny_pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [{"image": "sample:7", "text": "green hair", "seed": seed} for seed in (0, 5)]
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert batch(None, out, tmp_path / "list.jsonl", "--steps", "2") == 0
    session = Session.open(tiny_pack)
    expected = [session.edit("sample:7", "green hair", seed, steps=2).image for seed in (0, 5)]
    names = ("sample-7_green-hair", "sample-7_green-hair_seed5")
    for place, name in enumerate(names):
        made = Image.open(out / "pictures" / f"{name}.png")
        # The worker may have more threads than this process, which changes the last bits.
        apart = [ImageStat.Stat(ImageChops.difference(made, each)).rms for each in expected]
        assert sum(apart[place]) < sum(apart[1 - place])


class Command:
    """`cfclip batch` in a process of its own."""

    def __init__(self, arguments: list[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cfclip", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def wait_for(self, folder: Path, count: int) -> None:
        """Until there are so many pictures, or the process has ended."""
        end = time.monotonic() + TIMEOUT
        while self.process.poll() is None and len(pictures_in(folder)) < count:
            assert time.monotonic() < end
            time.sleep(0.01)

    def finish(self) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode, said


def pictures_in(out: Path) -> list[Path]:
    found = out / "pictures"
    return [path for path in found.iterdir() if path.suffix == ".png"] if found.exists() else []


@pytest.mark.slow
def test_killed_again_and_again(run: Path, out: Path, tmp_path: Path) -> None:
    """At any place of the work; what was there stays as it was, and the end is that of no kill."""
    arguments = options(run, out, "sample:0-999", "--text", "blue skin", "--workers", "2")
    kept: dict[Path, int] = {}
    for kill in range(3):
        command = Command(arguments)
        command.wait_for(out, len(kept) + random.randrange(1, 40))
        time.sleep(random.random() * 0.1)
        command.process.send_signal(signal.SIGKILL)
        assert command.process.wait() == -signal.SIGKILL, command.finish()
        now = {path: path.stat().st_mtime_ns for path in pictures_in(out) if path.name[0] != "."}
        print("kill", kill, "with", len(now), "pictures")
        assert kept.items() <= now.items()  # what is finished is not done again
        kept = now
    status, said = Command(arguments).finish()
    assert status == 0, said
    assert re.search(r"\d+ of 1,000 are done already", said)
    assert kept.items() <= {path: path.stat().st_mtime_ns for path in pictures_in(out)}.items()
    names = [each["name"] for each in told(out)]
    assert names == [f"sample-{seed}_blue-skin" for seed in range(1000)]
    assert {path.stem for path in (out / "pictures").iterdir()} == set(names)

    whole = tmp_path / "whole"
    assert batch(run, whole, "sample:0-999", "--text", "blue skin") == 0
    for path in pictures_in(out):
        assert path.read_bytes() == (whole / "pictures" / path.name).read_bytes()


@pytest.mark.slow
def test_ctrl_c_ends_with_the_rows_at_hand(run: Path, out: Path) -> None:
    arguments = options(run, out, "sample:0-9999", "--text", "blue skin", "--measure", "0.01")
    command = Command(arguments)
    command.wait_for(out, 10)
    command.process.send_signal(signal.SIGINT)
    status, said = command.finish()
    assert status == 130, said
    assert "Traceback" not in said
    counted = re.search(r"stopped; ([\d,]+) of 10,000 results are kept in", said)
    assert counted, said
    assert int(counted[1].replace(",", "")) == len(pictures_in(out)) < 10_000
    assert not [path for path in (out / "pictures").iterdir() if path.name.startswith(".")]
