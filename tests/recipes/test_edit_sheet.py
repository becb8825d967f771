import logging
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_pack import RESOLUTION

from cfclip.editing import Session
from cfclip_benchmark.avatars import vocabulary
from cfclip_benchmark.avatars.attributes import TEST_SEED
from recipes.avatars.__main__ import main
from recipes.avatars.dataset import load_dataset, render_dataset
from recipes.avatars.edit_sheet import PROMPTS, compose

TILE, GAP, LABEL = 128, 8, 168
TEXTS = ("green hair", "red skin")


def page(pack: Path, out: Path, *options: object) -> None:
    fixed = ("page", "--pack", pack, "--out", out, "--threads", 1, "--prompts", *TEXTS)
    main([str(argument) for argument in (*fixed, *options)])


def tile(path: Path, row: int, column: int) -> np.ndarray:
    """A picture of the page at its own size."""
    with Image.open(path) as whole:
        left, top = LABEL + column * (TILE + GAP), GAP + row * (TILE + GAP)
        cut = whole.crop((left, top, left + TILE, top + TILE))
    return np.asarray(cut.resize((RESOLUTION, RESOLUTION), Image.Resampling.NEAREST))


def test_a_page_shows_what_users_get(
    tiny_pack: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "new" / "page.png"
    with caplog.at_level(logging.INFO):
        page(tiny_pack, out, "--avatars", 3, 5)
    assert "4 of 4, sample-5: red skin, " in caplog.text
    with Image.open(out) as whole:
        assert whole.size == (LABEL + 2 * (TILE + GAP) + GAP, 3 * (TILE + GAP) + GAP)
    session = Session.open(tiny_pack)
    for column, seed in enumerate((3, 5)):
        (source,) = session.sample(1, seed)
        assert (tile(out, 0, column) == np.asarray(source.image)).all()
        for row, text in enumerate(TEXTS, 1):
            edited = session.edit(f"sample:{seed}", text).image
            assert (tile(out, row, column) == np.asarray(edited)).all()


def test_rendered_avatars_are_inverted_first(
    tiny_pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = load_dataset(render_dataset("natural", 2, TEST_SEED, tmp_path / "natural", RESOLUTION))
    out = tmp_path / "page.png"
    page(tiny_pack, out, "--natural", tmp_path / "natural", "--avatars", 1)
    assert (tile(out, 0, 0) == data.images[1]).all()
    with pytest.raises(SystemExit):
        page(tiny_pack, out, "--natural", tmp_path / "natural", "--avatars", 2, "--overwrite")
    assert "avatar 2 is not one of the 2 of" in capsys.readouterr().err


def test_an_earlier_page_is_replaced_only_if_asked(
    tiny_pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page.png"
    out.write_text("dear")
    with pytest.raises(SystemExit):
        page(tiny_pack, out, "--avatars", 1)
    assert "exists already" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        page(tiny_pack, out, "--avatars", 1, "--overwrite", "--prompts", "green hair", " ")
    assert out.read_text() == "dear"
    page(tiny_pack, out, "--avatars", 1, "--overwrite")
    assert Image.open(out).format == "PNG"


def test_unknown_words_are_told(
    tiny_pack: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    page(tiny_pack, tmp_path / "page.png", "--avatars", 1, "--prompts", "a zebra")
    assert caplog.text.count("'zebra'") == 1


def test_labels_stay_beside_the_pictures() -> None:
    white = Image.new("RGB", (TILE, TILE), "white")
    for prompt in (*PROMPTS, "an incomprehensibilities lipstick"):
        paper = np.asarray(compose([[white], [white]], ("", prompt)))
        ink = (paper != 255).any(axis=-1)
        assert ink[GAP + TILE + GAP :, :LABEL].any()
        assert not ink[: GAP + TILE].any()
        assert not ink[:, LABEL - GAP // 2 :].any()


def test_the_pack_knows_every_word_of_the_page() -> None:
    assert len(PROMPTS) == 8
    assert set(re.findall("[a-z]+", " ".join(PROMPTS))) <= set(vocabulary())
