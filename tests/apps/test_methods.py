"""Every method by the command line: its settings are options, its files are given, it is rerun."""

import json
from pathlib import Path

import pytest
from network_files import write_identity, write_vgg
from refusals import refused
from tiny_methods import FEW, GREEN, files

from cfclip.apps.cli import main
from cfclip.editing import METHODS


@pytest.fixture(autouse=True)
def packs(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))


def refused_by(capsys: pytest.CaptureFixture[str], command: list[str]) -> str:
    assert main(command) == 2
    return refused(capsys)


def options(name: str, method_files: Path) -> list[str]:
    given = [f"--files={each}" for each in files(name, method_files)]
    quick = [f"--{key}={value}" for key, value in FEW.items() if METHODS[name].optimises]
    return ["--method", name, "--pack", "tiny", *given, *quick]


@pytest.mark.parametrize("name", METHODS)
def test_edit_and_rerun(
    method_files: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    strengths = ["--strength", "0.5", "1"]
    command = ["edit", "sample:5", GREEN, "--out", str(out), *options(name, method_files)]
    assert main([*command, *strengths, "--quiet"]) == 0
    record = out / "sample-5_green-hair.json"
    assert json.loads(record.read_text())["method"] == name
    assert main(["rerun", str(record), "--out", str(tmp_path / "again"), "--quiet"]) == 0
    for image in out.glob("*.png"):
        assert image.read_bytes() == (tmp_path / "again" / image.name).read_bytes()
    capsys.readouterr()


def test_a_batch_by_any_method(
    method_files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [*options("styleclip-global", method_files), "--beta", "0.01", "--text", GREEN]
    command = ["batch", "sample:0-2", "--out", str(tmp_path / "out"), *chosen, "--workers", "1"]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["done"] == 3
    assert main([*command, "--json"]) == 0  # which goes on, with nothing left
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["done_now"] == 0
    changed_nothing = [*command, "--beta", "0.99", "--json"]  # of two values, the last counts
    changed_nothing[3] = str(tmp_path / "nothing")
    assert main(changed_nothing) == 0
    capsys.readouterr()
    results = (tmp_path / "nothing" / "results.jsonl").read_text()
    assert results.count("no channel's cosine with the text is above beta 0.99") == 3
    other = [*command[:-1], "2", "--alpha", "9"]
    assert "settings" in refused_by(capsys, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "magic"], "method is 'magic', expected one of optimisation, mapper, "),
        (["--method", "mapper"], "0 files are given for mapper, expected 1 (--files): a run of"),
        (["--method", "mapper", "--files", "nonesuch"], "there is no mapper"),
        (["--files", "nonesuch"], "1 files are given for optimisation, expected 0"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["edit", "sample:5", GREEN, "--pack", "tiny", "--out", str(tmp_path / "out")]
    assert message in refused_by(capsys, [*command, *arguments])


@pytest.mark.parametrize(
    ("name", "shown", "hidden"), [("styleclip-global", "--alpha", "--steps"), ("", "--steps", "")]
)
def test_help_tells_the_settings_of_a_method(
    name: str, shown: str, hidden: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["edit", "--help", "--pack", "tiny", *(["--method", name] if name else [])])
    told = capsys.readouterr().out
    assert shown in told
    assert not hidden or hidden not in told
    assert all(each in told for each in ("optimisation", "styleclip-mapper", "--files"))


def test_a_mapper_that_knows_one_text_needs_none(
    method_files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def edit(run: str) -> list[str]:
        mapper = ["--method", "mapper", f"--files={method_files / run}"]
        return ["edit", "sample:5", "--pack", "tiny", *mapper, "--out", str(tmp_path / "out")]

    assert main(edit("latent")) == 0
    assert (tmp_path / "out" / "sample-5_green-hair.png").exists()
    capsys.readouterr()
    assert "this mapper was trained for 2 texts, give one" in refused_by(capsys, edit("text"))
    assert "exists already" in refused_by(capsys, edit("latent"))


def test_of_several_methods_the_last_is_taken(method_files: Path, tmp_path: Path) -> None:
    chosen = options("styleclip-global", method_files)
    command = ["edit", "sample:5", GREEN, "--method", "mapper", *chosen, "--beta", "0.01"]
    assert main([*command, "--quiet", "--out", str(tmp_path)]) == 0


def test_terms_that_need_networks(
    method_files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    identity = write_identity(tmp_path / "identity.pth")
    perceptual = write_vgg(tmp_path / "vgg.pth")
    command = ["edit", "sample:5", GREEN, "--pack", "tiny", "--steps", "2", "--quiet"]
    weights = ["--identity", "0.5", "--perceptual", "0.5"]
    out = tmp_path / "out"
    given = ["--identity-network", str(identity), "--perceptual-network", str(perceptual)]
    assert main([*command, *weights, *given, "--out", str(out)]) == 0
    record = out / "sample-5_green-hair.json"
    assert {"identity", "perceptual"} <= set(json.loads(record.read_text())["loss"])
    assert main(["rerun", str(record), "--out", str(tmp_path / "again"), "--quiet"]) == 0
    elsewhere = tmp_path / "elsewhere"
    files = [f"--files={identity}", f"--files={perceptual}"]
    assert main([*command, *weights, *files, "--out", str(elsewhere)]) == 0
    for folder in (tmp_path / "again", elsewhere):
        image = folder / "sample-5_green-hair.png"
        assert image.read_bytes() == (out / image.name).read_bytes()
    rows = ["batch", "sample:5", "--text", GREEN, "--pack", "tiny", "--steps", "2", "--quiet"]
    assert main([*rows, *weights, *files, "--workers", "1", "--out", str(tmp_path / "rows")]) == 0
    capsys.readouterr()
    for options, line in (
        (given, "perceptual is 0, which leaves its network unused; give it a weight"),
        (
            weights,
            "perceptual is 0.5, but there is no network for it; give its file (--perceptual-",
        ),
        (
            weights[:2],
            "0 files are given for optimisation, expected 1 (--files): the network of id",
        ),
    ):
        assert line in refused_by(capsys, [*command, *options, "--out", str(tmp_path / "none")])
    few = [*command, *weights, *files[:1], "--out", str(out)]
    line = "1 files are given for optimisation, expected 2 (--files): the network of identity and"
    assert line in refused_by(capsys, [*few, "--overwrite"])
