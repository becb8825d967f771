"""`cfclip train` on the tiny pack: what it writes, says, refuses and resumes."""

import json
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from refusals import refused
from safetensors.torch import load_file

from cfclip.apps.cli import main, parse
from cfclip.apps.console import stop_requests
from cfclip.apps.train import Train
from cfclip.editing import Session, training_settings
from cfclip.editors import BEST, LAST, text_mapper_metadata
from cfclip.errors import PackError
from cfclip.packs import Pack, PackDefaults, assemble_pack
from cfclip.training import CHECKPOINT, TrainingConfig

FEW = "--steps 4 --batch 2 --validate-every 2 --validation 2 --samples 10 --augmentations 2"
TIMEOUT = 120.0


@pytest.fixture(autouse=True)
def packs(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


def train(out: Path, *arguments: object, text: str | None = "green hair") -> int:
    texts = [] if text is None else ["--text", text]
    options = [*FEW.split(), *texts, *map(str, arguments)]
    return main(["train", "--pack", "tiny", "--out", str(out), *options])


def assert_same_tensors(found: Path, expected: Path) -> None:
    """Bit for bit; what files tell of themselves may differ."""
    tensors, others = load_file(found), load_file(expected)
    assert tensors.keys() == others.keys()
    assert all(torch.equal(tensors[name], others[name]) for name in tensors)


def pictures(tiny_pack: Path, folder: Path, count: int = 4) -> Path:
    folder.mkdir()
    for source in Session.open(tiny_pack).sample(count):
        source.image.save(folder / f"{source.name}.png")
    return folder


def test_a_training_writes_and_tells(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(out) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{out / BEST}\n"
    assert captured.err.startswith("validation loss ")
    assert {BEST, LAST, CHECKPOINT} < {path.name for path in out.iterdir()}


def test_json_and_quiet(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(out, "--json", "--quiet") == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert (told["mapper"], told["step"], told["finished"]) == (str(out / BEST), 4, True)
    assert captured.err == ""


def test_several_texts_and_a_file_of_them(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("blue skin\n\ngreen hair\n")
    assert train(out, "--text", "a smile", "--texts", file) == 0
    assert "'green hair' was given more than once" in capsys.readouterr().err
    prompts = ["green hair", "a smile", "blue skin"]
    assert text_mapper_metadata(out / BEST)["prompts"] == prompts


def test_a_file_of_texts_can_be_extended(tmp_path: Path, out: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("green hair\n")
    assert train(out, "--texts", file, text=None) == 0
    file.write_text("green hair\nblue skin\n")
    more = tmp_path / "more"
    assert train(more, "--texts", file, "--start", out, text=None) == 0
    assert text_mapper_metadata(more / BEST)["prompts"] == ["green hair", "blue skin"]


def test_resuming(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(out, "--resume") == 2
    assert "there is no training in" in refused(capsys)
    assert train(out) == 0
    capsys.readouterr()
    assert train(out) == 2
    assert "go on with it (--resume)" in refused(capsys)
    assert train(out, "--resume", "--lr", "0.1") == 2
    assert "(lr 0.5, now 0.1)" in refused(capsys)
    assert train(out, "--resume") == 0


def extended(out: Path, *options: str) -> int:
    return train(out, "--resume", "--steps", "8", *options)


def test_a_finished_training_is_extended_as_if_it_had_been_longer(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    even = ("--ramp-up", "0", "--ramp-down", "0")
    assert train(out, *even) == 0
    capsys.readouterr()
    assert extended(out, *even) == 0
    assert "warning" not in capsys.readouterr().err
    whole = out.with_name("whole")
    assert train(whole, *even, "--steps", "8") == 0
    for name in (BEST, LAST):
        assert_same_tensors(out / name, whole / name)
    assert text_mapper_metadata(out / LAST)["extended"] == [4]
    assert "extended" not in text_mapper_metadata(whole / LAST)


def test_an_extended_training_says_that_its_rate_rose_again(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(out) == 0
    capsys.readouterr()
    assert extended(out) == 0
    error = capsys.readouterr().err
    assert "warning: a finished training of 4 steps was extended: its learning rate had" in error
    assert "--ramp-up 0 --ramp-down 0" in error
    assert extended(out) == 0  # nothing is left to do
    assert train(out, "--resume", "--steps", "10") == 0
    assert text_mapper_metadata(out / LAST)["extended"] == [4, 8]
    assert text_mapper_metadata(out / LAST)["step"] == 10


def test_only_a_finished_training_is_extended_and_never_cut(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(out) == 0
    capsys.readouterr()
    assert train(out, "--resume", "--steps", "3") == 2
    assert "(steps 4, now 3)" in refused(capsys)
    assert extended(out, "--lr", "0.1") == 2
    assert "(lr 0.5, now 0.1)" in refused(capsys)


def test_pictures_that_fail_are_named_and_counted(
    tmp_path: Path, tiny_pack: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pictures(tiny_pack, tmp_path / "pictures")
    (folder / "bad.png").write_bytes(b"")
    assert train(out, "--latents", folder, "--projection.steps", "0") == 2
    captured = capsys.readouterr()
    assert captured.out == f"{out / BEST}\n"
    assert "bad.png is empty" in captured.err
    assert captured.err.splitlines()[-1] == "4 of 5 pictures done"
    assert len(list((out / "inversions").iterdir())) == 4


def test_a_file_of_latents(tmp_path: Path, tiny_pack: Path, out: Path) -> None:
    latents = torch.stack([source.latents for source in Session.open(tiny_pack).sample(5)])
    torch.save(latents, tmp_path / "latents.pt")
    assert train(out, "--latents", tmp_path / "latents.pt") == 0
    assert text_mapper_metadata(out / BEST)["latents"].startswith("latents.pt (")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--steps", "0"), "steps is 0"),
        (("--text", " "), "empty"),
        (("--text", "hair " * 40), "tokens"),
        (("--texts", "nothing.txt"), "nothing.txt: cannot read it"),
        (("--latents", "nothing.pt"), "there is no latents file"),
        (("--identity", "0.2"), "no network for it; give its file (--identity-network)"),
        (("--identity", "0.2", "--identity-network", "nothing"), "there is no checkpoint"),
        (("--perceptual-network", "nothing"), "perceptual is 0"),
        (("--start", "nothing"), "there is no mapper"),
        (("--device", "gpu"), "unknown device"),
        (("--groups", "fine", "--steps", "2"), "coarse, medium"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    out: Path, options: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(out, *options) == 2
    assert why in refused(capsys)
    assert not (out / CHECKPOINT).exists()


def test_no_text(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(out, text=None) == 2
    assert "no prompt; describe the edit" in refused(capsys)


def test_an_empty_folder(tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert train(out, "--latents", tmp_path / "empty") == 2
    assert "has no pictures" in refused(capsys)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_training_goes_on(
    out: Path, number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop() -> None:
        end = time.monotonic() + TIMEOUT
        while not (out / CHECKPOINT).exists() and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.2)
        os.kill(os.getpid(), number)

    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    thread = threading.Thread(target=stop)
    thread.start()
    assert train(out, "--steps", "100000") == 130
    thread.join()
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before
    error = capsys.readouterr().err.splitlines()[-1]
    assert "of 100000; the same command with --resume goes on from there" in error
    assert (out / LAST).is_file()


def test_a_second_ctrl_c_is_not_waited_for() -> None:
    with stop_requests() as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_pack_has_defaults_of_its_own(tiny_pack_copy: Path) -> None:
    pack = Pack.open(tiny_pack_copy)
    own = replace(pack.manifest, defaults=PackDefaults(training={"lr": 0.125, "aspects": 2}))
    assemble_pack(tiny_pack_copy, own)
    arguments = ["train", "--pack", str(tiny_pack_copy), "--out", "run", "--text", "blue hair"]

    def settings(*more: str) -> TrainingConfig:
        command = parse([*arguments, *more])
        assert isinstance(command, Train)
        return command.settings

    assert settings() == TrainingConfig(lr=0.125, aspects=2.0)
    assert settings("--lr", "1") == TrainingConfig(lr=1.0, aspects=2.0)
    assert settings("--preset", "cfclip") == TrainingConfig()
    assert training_settings(own, steps=7) == TrainingConfig(steps=7, lr=0.125, aspects=2.0)
    with pytest.raises(PackError, match=r"defaults of pack .* do not fit: batch"):
        training_settings(replace(own, defaults=PackDefaults(training={"batch": 0})))


def test_a_preset_gives_the_defaults(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    preset = ("--preset", "styleclip-mapper")
    assert train(out, *preset) == 2
    assert "identity is 0.1, but there is no network for it" in refused(capsys)
    assert train(out, *preset, "--identity", 0, "--text", "blue skin") == 2
    assert "2 texts are given, but a latent mapper learns one" in refused(capsys)
    assert train(out, *preset, "--identity", 0, "--lr", "0.25") == 0
    settings = text_mapper_metadata(out / BEST)["settings"]
    assert (settings["mapper"], settings["objective"]) == ("latent", "global")
    assert (settings["latent_l2"], settings["bare_prompt"], settings["lr"]) == (0.8, True, 0.25)
    applied = ["apply", str(out), "sample:1", "--pack", "tiny", "--out", str(out / "edited")]
    assert main(applied) == 0
    assert main([*applied, "--overwrite", "--text", "blue skin"]) == 2
    assert "this mapper knows one edit, 'green hair', not 'blue skin'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        train(out, "--preset", "styleclip")
