"""`cfclip train` on two processes: one of them speaks, and Ctrl-C stops both."""

import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_process import TIMEOUT, Together, environment
from tiny_training import stop_after, tiny_config

from cfclip.apps.cli import parse
from cfclip.apps.train import Train
from cfclip.editing import Session
from cfclip.editors import BEST, LAST, text_mapper_metadata
from cfclip.fitting import find_latents, train_mapper
from cfclip.training import CHECKPOINT

FEW = "--batch 3 --validate-every 3 --validation 4 --samples 20 --augmentations 2"
MANY = 100_000


def command(out: Path, *options: str) -> list[str]:
    texts = ["--text", "green hair", "--text", "blue skin"]
    return ["-m", "cfclip", "train", "--pack", "tiny", "--out", str(out), *texts, *options]


def test_the_page_on_training_has_a_command_that_is_understood() -> None:
    page = (Path(__file__).parents[2] / "docs" / "TRAINING.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^torchrun (.*)$", page, re.MULTILINE)
    given = shlex.split(line)
    assert given[:4] == ["--nproc-per-node", "2", "-m", "cfclip"]
    assert isinstance(parse(given[4:]), Train)


@pytest.mark.slow
def test_only_the_first_process_tells_what_is_wrong(tiny_pack: Path, tmp_path: Path) -> None:
    for options, line in (
        ("--batch 1", "batch is 1, which 2 processes cannot share"),
        ("--steps 0", "steps is 0, it must be a number at least 1"),
        ("--resume", "there is no training in"),
    ):
        given = command(tmp_path / "run", *FEW.split(), *options.split())
        first, second = Together(2, given, {"CFCLIP_PACKS": str(tiny_pack.parent)}).wait()
        assert (first.status, second.status) == (2, 2), second.errors
        assert line in first.errors
        assert first.errors.count("\n") == 1, first.errors
        assert second.errors == ""


@pytest.mark.slow
def test_torchrun_trains_and_ctrl_c_stops_all(tiny_pack: Path, tmp_path: Path) -> None:
    out, variables = tmp_path / "run", {"CFCLIP_PACKS": str(tiny_pack.parent)}
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    process = subprocess.Popen(
        [sys.executable, *launcher, *command(out, *FEW.split(), "--steps", str(MANY))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(variables),
    )
    try:
        until = time.monotonic() + TIMEOUT
        while not (out / BEST).exists():  # three steps are made
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        told, errors = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    assert process.returncode
    assert told == f"{out / BEST}\n"
    assert errors.count("cfclip: error: ") == errors.count("cfclip: error: stopped at step ") == 1
    assert "the same command with --resume goes on from there" in errors
    step = text_mapper_metadata(out / LAST)["step"]
    assert f"stopped at step {step} of {MANY};" in errors

    session, config = Session.open(tiny_pack), tiny_config(steps=MANY)
    latents = find_latents(session, config).sets
    before = (out / CHECKPOINT).read_bytes()
    gone_on = train_mapper(
        session,
        ("green hair", "blue skin"),
        latents,
        out,
        config,
        resume=True,
        callback=stop_after(step + 2),
    )
    assert gone_on.outcome.step == step + 2
    assert (out / CHECKPOINT).read_bytes() != before
