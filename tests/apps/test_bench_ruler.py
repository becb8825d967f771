"""`cfclip bench-ruler` on the tiny pack: what it tells, writes, refuses and resumes."""

import json
from pathlib import Path

import pytest
from refusals import refused

from cfclip.apps.cli import main
from cfclip_benchmark import missed_limits, ruler_tables
from cfclip_benchmark.json_log import JsonLog
from cfclip_benchmark.ruler_check import FAILED, FORGED, PERFECT, AvatarVerdicts, Verdict

FEW = ("--images", "2", "--inverted", "2", "--projection.steps", "2")


@pytest.fixture(autouse=True)
def packs(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))


def bench_ruler(out: Path, *arguments: object) -> int:
    return main(["bench-ruler", "--pack", "tiny", "--out", str(out), *FEW, *map(str, arguments)])


def rows_of(out: Path) -> tuple[AvatarVerdicts, ...]:
    return JsonLog(out / "rows.jsonl", AvatarVerdicts, "x").rows


def test_the_tables_are_told_kept_and_put_into_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, page = tmp_path / "ruler", tmp_path / "page.md"
    page.write_text("# Ruler\n\n<!-- measured: ruler -->\n<!-- end -->\n")
    assert bench_ruler(out, "--page", page) == 0
    told = capsys.readouterr()
    assert "| perfect |" in told.out
    assert told.out.strip() in page.read_text()
    rows = rows_of(out)
    assert [row.avatar for row in rows] == [0, 1]
    verdicts = [each for row in rows for each in row.verdicts]
    tests = {each.test for each in verdicts}
    assert tests == {
        *("perfect", "shifted", "JPEG", "noise", "oracle", "forged", "forged, inverted", "failed")
    }
    inverted = [each for each in verdicts if each.test == "forged, inverted"]
    assert len(inverted) == 2 * len({each.kind for each in verdicts if each.test == FORGED})

    # Killed while the second avatar was written: it alone is done again, and comes out the same.
    lines = (out / "rows.jsonl").read_text().splitlines()
    (out / "rows.jsonl").write_text(lines[0] + "\n" + lines[1][:100])
    assert bench_ruler(out, "--resume") == 0
    assert (out / "rows.jsonl").read_text().splitlines() == lines
    capsys.readouterr()

    assert bench_ruler(out) == 2
    assert "go on with it (--resume)" in refused(capsys)
    assert bench_ruler(out, "--resume", "--seed", 1) == 2
    assert "was begun with another seed" in refused(capsys)
    about = json.loads((out / "bench.json").read_text())
    (out / "bench.json").write_text(json.dumps({**about, "ruler": 1}))
    assert bench_ruler(out, "--resume") == 2
    assert "was begun with another ruler" in refused(capsys)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--images", 0), "images is 0"),
        (("--images", 1001), "images is 1001"),
        (("--inverted", -1), "inverted is -1, it must be at least 0"),
        (("--page", "nowhere.md"), "nowhere.md"),
        (("--seed", -1), "seed"),
    ],
)
def test_what_cannot_be_done_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[object, ...],
    problem: str,
) -> None:
    assert bench_ruler(tmp_path / "out", *options) == 2
    assert problem in refused(capsys)
    assert not (tmp_path / "out").exists()


def test_missed_limits_are_named() -> None:
    def verdicts(test: str, right: int, wrong: int, kind: str = "") -> list[Verdict]:
        return [Verdict(test, kind, "x", index < right) for index in range(right + wrong)]

    good = [*verdicts(PERFECT, 99, 1), *verdicts(FAILED, 200, 1), Verdict(PERFECT, "", "x", None)]
    rows = [AvatarVerdicts(0, tuple([*good, *verdicts(FORGED, 19, 1, "beard")]), (11, 12))]
    assert missed_limits(rows) == ["forged: 95.0 % are read rightly, 99.0 % shall"]
    text = ruler_tables(rows)
    assert "11.50 attributes count" in text
    assert "Readable are 99.0 % of the cases" in text
    assert "| perfect | 99.0 | 100 |" in text
    assert "| beard | 95.0 of 20 | - |" in text
    worse = [AvatarVerdicts(0, tuple(verdicts(FORGED, 9, 1, "beard")), (1,))]
    assert "forged, beard: 90.0 % are read rightly, 95.0 % shall" in missed_limits(worse)
