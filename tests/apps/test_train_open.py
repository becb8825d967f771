"""`cfclip train --open`, and instant edits by what it has trained."""

import json
from pathlib import Path

import pytest
from refusals import refused

from cfclip.apps.cli import main
from cfclip.editing import Session, rerun
from cfclip.editors import BEST, open_mapper_metadata
from cfclip.packs import OPEN_MAPPER_FILE, assemble_pack

FEW = (
    *("--steps", "2", "--batch", "3", "--samples", "8", "--validation", "2"),
    *("--validate-every", "1", "--pairs", "2"),
)


def refusal(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(command) == 2
    return refused(capsys)


@pytest.fixture(scope="module")
def run(tiny_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("open") / "run"
    assert main(["train", "--open", "--pack", str(tiny_pack), "--out", str(out), *FEW]) == 0
    return out


def test_it_learns_what_the_aspects_say_but_what_is_left_out(
    tiny_pack: Path, run: Path, tmp_path: Path
) -> None:
    session = Session.open(tiny_pack)
    aspects = session.pack.manifest.aspects
    values = [text for texts in aspects.values() for text in texts]
    told = open_mapper_metadata(run / BEST)
    assert told["prompts"][: len(values)] == values
    assert len(told["prompts"]) == len(values) + 2
    assert (told["settings"]["mapper"], told["settings"]["optimizer"]) == ("open", "adamw")
    (tmp_path / "held").write_text(f"{values[0]}\n\n{values[1]}\n")
    out = tmp_path / "run"
    held = ("--leave-out", str(tmp_path / "held"), "--pack", str(tiny_pack), "--out", str(out))
    assert main(["train", "--open", *held, *FEW]) == 0
    prompts = open_mapper_metadata(out / BEST)["prompts"]
    assert not [prompt for prompt in prompts if values[0] in prompt or values[1] in prompt]


def test_an_instant_edit_takes_any_text(run: Path, tiny_pack: Path, tmp_path: Path) -> None:
    edit = ["edit", "sample:1", "--pack", str(tiny_pack), "--method", "instant", "--out"]
    texts = ("--text", "a violin", "--text", "red hair")
    assert main([*edit, str(tmp_path / "out"), "--files", str(run), *texts]) == 0
    (record,) = (tmp_path / "out").glob("*.json")
    told = json.loads(record.read_text())
    assert (told["method"], told["steps"], told["seed"]) == ("instant", 0, None)
    assert rerun(record, pack=tiny_pack).identical


def test_the_mapper_of_a_pack_needs_no_file(
    run: Path, tiny_pack_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit = ["edit", "sample:1", "red hair", "--pack", str(tiny_pack_copy), "--method", "instant"]
    edit += ["--out", str(tmp_path / "out")]
    assert "has no open mapper; train one (cfclip train --open" in refusal(edit, capsys)
    manifest = Session.open(tiny_pack_copy).pack.manifest
    (tiny_pack_copy / OPEN_MAPPER_FILE).write_bytes((run / BEST).read_bytes())
    assemble_pack(tiny_pack_copy, manifest)
    assert main(edit) == 0
    (record,) = (tmp_path / "out").glob("*.json")
    assert json.loads(record.read_text())["files"] == []
    assert rerun(record, pack=tiny_pack_copy).identical


def test_what_cannot_be_learned_is_refused(
    run: Path, tiny_pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = ["train", "--open", "--pack", str(tiny_pack), "--out", str(tmp_path / "run"), *FEW]
    assert "leave out --text" in refusal([*train, "--text", "green hair"], capsys)
    assert "leave out --start" in refusal([*train, "--start", str(run)], capsys)
    assert "pairs is -1" in refusal([*train, "--pairs", "-1"], capsys)
    (tmp_path / "held").write_text("a violin\n")
    error = refusal([*train, "--leave-out", str(tmp_path / "held")], capsys)
    assert "'a violin' is to be left out, but is no value of an aspect" in error
    apply = ["apply", str(run), "sample:1", "--text", "red hair", "--pack", str(tiny_pack)]
    assert "its format is 'cfclip.open_mapper.v1'" in refusal(
        [*apply, "--out", str(tmp_path / "none")], capsys
    )
