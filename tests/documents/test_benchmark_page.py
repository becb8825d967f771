"""docs/BENCHMARK.md: what it names is what there is."""

import re
from pathlib import Path
from typing import get_args

from cfclip.editing import COMPARED, OURS
from cfclip_benchmark import TRIALS_FILE
from cfclip_benchmark.avatars.avatar_edits import Family
from cfclip_benchmark.avatars.measures import STRENGTHS
from cfclip_benchmark.figures import EXAMPLES, EXAMPLES_FILE, SECONDS_FILE, STRENGTH_FILE
from cfclip_benchmark.measured_edits import ROWS_FILE
from cfclip_benchmark.report import CSV_FILE, MARKDOWN_FILE
from cfclip_benchmark.summary import CONFIDENCE, DRAWS, KID, MEASURES

PAGES = Path(__file__).parents[2] / "docs"
PAGE = (PAGES / "BENCHMARK.md").read_text(encoding="utf-8")
ROWS = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
NAMED = [name for row in ROWS for name in re.findall(r"`(\w+)`", row)]


def test_every_family_and_every_measure_is_explained() -> None:
    assert sorted(NAMED) == sorted({*get_args(Family), *MEASURES, KID})


def test_every_method_is_named_here_or_with_the_baselines() -> None:
    baselines = PAGES.joinpath("BASELINES.md").read_text(encoding="utf-8")
    for name in COMPARED:
        assert f"`{name}`" in (PAGE if name in OURS else baselines)


def test_its_files_and_numbers() -> None:
    files = (CSV_FILE, MARKDOWN_FILE, EXAMPLES_FILE, STRENGTH_FILE, SECONDS_FILE, ROWS_FILE)
    for name in (*files, TRIALS_FILE):
        assert name in PAGE
    assert f"{EXAMPLES} cases drawn at random" in PAGE
    assert f"hold {100 * CONFIDENCE:.0f} % of {DRAWS:,} bootstrap draws" in PAGE
    assert f"at {min(STRENGTHS):g} to {max(STRENGTHS):g} times its strength" in PAGE
