from pathlib import Path

from cfclip.editing.methods import COMPARED, OPTIMISATIONS
from cfclip.packs.pack import TEXT_MAP_FILE, Pack, assemble_pack
from cfclip_benchmark.method_choices import choose_methods, parse_files


def test_without_names_all_that_can_be_opened(tiny_pack_copy: Path) -> None:
    pack = Pack.open(tiny_pack_copy)
    assert choose_methods(pack, (), {}) == OPTIMISATIONS
    files = parse_files(["styleclip-global=a", "cfclip-mapper=b", "cfclip-mapper=c"])
    assert files["cfclip-mapper"] == [Path("b"), Path("c")]
    chosen = choose_methods(pack, (), files)
    assert chosen == tuple(
        name for name in COMPARED if name in (*OPTIMISATIONS, "styleclip-global", "cfclip-mapper")
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
