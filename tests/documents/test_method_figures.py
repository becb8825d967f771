"""The command that makes the pictures of docs/METHOD.md."""

from pathlib import Path

import pytest
from PIL import Image

from examples.method_figures import FIGURES, main


def test_makes_every_picture(tiny_pack: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures"
    assert main(["--out", str(out), "--pack", str(tiny_pack), "--steps", "2"]) == 0
    assert sorted(path.name for path in out.iterdir()) == sorted(FIGURES)
    for name in FIGURES:
        with Image.open(out / name) as picture:
            assert picture.width > picture.height
            assert len(set(picture.convert("L").tobytes())) > 2


def test_makes_one_again_the_same(tiny_pack: Path, tmp_path: Path) -> None:
    arguments = ["--pack", str(tiny_pack), "--steps", "2", "--only", "strengths.png", "--out"]
    for folder in ("a", "b"):
        assert main([*arguments, str(tmp_path / folder)]) == 0
    first, second = (tmp_path / folder / "strengths.png" for folder in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--steps", "0"], "steps is 0"),
        (["--seed", "-1"], "seed is -1"),
        (["--pack", "nonesuch"], "nonesuch"),
    ],
)
def test_bad_input_is_one_line(
    tiny_pack: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    named: str,
) -> None:
    assert main(["--out", str(tmp_path), "--pack", str(tiny_pack), *arguments]) == 2
    errors = capsys.readouterr().err
    assert named in errors
    assert errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
