"""The gallery: drawn at random, all of it shown, and of the pack that is shipped now."""

from pathlib import Path
from typing import get_args

from page_scenes import PROMPTS
from PIL import Image
from tiny_pack import RESOLUTION

from cfclip.packs import Pack
from cfclip.provenance import GENERATED, inspect_picture
from cfclip_benchmark.avatars import load_probes, read_prompts, render
from cfclip_benchmark.avatars.attributes import sample_records
from cfclip_benchmark.avatars.avatar_edits import Family
from examples.gallery import AVATARS, PAGE, draw, is_read, main

DOCS = Path(__file__).parents[2] / "docs"
MOST_BYTES = 1 << 20


def test_the_page_is_of_the_shipped_pack_and_of_what_is_drawn() -> None:
    page, pack = (DOCS / PAGE).read_text(encoding="utf-8"), Pack.open("avatars")
    assert f"`avatars` {pack.manifest.version} with" in page
    size = 0
    for each in draw(0):
        seeds = ", ".join(map(str, each.seeds))
        assert f"`{each.edit.prompt}`, samples {seeds}: " in page
        found = inspect_picture(DOCS / each.picture).provenance
        assert found is not None
        assert (found.source_type, found.prompts) == (GENERATED, (each.edit.prompt,))
        assert found.pack_hash == pack.fingerprint, "the pack has changed; make the gallery again"
        size += (DOCS / each.picture).stat().st_size
    assert 0 < size < MOST_BYTES


def test_every_family_is_drawn_from_the_test_prompts() -> None:
    drawn = draw(0)
    assert [each.edit.family for each in drawn] == list(get_args(Family))
    assert {each.edit for each in drawn} <= set(read_prompts().test)
    assert all(len(set(each.seeds)) == AVATARS for each in drawn)
    assert drawn == draw(0) != draw(1)


def test_true_answers_are_read_and_sources_are_not() -> None:
    probes = tuple(load_probes().values())
    (record,) = sample_records(1, "natural", 0)
    (edit,) = (each for each in read_prompts().test if each.prompt == "green hair")
    answer = Image.fromarray(render(edit.true_answers(record)[0]))
    assert is_read(edit, answer, probes)
    assert not is_read(edit, Image.fromarray(render(record)), probes)


def test_it_is_made_by_a_command(tiny_pack: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.toml"
    prompts.write_text(PROMPTS)
    options = ["--pack", str(tiny_pack), "--prompts", str(prompts), "--steps", "1"]
    assert main(["--out", str(tmp_path), *options]) == 0
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert "`tiny` 1 with" in page
    assert len(draw(0, prompts)) == 1
    for each in draw(0, prompts):
        assert f"]({each.picture})" in page
        with Image.open(tmp_path / each.picture) as picture:
            assert picture.width > AVATARS * RESOLUTION
    assert main(["--out", str(tmp_path), "--pack", "nonesuch"]) == 2
