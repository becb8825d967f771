"""`cfclip tune` on the tiny pack, and a benchmark with the settings that it chose."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from few_prompts import PROMPTS

from cfclip.apps.cli import main
from cfclip_benchmark import RowLog
from cfclip_benchmark.tuning import SPACES, trial_settings

METHODS = ("cfclip-optimisation", "styleclip-optimisation")


@pytest.fixture(autouse=True)
def packs(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))


def command(name: str, out: Path, *arguments: object) -> int:
    prompts = out.parent / "prompts.toml"
    prompts.write_text(PROMPTS)
    options = ["--pack", "tiny", "--out", str(out), "--prompts", str(prompts), "--quick"]
    return main([name, *options, "--images", "1", *map(str, arguments)])


def test_trials_are_kept_and_the_best_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tuned"
    assert command("tune", out, "--trials", 2, "--methods", *METHODS) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [str(out / f"{name}.json") for name in METHODS]
    rows = (out / "rows.jsonl").read_text()
    assert {row.prompt for row in RowLog(out / "rows.jsonl").rows} == {"blue skin"}

    # More trials go on from those that there are.
    assert command("tune", out, "--trials", 3, "--resume", "--methods", *METHODS) == 0
    assert (out / "rows.jsonl").read_text().startswith(rows)
    trials = [json.loads(line) for line in (out / "trials.jsonl").read_text().splitlines()]
    assert [(trial["method"], trial["trial"]) for trial in trials] == [
        (name, number) for name in METHODS for number in range(3)
    ]
    for name in METHODS:
        own = [trial for trial in trials if trial["method"] == name]
        assert [t["settings"] for t in own] == [trial_settings(name, n, 0) for n in range(3)]
        best = json.loads((out / f"{name}.json").read_text())
        options = [(trial, reached) for trial in own for reached in trial["reached"]]
        strengths = [reached["strength"] for _, reached in options]
        assert strengths == [1.0, 1.25, 0.75, 1.5, 0.5, 2.0, 0.25] * 3
        ranks = [
            [reached[measure] or 0.0 for measure in ("exact", "success", "preservation")]
            for _, reached in options
        ]
        trial, reached = options[ranks.index(max(ranks))]
        strength = {} if reached["strength"] == 1.0 else {"strength": reached["strength"]}
        assert best == {
            "method": name,
            "trial": trial["trial"],
            "trials": 3,
            "settings": {**trial["settings"], **strength},
            "reached": reached,
        }

    # A benchmark takes the chosen settings, and is not mistaken for a tuning.
    chosen = {**json.loads((out / f"{METHODS[0]}.json").read_text()), "settings": {"lr": 0.125}}
    (out / f"{METHODS[0]}.json").write_text(json.dumps(chosen))
    bench = tmp_path / "bench"
    assert command("bench", bench, "--tuned", out, "--methods", METHODS[0]) == 0
    about = json.loads((bench / "bench.json").read_text())
    assert about["methods"][METHODS[0]]["settings"]["lr"] == 0.125
    capsys.readouterr()
    assert command("tune", bench, "--resume", "--trials", 1) == 2
    assert " kind, " in capsys.readouterr().err


def test_trials_of_another_ruler_are_read_anew(tmp_path: Path) -> None:
    out = tmp_path / "tuned"
    asked = ("tune", out, "--trials", 2, "--methods", METHODS[1])
    assert command(*asked) == 0
    file, best = out / f"{METHODS[1]}.json", (out / f"{METHODS[1]}.json").read_bytes()
    rows = RowLog(out / "rows.jsonl").rows
    old = [replace(row, ruler=1, exact=None, strengths=row.strengths[:1]) for row in rows]
    (out / "rows.jsonl").write_text("".join(row.to_json() + "\n" for row in old))
    about = json.loads((out / "bench.json").read_text())
    del about["ruler"]  # which the first ruler did not tell
    (out / "bench.json").write_text(json.dumps(about))
    file.unlink()
    assert command(*asked, "--resume") == 0
    assert set(RowLog(out / "rows.jsonl").rows) == set(rows)
    assert file.read_bytes() == best


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("tune", tmp_path / "out", "--trials", 0) == 2
    assert "trials is 0, it must be a number at least 1" in capsys.readouterr().err
    tuned = tmp_path / "tuned"
    tuned.mkdir()
    for content in ("{", "[]", '{"settings": 3}'):
        (tuned / f"{METHODS[0]}.json").write_text(content)
        assert command("bench", tmp_path / "out", "--tuned", tuned) == 2
        assert "holds no settings of cfclip tune" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_settings_of_trials_are_reproducible_and_differ() -> None:
    for name in filter(SPACES.get, SPACES):
        drawn = [trial_settings(name, number, 0) for number in range(4)]
        assert drawn[0] == {}
        assert drawn == [trial_settings(name, number, 0) for number in range(4)]
        assert len({json.dumps(each) for each in drawn}) == 4
        assert trial_settings(name, 1, 1) != drawn[1]
