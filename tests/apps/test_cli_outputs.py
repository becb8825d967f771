"""Odd names, colliding outputs and work that is too large: one line, and nothing is lost."""

import json
import os
import resource
import sys
from pathlib import Path

import pytest
from PIL import Image
from refusals import refused
from tiny_jobs import write_mapper

from cfclip.apps.cli import main
from cfclip.editing import Session
from cfclip.editing.sources import MOST_SAMPLES

TEXT = "green hair"


@pytest.fixture(autouse=True)
def packs(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))


def paint(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.linear_gradient("L").convert("RGB").save(path)
    return path


def edit(*arguments: object) -> int:
    return main(["edit", *map(str, arguments), "--pack", "tiny"])


def test_a_name_that_is_not_utf8_is_edited_like_any_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    paint(folder / "z.png").rename(Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png")))
    paint(folder / "z.png")
    assert edit(folder, TEXT, "--out", out) == 0
    records = list(out.glob("*.json"))
    assert len(records) == 2
    assert "caf" in capsys.readouterr().out
    for record in records:
        assert main(["rerun", str(record), "--out", str(tmp_path / record.stem)]) == 0


def test_a_hidden_file_gets_results_that_are_seen(tmp_path: Path) -> None:
    picture = paint(tmp_path / "in" / ".me.png")
    assert edit(picture, TEXT, "--out", tmp_path / "out") == 0
    assert (tmp_path / "out" / "me_green-hair.png").is_file()


def test_names_that_are_too_long_are_told_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = paint(tmp_path / "in" / ("a" * 245 + ".png"))
    assert edit(picture, TEXT, "--out", tmp_path / "out") == 2
    assert "choose a shorter or plainer name" in refused(capsys)
    longest = paint(tmp_path / "in" / ("b" * 228 + ".png"))
    assert edit(longest, TEXT, "--out", tmp_path / "out") == 0


def test_no_picture_that_is_to_be_edited_is_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    paint(folder / "x.png")
    kept = paint(folder / "x_green-hair.png").read_bytes()
    assert edit(folder, TEXT, "--out", folder, "--overwrite") == 2
    assert "is to be worked on" in refused(capsys)
    assert (folder / "x_green-hair.png").read_bytes() == kept


def test_a_rerun_that_differs_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert edit("sample:1", TEXT, "--out", tmp_path) == 0
    record = tmp_path / "sample-1_green-hair.json"
    content = json.loads(record.read_text())
    content["outputs"][0]["pixels_sha256"] = "0" * 64
    record.write_text(json.dumps(content))
    capsys.readouterr()
    assert main(["rerun", str(record), "--out", str(tmp_path / "again"), "--quiet"]) == 2
    assert "differs from the recorded one" in refused(capsys)


def test_a_list_of_packs_with_a_broken_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "pack.toml").write_text("no toml at all [")
    monkeypatch.setenv("CFCLIP_PACKS", str(tmp_path))
    assert main(["packs", "list"]) == 2
    assert "avatars" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [["edit", f"sample:1-{MOST_SAMPLES + 1}", TEXT], ["sample", "--count", str(MOST_SAMPLES + 1)]],
)
def test_too_many_samples(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--pack", "tiny", "--out", str(tmp_path)]) == 2
    assert f"from 1 to {MOST_SAMPLES:,}" in refused(capsys)


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_too_little_memory_is_one_line_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    held = int(fields["VmData"].split()[0]) * 1024
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (held + 2**31, hard))
    try:
        assert edit("sample:1-2", TEXT, "--augmentations", "1000000", "--out", tmp_path) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    lines = capsys.readouterr().err.splitlines()
    assert [line.count("not enough memory") for line in lines] == [1, 1, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--layers", "0-40"), "layers is '0-40'"),
        (("--source-text", "hair " * 60), "tokens"),
        (("--objective", "logit", "--unrealistic-text", "hair " * 60), "tokens"),
    ],
)
def test_settings_are_checked_once_and_before_any_inversion(
    tmp_path: Path,
    options: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("a.png", "b.png"):
        paint(tmp_path / "in" / name)
    assert edit(tmp_path / "in", TEXT, *options, "--out", tmp_path / "out") == 2
    assert message in refused(capsys)


def test_a_sample_of_another_truncation_is_not_called_by_the_name_of_the_default(
    tmp_path: Path, tiny_pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sample", "--seed", "7", "--pack", "tiny", "--json"]
    for truncation in ([], ["--truncation", "1"]):
        assert main([*command, *truncation, "--out", str(tmp_path / str(len(truncation)))]) == 0
        told = json.loads(capsys.readouterr().out)
        assert ("source" in told) == (not truncation)
        made = Session.open(tiny_pack).sample(1, 7, told["truncation"])[0]
        with Image.open(told["image"]) as written:
            assert written.tobytes() == made.image.tobytes()


@pytest.mark.parametrize("out", ["a" * 300, "loop", "loop/folder", "a/" * 3000])
@pytest.mark.parametrize(
    "command",
    [
        ("apply", "mapper", "sample:1"),
        ("edit", "sample:1", "green hair"),
        ("sample",),
        ("invert", "sample:1"),
        ("packs", "create", "--name", "a", "--generator", "a", "--source-text", "a"),
        ("batch", "sample:1", "--text", "green hair"),
        ("train", "--text", "green hair"),
    ],
)
def test_a_place_that_cannot_be_is_refused_in_a_line(
    command: tuple[str, ...],
    out: str,
    tiny_pack: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    write_mapper(Path("mapper"), tiny_pack, ["green hair"])
    pack = () if command[0] == "packs" else ("--pack", str(tiny_pack))
    assert main([*command, *pack, "--out", out]) == 2
    assert len(refused(capsys)) <= 502


@pytest.mark.parametrize("option", ["--seed", "--quiet"])
def test_a_usage_error_is_short_whatever_was_given(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", "--out", "a", option, "a/" * 50_000]) == 2
    assert "argument 5 has 100,000 characters, 'a/a/" in refused(capsys)
    with pytest.raises(SystemExit, match="2"):
        main(["sample", "--out", "a", option, "a/" * 2048])
    assert len(capsys.readouterr().err.splitlines()) <= 80
