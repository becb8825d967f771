"""The page of results, made of small runs of the benchmark on the tiny pack."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmark_rows import row
from few_prompts import PROMPTS_WITH_CONTROL

from cfclip.apps.cli import main
from cfclip.errors import CheckpointError, InputError
from cfclip.packs import Pack
from cfclip_benchmark import RowLog, read_results, results_text, summarise_rows
from cfclip_benchmark.report import csv_text
from recipes.avatars.publish_results import PublishResults, fill_tables

VARIANTS = (
    '[[variant]]\nname = "gentle"\nmethod = "cfclip-optimisation"\nsettings = { lr = 0.01 }\n'
)
PAGE = """# Results

Written by hand.

<!-- table bench-counterfactual -->
old
<!-- end -->
<!-- table bench-ahead-cfclip-optimisation -->
<!-- end -->
<!-- table ablations-exact -->
<!-- end -->
<!-- table bench-families-success -->
<!-- end -->
<!-- table bench-attainable -->
<!-- end -->
<!-- table bench-lost -->
<!-- end -->
<!-- table failed-colours -->
<!-- end -->
<!-- table mappers-control -->
<!-- end -->
<!-- table again -->
<!-- end -->
<!-- table again-costs -->
<!-- end -->
<!-- table settings -->
<!-- end -->
"""


@pytest.mark.slow
def test_tables_and_files_come_from_the_runs(
    tiny_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))
    (tmp_path / "prompts.toml").write_text(PROMPTS_WITH_CONTROL)
    (tmp_path / "variants.toml").write_text(VARIANTS)

    def made(name: str, command: str, *arguments: object) -> Path:
        out = tmp_path / name
        prompts = ("--prompts", tmp_path / "prompts.toml", "--quick")
        options = ("--pack", "tiny", "--out", out, *prompts, *arguments)
        assert main([command, *map(str, options)]) == 0
        return out

    methods = ("--methods", "cfclip-optimisation", "directional-optimisation")
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "RESULTS.md").write_text(PAGE)
    publish = PublishResults(
        bench=made("bench", "bench", *methods),
        tuned=made("tuned", "tune", *methods, "--trials", 2),
        ablations=made("ablations", "bench", "--variants", tmp_path / "variants.toml"),
        mappers=made("mappers", "bench", "--methods", "logit-text-map"),
        again=made("again", "bench", *methods, "--seed", 1, "--share", 0.5),
        docs=docs,
    )
    publish.run()
    text = (docs / "RESULTS.md").read_text()
    assert text.startswith(
        "# Results\n\nWritten by hand.\n\n<!-- table bench-counterfactual -->\n|"
    )
    assert "old" not in text
    assert "| prompts | directional-optimisation |" in text
    assert "| prompts | oracle | gentle |" in text
    assert "| directional-optimisation | 2 | " in text
    assert re.search(r"again-costs -->\n\| method \| edits \| seconds per edit", text)
    drawn = docs / "images" / "results" / "exact_by_seconds.svg"
    assert b"<svg" in drawn.read_bytes()
    assert drawn.read_bytes() != (tmp_path / "bench" / "exact_by_seconds.svg").read_bytes()
    assert (docs / "results.csv").read_text().count("\n") == 1 + 2 * 2 * 3
    assert {path.name for path in (docs / "results").iterdir()} == {
        *("summary.csv", "ablations.csv", "mappers.csv", "trials.jsonl"),
        *("cfclip-optimisation.json", "directional-optimisation.json"),
    }
    assert "examples.png" in {path.name for path in (docs / "images" / "results").iterdir()}
    publish.run()
    assert (docs / "RESULTS.md").read_text() == text


@pytest.mark.slow
def test_a_benchmark_in_pieces(
    tiny_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))
    (tmp_path / "prompts.toml").write_text(PROMPTS_WITH_CONTROL)
    docs, pieces = tmp_path / "docs", tmp_path / "docs" / "results" / "pieces"
    docs.mkdir()
    page = "".join(
        f"<!-- table {name} -->\n{text}<!-- end -->\n"
        for name, text in (("bench-counterfactual", ""), ("mappers-control", "kept\n"))
    )
    (docs / "RESULTS.md").write_text(page)
    tuned = tmp_path / "tuned"
    tuned.mkdir()
    (tuned / "trials.jsonl").touch()

    def published(method: str, *options: str, piece: bool = False) -> PublishResults:
        out = tmp_path / method
        command = (
            "bench",
            "--pack",
            "tiny",
            "--prompts",
            str(tmp_path / "prompts.toml"),
            "--quick",
        )
        assert main([*command, "--out", str(out), "--methods", method, *options]) == 0
        return PublishResults(out, tuned, docs=docs, piece=piece)

    published("directional-optimisation", piece=True).run()
    assert (docs / "RESULTS.md").read_text() == page
    assert not (docs / "results.csv").exists()
    last = published("cfclip-optimisation", "--without-oracle")
    last.run()
    methods = ("oracle", "cfclip-optimisation", "directional-optimisation")
    rows = read_results(docs / "results.csv")
    assert tuple(dict.fromkeys(row.method for row in rows)) == methods
    lines = (docs / "RESULTS.md").read_text().split("<!-- end -->")[0].splitlines()[3:]
    assert tuple(line.split(" | ")[0].strip("| ") for line in lines) == methods
    assert "kept" in (docs / "RESULTS.md").read_text()

    kept = read_results(pieces / "results.csv")
    other = [replace(row, inversion_psnr=row.inversion_psnr + 1.0) for row in kept]
    (pieces / "results.csv").write_text(results_text(other))
    with pytest.raises(InputError, match="remove its rows, they are of another benchmark"):
        last.run()
    (pieces / "results.csv").write_text(results_text([replace(row, ruler=1) for row in kept]))
    last.run()
    rows = read_results(docs / "results.csv")
    assert tuple(dict.fromkeys(row.method for row in rows)) == ("cfclip-optimisation",)


def test_a_table_that_nobody_knows() -> None:
    with pytest.raises(InputError, match="no table other; known are one"):
        fill_tables("<!-- table other -->\n<!-- end -->", {"one": ""})


def publication(folder: Path, pack: dict[str, Any]) -> PublishResults:
    (folder / "bench.json").write_text(json.dumps({"methods": {}, "prompts": {}, "pack": pack}))
    return PublishResults(*[folder] * 5, docs=folder)


def test_a_summary_that_was_written_before_the_last_rows(tmp_path: Path) -> None:
    manifest = Pack.open("avatars").manifest
    publish = publication(tmp_path, {"name": "avatars", "files": dict(manifest.files)})
    rows = RowLog(tmp_path / "rows.jsonl")
    rows.append([row("ours", 0, True)])
    with pytest.raises(InputError, match="run cfclip bench first"):
        publish.run()
    (tmp_path / "summary.csv").write_text(csv_text(summarise_rows(rows.rows, {})))
    rows.append([row("ours", 1, True)])
    with pytest.raises(InputError, match="is not of all rows; finish it"):
        publish.run()


def test_a_benchmark_of_other_models(tmp_path: Path) -> None:
    files = dict.fromkeys(Pack.open("avatars").mapped_models, "another")
    publish = publication(tmp_path, {"name": "avatars", "files": files})
    with pytest.raises(CheckpointError, match="made for other models than those of pack 'avatars'"):
        publish.run()
