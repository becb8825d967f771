"""The notebook runs from top to bottom, and is kept without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "tour.ipynb"


def notebook() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_is_valid_and_has_no_outputs() -> None:
    nbformat.validate(notebook())
    code = [cell for cell in notebook().cells if cell.cell_type == "code"]
    assert len(code) == 8
    assert not any(cell.outputs or cell.execution_count for cell in code)


def test_its_links_lead_somewhere() -> None:
    text = "".join(cell.source for cell in notebook().cells if cell.cell_type == "markdown")
    targets = [part.split(")")[0] for part in text.split("](")[1:]]
    assert targets
    for target in targets:
        assert (NOTEBOOK.parent / target).exists(), target


@pytest.mark.slow
def test_it_runs_from_top_to_bottom(
    tiny_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tour = notebook()
    for old, new in {
        'PACK = "avatars"': f'PACK = "{tiny_pack.name}"',
        "STEPS = None": "STEPS = 2",
        "steps=30": "steps=2",
        "lr=1.0": "lr=0.01",
    }.items():
        assert sum(cell.source.count(old) for cell in tour.cells) == 1, old
        for cell in tour.cells:
            cell.source = cell.source.replace(old, new)
    (tmp_path / "avatars").symlink_to(ROOT / "examples" / "avatars")
    monkeypatch.setenv("CFCLIP_PACKS", str(tiny_pack.parent))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    NotebookClient(tour, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [
        output
        for cell in tour.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert len(shown) == 6
    assert list((tmp_path / "tour").glob("ada_*.json"))
