from pathlib import Path

import pytest

from cfclip.editing.methods import METHODS, OPTIMISATIONS
from cfclip.errors import InputError
from cfclip.packs.pack import TEXT_MAP_FILE, Pack, assemble_pack
from cfclip_benchmark.avatars.benchmark_prompts import read_prompts
from cfclip_benchmark.method_choices import choose_methods, open_methods, parse_files, quick_edits


def test_without_names_all_that_can_be_opened(tiny_pack_copy: Path) -> None:
    pack = Pack.open(tiny_pack_copy)
    assert choose_methods(pack, (), {}) == OPTIMISATIONS
    files = parse_files(["styleclip-global=a", "cfclip-mapper=b", "cfclip-mapper=c"])
    assert files["cfclip-mapper"] == [Path("b"), Path("c")]
    chosen = choose_methods(pack, (), files)
    assert chosen == tuple(
        name for name in METHODS if name in (*OPTIMISATIONS, "styleclip-global", "cfclip-mapper")
    )
    (tiny_pack_copy / TEXT_MAP_FILE).unlink()
    without = assemble_pack(tiny_pack_copy, pack.manifest)
    assert "logit-text-map" not in choose_methods(without, (), {})


def test_a_folder_of_trainings_stands_for_all_of_them(tmp_path: Path) -> None:
    for name in ("green-hair/best", "blue-skin/last", "begun/checkpoint"):
        file = tmp_path / f"{name}.safetensors"
        file.parent.mkdir()
        file.touch()
    given = [f"cfclip-mapper={tmp_path}", f"styleclip-mapper={tmp_path / 'green-hair'}"]
    assert parse_files(given) == {
        "cfclip-mapper": [tmp_path / "blue-skin", tmp_path / "green-hair"],
        "styleclip-mapper": [tmp_path / "green-hair"],
    }
    assert parse_files([f"cfclip-mapper={tmp_path / 'begun'}"])["cfclip-mapper"] == [
        tmp_path / "begun"
    ]


def test_settings_come_from_the_tuned_ones_then_from_quick(tiny_pack: Path, tmp_path: Path) -> None:
    (tmp_path / f"{OPTIMISATIONS[0]}.json").write_text('{"settings": {"lr": 0.25, "steps": 9}}')
    pack = Pack.open(tiny_pack)
    names = OPTIMISATIONS[:2]
    tuned, other = open_methods(pack, names, {}, tmp_path)
    assert (tuned.settings["lr"], tuned.settings["steps"]) == (0.25, 9)
    assert other.settings == open_methods(pack, names, {})[1].settings
    quick = open_methods(pack, names, {}, tmp_path, quick=True)
    assert [(m.settings["lr"] == 0.25, m.settings["steps"]) for m in quick] == [
        (True, 2),
        (False, 2),
    ]


def test_a_setting_that_the_method_does_not_have(tiny_pack: Path, tmp_path: Path) -> None:
    (tmp_path / f"{OPTIMISATIONS[0]}.json").write_text('{"settings": {"speed": 1}}')
    with pytest.raises(InputError, match="unknown setting speed"):
        open_methods(Pack.open(tiny_pack), OPTIMISATIONS[:1], {}, tmp_path)


def test_quick_takes_one_prompt_of_each_family() -> None:
    edits = read_prompts().test
    quick = quick_edits(edits)
    assert [edit.family for edit in quick] == list(dict.fromkeys(edit.family for edit in edits))
    assert set(quick) <= set(edits)
