"""The page about weights: its command and its Python run, its limits are those of the code."""

import re
import shlex
from pathlib import Path

import pytest
from foreign_files import nvidia_pickle, nvidia_state
from tiny_models import tiny_generator

from cfclip import pickle_values, weights
from cfclip.apps.cli import main

PAGE = (Path(__file__).parents[1] / "docs" / "WEIGHTS.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^cfclip .*$", PAGE, re.MULTILINE)
PYTHON = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "network.pkl").write_bytes(nvidia_pickle(nvidia_state(tiny_generator())))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_its_command_runs(folder: Path) -> None:
    (command,) = COMMANDS
    assert main(shlex.split(command)[1:]) == 0
    assert (folder / "generator.safetensors").is_file()


def test_its_python_runs() -> None:
    (code,) = PYTHON
    exec(compile(code, "WEIGHTS.md", "exec"), {})


def test_its_limits_are_those_of_the_code() -> None:
    budget = pickle_values.Budget()
    assert f"{budget.tensors:,} tensors, {budget.opcodes:,} pickle opcodes" in " ".join(
        PAGE.split()
    )
    assert f"{budget.text_bytes >> 20} MiB of text" in PAGE
    assert budget.tensors == weights._MAX_TENSORS
