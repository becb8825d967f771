"""The whole recipe through its commands, every model and every number of steps made tiny."""

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from PIL import Image

from cfclip.editing import Session
from cfclip.embedders import MERGES_FILE, load_clip, read_clip, save_clip
from recipes.avatars.__main__ import main
from recipes.avatars.held_out import edits_of, held_out
from recipes.avatars.warm_start import STAGES

TEST_EDITS = edits_of("test")
SIDE = 64
STEPS = ("--steps", 2, "--threads", 1)
SIZES = (
    *("--resolution", SIDE, "--z-dim", 32, "--w-dim", 256, "--mapping-layers", 4),
    *("--channels", 8, 8, 8, 8, 4),
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def command(*arguments: object) -> None:
    main([str(argument) for argument in arguments])


def render(folder: Path, distribution: str, count: int, seed: int) -> Path:
    out = folder / f"{distribution}-{seed}"
    options = ("--count", count, "--seed", seed, "--resolution", SIDE)
    command("render", "--distribution", distribution, "--out", out, *options)
    return out


def models(made: Path) -> tuple[object, ...]:
    return (
        *("--generator", made / "generator" / STAGES[-1] / "generator.safetensors"),
        *("--clip", made / "clip" / "clip"),
        *("--encoder", made / "encoder" / "encoder.safetensors"),
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with datasets, every trained model, and the pack."""
    folder = tmp_path_factory.mktemp("recipe")
    natural = ("--data", render(folder, "natural", 60, 101))
    everything = ("--data", render(folder, "open", 60, 101))
    render(folder, "natural", 5, 303)
    render(folder, "open", 40, 303)
    short = ("--batch", 4, *STEPS)
    command("train-probes", *everything, "--out", folder / "probes", *short)
    text = ("--text-width", 32, "--text-layers", 1, "--embed-dim", 16)
    command("train-clip", *everything, "--out", folder / "clip", *short, *text)
    command("train-clip", *everything, "--out", folder / "judge", *short, *text, "--role", "judge")
    generator = ("--out", folder / "generator", *SIZES, *STEPS)
    for stage in STAGES:
        command("train-generator", *natural, *generator, "--stage", stage, "--batch", 2)
    encoder = ("--generator", folder / "generator", "--out", folder / "encoder")
    command("train-encoder", *natural, *encoder, *short, "--pixel-images", 2)
    command("assemble", *models(folder), "--out", folder / "tiny")
    return folder


def evaluate(made: Path, *options: object) -> None:
    command(
        "evaluate",
        *("--pack", made / "tiny", "--probes", made / "probes"),
        *("--judge", made / "judge" / "clip"),
        *("--open", made / "open-303", "--natural", made / "natural-303"),
        *("--samples", 6, "--projections", 4, "--avatars", 2, "--threads", 1),
        *("--projection", "steps=1", "--edit", "steps=1", "augmentations=1"),
        *options,
    )


def test_the_pack_opens_and_edits(made: Path) -> None:
    session = Session.open(made / "tiny")
    assert session.generator.resolution == SIDE
    assert session.pack.manifest.name == "avatars"
    result = session.edit("sample:1", "green hair", steps=1, augmentations=1)
    assert result.image.size == (SIDE, SIDE)
    assert not result.warnings  # every word is of the vocabulary
    # The mean latent comes from the trained mapping.
    assert float(session.generator.w_avg.abs().max()) > 0


def test_two_clips_are_averaged(made: Path, tmp_path: Path) -> None:
    own = made / "clip" / "clip"
    model, file = read_clip(own)
    weight = model.visual.get_parameter(next(n for n, _ in model.visual.named_parameters()))
    expected = weight.detach() * 1.25
    weight.data.mul_(1.5)
    moved = tmp_path / "moved"
    save_clip(model, file["model_cfg"], file["preprocess_cfg"], moved)
    shutil.copyfile(own / MERGES_FILE, moved / MERGES_FILE)
    out = ("--out", tmp_path / "mean")
    command("average-clips", "--first", own, "--second", moved, *out)
    mean, mean_file = read_clip(tmp_path / "mean")
    found = mean.visual.get_parameter(next(n for n, _ in mean.visual.named_parameters()))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)  # stored in float16
    assert mean_file == file
    load_clip(tmp_path / "mean").embed_texts(["green hair"])


def test_clips_of_other_sizes_are_not_averaged(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--first", made / "clip" / "clip", "--second", made / "judge" / "clip")
    with pytest.raises(SystemExit):
        command("average-clips", *given, "--out", tmp_path / "mean")
    assert "different sizes or words" in capsys.readouterr().err
    assert not (tmp_path / "mean").exists()


def test_assemble_replaces_packs_and_nothing_else(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(SystemExit):
        command("assemble", *models(made), "--out", tmp_path)
    assert "holds other things than a pack" in capsys.readouterr().err
    assert (tmp_path / "letters.txt").read_text() == "dear"
    out = tmp_path / "pack"
    for version in ("1.0", "1.1"):
        command("assemble", *models(made), "--out", out, "--version", version)
    assert Session.open(out).pack.manifest.version == "1.1"
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(b"cut")
    with pytest.raises(SystemExit):
        command("assemble", *models(made)[:-1], cut, "--out", out, "--version", "1.2")
    assert Session.open(out).pack.manifest.version == "1.1"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cut.safetensors",
        "letters.txt",
        "pack",
    ]


def test_evaluate_measures_resumes_and_reports(
    made: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = ("--out", tmp_path / "figures")
    report = tmp_path / "EVALUATION.md"
    evaluate(made, *out, "--sections", "edits")
    prompt_file = tmp_path / "figures" / "edits" / "green-hair.json"
    first = json.loads((tmp_path / "figures" / "figures.json").read_text())["edits"]
    families = {"hair", "skin", "brow", "lip", "excluded"}
    prompts = {edit.prompt for edit in TEST_EDITS}
    assert set(first["groups"]) == {"all", "colours", *families, *prompts}

    # An interrupted edits section goes on with the prompts that it lacks.
    figures = tmp_path / "figures" / "figures.json"
    content = json.loads(figures.read_text())
    del content["edits"]
    figures.write_text(json.dumps(content))
    (tmp_path / "figures" / "edits" / "red-skin.json").unlink()
    before = prompt_file.stat().st_mtime_ns
    with caplog.at_level(logging.INFO):
        evaluate(made, *out, "--report", report)
    assert prompt_file.stat().st_mtime_ns == before
    assert "red skin: " in caplog.text
    assert "green hair: " not in caplog.text
    content = json.loads(figures.read_text())
    assert set(content) == {
        *("of", "probes", "samples", "clip", "judge", "projection", "edits", "timing")
    }
    for family in families:
        assert set(content["edits"]["gained"][family]) == {"pack", "judge"}
    assert content["edits"]["groups"] == first["groups"]
    assert set(content["clip"]["binding"]) == {"changed", "swapped"}
    assert len((tmp_path / "figures" / "edits.jsonl").read_text().splitlines()) == 2 * len(prompts)
    assert Image.open(tmp_path / "figures" / "edits.png").size == (
        2 * SIDE,
        (1 + len(prompts)) * SIDE,
    )
    assert Image.open(tmp_path / "figures" / "inversions.png").size == (4 * SIDE, 3 * SIDE)
    text = report.read_text()
    for line in ("probe plain", "CLIP zero-shot", "CLIP binding", "PSNR face box", "test edits"):
        assert line in text
    assert "one edit of one picture, warm | at most 15 s |" in text

    # Finished sections are kept.
    caplog.clear()
    with caplog.at_level(logging.INFO):
        evaluate(made, *out)
    assert caplog.text.count(": kept") == 7

    with pytest.raises(SystemExit):
        evaluate(made, *out, "--seed", 1)
    assert "figures.json is of another seed; give another --out" in capsys.readouterr().err


def test_validation_edits_other_prompts(made: Path, tmp_path: Path) -> None:
    evaluate(made, "--out", tmp_path, "--split", "validation", "--sections", "edits")
    groups = json.loads((tmp_path / "figures.json").read_text())["edits"]["groups"]
    assert not {edit.prompt for edit in TEST_EDITS} & set(groups)


def test_a_stage_needs_the_stage_before(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ("--data", made / "natural-101")
    with pytest.raises(SystemExit):
        command("train-generator", *data, "--out", tmp_path, "--stage", STAGES[-1], *STEPS, *SIZES)
    assert f"train --stage {STAGES[-2]} to its end first" in capsys.readouterr().err
    out = ("--generator", tmp_path, "--out", tmp_path / "encoder")
    with pytest.raises(SystemExit):
        command("train-encoder", *data, *out, *STEPS)
    assert f"train --stage {STAGES[-1]} to its end first" in capsys.readouterr().err


def test_the_text_map_goes_into_the_pack(made: Path, tmp_path: Path) -> None:
    pack = shutil.copytree(made / "tiny", tmp_path / "avatars")
    sizes = ("--pictures", 50, "--captions", 2, "--edits", 60, "--threads", 1)
    options = ("--pack", pack, "--data", made / "natural-101", *sizes)
    command("fit-text-map", *options, "--out", tmp_path / "map.safetensors")
    assert Session.open(pack).pack.fingerprint == Session.open(made / "tiny").pack.fingerprint
    command("fit-text-map", *options)
    session = Session.open(pack)
    assert session.pack.text_map().config.fuses
    result = session.edit("sample:1", "green hair", steps=1, augmentations=1, fusion="concatenate")
    assert result.record["settings"]["start"] == "text-map"
    command("fit-text-map", *options)  # again, over its own


def test_a_training_is_scored_as_it_goes(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = (
        *("--pack", made / "tiny", "--natural", made / "natural-303"),
        *("--kept", tmp_path / "inversions", "--avatars", 2, "--every", 2, "--threads", 1),
        *("--prompts", "green hair", "blue lips"),
        *("--settings", "steps=3", "batch=2", "samples=8", "validation=2", "augmentations=1"),
    )
    command("measure-training", *options, "--out", out)
    rows = [json.loads(line) for line in (out / "curve.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 3]
    assert rows[1]["seconds"] > rows[0]["seconds"] > 0
    assert {"hair", "lip", "green hair", "blue lips", "all"} <= set(rows[0])
    assert 0 <= rows[0]["all"]["preservation"] <= 1
    assert ElementTree.parse(out / "curve.svg").getroot().tag.endswith("svg")
    command("measure-training", *options, "--out", out)  # there is nothing left to do
    assert len((out / "curve.jsonl").read_text().splitlines()) == 2


def test_inversions_are_kept_for_the_avatars_that_they_are_of(made: Path, tmp_path: Path) -> None:
    session = Session.open(made / "tiny")
    one, other = (
        held_out(session, made / name, 2, tmp_path) for name in ("natural-303", "natural-101")
    )
    assert not torch.equal(one.inversion.latents, other.inversion.latents)
    again = held_out(session, made / "natural-303", 2, tmp_path)
    assert torch.equal(again.inversion.latents, one.inversion.latents)


def test_starts_are_compared(made: Path, tmp_path: Path) -> None:
    pack = shutil.copytree(made / "tiny", tmp_path / "avatars")
    sizes = ("--pictures", 50, "--captions", 2, "--edits", 60, "--threads", 1)
    command("fit-text-map", "--pack", pack, "--data", made / "natural-101", *sizes)
    out = tmp_path / "out"
    options = (
        *("--pack", pack, "--natural", made / "natural-303", "--out", out),
        *("--kept", tmp_path / "inversions", "--avatars", 2, "--every", 1, "--threads", 1),
        *("--prompts", "green hair", "--settings", "steps=2", "augmentations=1", "patience=0"),
    )
    command("measure-starts", *options)
    figures = json.loads((out / "starts.json").read_text())
    assert list(figures) == ["source", "add", "difference", "concatenate"]
    kept = out / "source-green-hair.json"
    found = json.loads(kept.read_text())
    assert len(found["scores"]) == len(found["reached"]) == 2
    # Success at the end was also reached on the way.
    for score, step in zip(found["scores"], found["reached"], strict=True):
        assert not score["success"] or step in (0, 1, 2)
    before = kept.stat().st_mtime_ns
    command("measure-starts", *options)
    assert kept.stat().st_mtime_ns == before
