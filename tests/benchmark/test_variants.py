from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cfclip.editing import COMPARED, OPTIMISATIONS, Session
from cfclip.errors import InputError
from cfclip.packs import TEXT_MAP_FILE, Pack, assemble_pack
from cfclip_benchmark import Editing, Variant, choose_variants, parse_files, read_variants

GOOD = """
[[variant]]
name = "without-negatives"
method = "cfclip-optimisation"
settings = { negatives = "none" }

[[variant]]
name = "again"
method = "styleclip-optimisation"
"""


def variants_file(folder: Path, text: str) -> Path:
    path = folder / "variants.toml"
    path.write_text(text)
    return path


@pytest.fixture
def session(tiny_pack: Path) -> Session:
    return Session.open(tiny_pack)


def settings_of(variant: Variant, session: Session, quick: bool = False) -> Mapping[str, Any]:
    return Editing(variant, session, 0, quick).method.settings


def test_variants_are_methods_by_another_name(session: Session, tmp_path: Path) -> None:
    (tmp_path / "cfclip-optimisation.json").write_text('{"settings": {"lr": 0.25}}')
    named = Variant("cfclip-optimisation", "cfclip-optimisation").tuned(tmp_path)
    variants = read_variants(variants_file(tmp_path, GOOD))
    changed, again = (variant.tuned(tmp_path) for variant in variants)
    assert [each.name for each in (changed, again)] == ["without-negatives", "again"]
    assert settings_of(changed, session) == {**settings_of(named, session), "negatives": "none"}
    assert settings_of(changed, session)["lr"] == 0.25
    assert settings_of(again, session)["objective"] == "global"
    for variant in (named, changed):
        assert Editing(variant, session, 0).method.seconds_of_training == 0.0


def test_settings_come_from_the_tuned_ones_then_from_quick(
    session: Session, tmp_path: Path
) -> None:
    (tmp_path / f"{OPTIMISATIONS[0]}.json").write_text('{"settings": {"lr": 0.25, "steps": 9}}')
    plain = [Variant(name, name) for name in OPTIMISATIONS[:2]]
    tuned, other = [variant.tuned(tmp_path) for variant in plain]
    settings = settings_of(tuned, session)
    assert (settings["lr"], settings["steps"]) == (0.25, 9)
    assert settings_of(other, session) == settings_of(plain[1], session)
    quick = [settings_of(variant, session, quick=True) for variant in (tuned, other)]
    assert [(each["lr"] == 0.25, each["steps"]) for each in quick] == [(True, 2), (False, 2)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "is not TOML"),
        ("", r"there is no \[\[variant\]\]; give one or more"),
        ("variant = 3", "variant is 3, expected a list"),
        (GOOD + "[other]", "unknown field other; known are variant"),
        (
            GOOD.replace("settings", "setting"),
            "variant 1: unknown field setting; known are name, method",
        ),
        (GOOD.replace('"again"', '"without-negatives"'), "'without-negatives' twice"),
        (GOOD.replace('"again"', '"Again/.."'), "variant 2: name is 'Again/..'"),
        (GOOD.replace('"again"', '"oracle"'), "'oracle' is taken"),
        (GOOD.replace('"again"', '"styleclip-global"'), "'styleclip-global' is taken"),
        (
            GOOD.replace("styleclip-opt", "clip-opt"),
            "method is 'clip-optimisation', expected one of",
        ),
        (GOOD.replace('{ negatives = "none" }', "3"), "settings is 3"),
        (GOOD + 'files = "runs"', "files is 'runs', expected a list"),
    ],
)
def test_bad_input(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_variants(variants_file(tmp_path, text))
    with pytest.raises(InputError, match="cannot read"):
        read_variants(tmp_path)


def test_a_setting_that_the_method_does_not_have(session: Session, tmp_path: Path) -> None:
    (variant, _) = read_variants(variants_file(tmp_path, GOOD.replace("negatives =", "negative =")))
    with pytest.raises(InputError, match="unknown setting negative"):
        Editing(variant, session, 0)
    (tmp_path / f"{OPTIMISATIONS[0]}.json").write_text('{"settings": {"speed": 1}}')
    with pytest.raises(InputError, match="unknown setting speed"):
        Editing(Variant("mine", OPTIMISATIONS[0]).tuned(tmp_path), session, 0)


def test_without_names_all_that_can_be_opened(tiny_pack_copy: Path) -> None:
    pack = Pack.open(tiny_pack_copy)
    assert [each.name for each in choose_variants(pack, (), {})] == list(OPTIMISATIONS)
    files = parse_files(["styleclip-global=a", "cfclip-mapper=b", "cfclip-mapper=c"])
    assert files["cfclip-mapper"] == [Path("b"), Path("c")]
    chosen = {each.name: each for each in choose_variants(pack, (), files)}
    assert list(chosen) == [
        name for name in COMPARED if name in (*OPTIMISATIONS, "styleclip-global", "cfclip-mapper")
    ]
    assert all(each.method == name and not each.settings for name, each in chosen.items())
    assert chosen["cfclip-mapper"].files == ("b", "c")
    (tiny_pack_copy / TEXT_MAP_FILE).unlink()
    without = assemble_pack(tiny_pack_copy, pack.manifest)
    assert "logit-text-map" not in [each.name for each in choose_variants(without, (), {})]


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
