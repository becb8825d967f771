"""`cfclip bench --confined`: every method once more, its kept edits confined."""

from dataclasses import replace
from pathlib import Path

import pytest
from few_prompts import PROMPTS
from refusals import refused
from tiny_models import tiny_generator
from tiny_parts import tiny_parts

from cfclip.apps.cli import main
from cfclip.editing import Session
from cfclip.fitting import FittedParts, keep_parts
from cfclip.packs import Pack
from cfclip.regions import ChosenRegion
from cfclip_benchmark import RowLog

METHODS = ("cfclip-optimisation", "directional-optimisation")
ASPECTS = {"hair": ("hair",), "skin": ("skin",)}


@pytest.fixture
def pack(tiny_pack_copy: Path) -> Path:
    """The tiny pack with parts of its generator's."""
    opened = Pack.open(tiny_pack_copy)
    parts = tiny_parts(opened.generator(), ASPECTS, opened.mapped_models)
    keep_parts(opened, FittedParts(parts, {}))
    return tiny_pack_copy


def bench(out: Path, pack: Path, *options: str) -> int:
    prompts = out.with_name("prompts.toml")
    prompts.write_text(PROMPTS)
    few = ["--prompts", str(prompts), "--quick", "--methods", *METHODS]
    return main(["bench", "--pack", str(pack), "--out", str(out), *few, *options])


def test_kept_edits_are_confined_and_measured(pack: Path, tmp_path: Path) -> None:
    out = tmp_path / "bench"
    assert bench(out, pack) == 0
    before = RowLog(out / "rows.jsonl").rows
    assert bench(out, pack, "--confined", "--resume") == 0
    rows = {row.key: row for row in RowLog(out / "rows.jsonl").rows}
    assert all(rows[row.key] == row for row in before)
    assert len(rows) == len(before) + sum(row.method in METHODS for row in before)
    for row in before:
        if row.method not in METHODS:
            continue
        confined = rows[f"{row.method}-confined", row.prompt, row.avatar]
        assert row.offset is not None
        assert confined.offset is not None
        assert confined.offset.region.name in ("parts", "changed")
        assert confined.offset == replace(row.offset, region=confined.offset.region)
        assert row.offset.region == ChosenRegion("off")
        assert (confined.steps, confined.stop_reason) == (row.steps, row.stop_reason)
        assert confined.seconds is not None
        assert row.seconds is not None
        assert confined.seconds > row.seconds
        assert len(confined.strengths) == len(row.strengths)
    summary = (out / "summary.md").read_text()
    assert "cfclip-optimisation-confined" in summary
    assert "Exact rate of cfclip-optimisation-confined, minus that of others" in summary


def test_a_pack_without_parts_is_refused(
    tiny_pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(tmp_path / "bench", tiny_pack, "--confined") == 2
    assert "has no parts; find them (cfclip fit-parts" in refused(capsys)
    assert not (tmp_path / "bench").exists()


def test_parts_of_other_models_are_refused(
    tiny_pack_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = Pack.open(tiny_pack_copy)
    keep_parts(opened, FittedParts(tiny_parts(tiny_generator(), models={"clip": "x"}), {}))
    assert bench(tmp_path / "bench", tiny_pack_copy, "--confined") == 2
    assert "was made for other models than those of pack 'tiny'" in refused(capsys)
    assert Session.open(tiny_pack_copy).pack.has_parts
