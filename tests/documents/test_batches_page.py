"""docs/BATCHES.md: its commands run, its example of a list is one, its numbers are the code's."""

import json
import re
import shlex
import tarfile
from pathlib import Path

import pytest
from png_bytes import png_of
from tiny_jobs import write_mapper

from cfclip.apps.batch import Batch
from cfclip.apps.cli import main, parse
from cfclip.batches import find_entries
from cfclip.batches.finished import SHARD_ROWS
from cfclip.batches.packing import ParquetPacker
from cfclip.batches.rows import Entry
from cfclip.batches.summary_page import EXAMPLES

PAGE = (Path(__file__).parents[2] / "docs" / "BATCHES.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^cfclip .*$", PAGE, re.MULTILINE)
QUICK = "--pack tiny --workers 1 --projection.steps 0 --projection.warn-below-psnr 0"


@pytest.fixture
def here(tmp_path: Path, tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the page starts from."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))
    write_mapper(tmp_path / "runs" / "green", tiny_pack, ["green hair"])
    write_mapper(tmp_path / "runs" / "all", tiny_pack)
    for folder in ("photos/deep", "faces", "shards"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("photos/a.png", "photos/deep/c.png", "faces/a.png", "faces/b.png"):
        (tmp_path / name).write_bytes(png_of(len(name), 64))
    with tarfile.open("shards/0.tar", "w") as archive:
        archive.add("photos/a.png", "a.png")
    (tmp_path / "list.csv").write_text(example_list())
    return tmp_path


def example_list() -> str:
    (block,) = re.findall(r"^```csv\n(image,.*?)```", PAGE, re.DOTALL | re.MULTILINE)
    assert isinstance(block, str)
    return block


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command: str) -> None:
    assert isinstance(parse(shlex.split(command)[1:]), Batch)


@pytest.mark.slow
@pytest.mark.parametrize("command", [each for each in COMMANDS if "--address" not in each])
def test_command_runs(here: Path, command: str) -> None:
    if "ray" in command:
        pytest.importorskip("ray")
    arguments = shlex.split(command.replace("sample:0-999", "sample:0-9"))[1:]
    shorter = [] if "--mapper" in arguments else ["--steps", "2"]
    assert main([*arguments, *shlex.split(QUICK), *shorter]) == 0
    lines = (Path(arguments[arguments.index("--out") + 1]) / "results.jsonl").read_text()
    assert {json.loads(line)["status"] for line in lines.splitlines()} == {"done"}


def test_the_example_of_a_list(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(example_list())
    found = list(find_entries([str(tmp_path / "list.csv")], None, lambda line: None))
    assert [(each.text, each.strength) for each in found if isinstance(each, Entry)] == [
        ("green hair", None),
        ("blue skin", 0.5),
        ("blue skin", None),
    ]


def test_its_numbers_and_columns() -> None:
    assert f"{EXAMPLES} of the results" in PAGE
    assert f"rows each ({SHARD_ROWS:,})" in PAGE
    assert f"at a time ({Batch(('x',), out=Path('x')).batch})" in PAGE
    (columns,) = re.findall(r"has the columns (.*?),? the bytes", PAGE, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", columns)) == set(ParquetPacker.columns)
