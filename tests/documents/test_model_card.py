"""The model card says what the pack says, figures and all, and nothing besides."""

from pathlib import Path

from cfclip.packs import Pack, resolve
from examples.model_card import main, model_card

ROOT = Path(__file__).parents[2]
CARD = ROOT / "docs" / "MODEL-CARD.md"


def test_the_page_is_written_from_the_shipped_pack() -> None:
    assert CARD.read_text(encoding="utf-8") == model_card(Pack.open(resolve("avatars"))), (
        "the pack has changed: python -m examples.model_card --out docs/MODEL-CARD.md"
    )


def test_its_figures_are_those_of_the_evaluation() -> None:
    rows = [line.split(" | ") for line in CARD.read_text().splitlines() if line.endswith(" |")]
    figures = {row[0].removeprefix("| "): row[1].removesuffix(" |") for row in rows}
    measured = [
        line.removeprefix("| ").split(" | ")
        for line in (ROOT / "EVALUATION.md").read_text().split("## Probes")[0].splitlines()
        if line.startswith("| ") and "---" not in line
    ]
    assert len(measured) > 20
    for what, _, figure, *_ in measured[1:]:
        assert figures[what] == figure


def test_it_is_made_by_a_command(tiny_pack: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "CARD.md"
    assert main(["--out", str(out), "--pack", str(tiny_pack)]) == 0
    assert "# Model card of `tiny`" in out.read_text()
    assert main(["--out", str(out), "--pack", "nonesuch"]) == 2
