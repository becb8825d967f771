from pathlib import Path

import pytest

from cfclip.errors import InputError
from cfclip.packs.pack import Pack
from cfclip_benchmark.method_choices import open_methods
from cfclip_benchmark.variants import read_variants

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


def test_variants_are_methods_by_another_name(tiny_pack: Path, tmp_path: Path) -> None:
    variants = read_variants(variants_file(tmp_path, GOOD))
    (tmp_path / "cfclip-optimisation.json").write_text('{"settings": {"lr": 0.25}}')
    pack = Pack.open(tiny_pack)
    named, changed, again = open_methods(
        pack, ["cfclip-optimisation"], {}, tmp_path, variants=variants
    )
    assert [m.name for m in (named, changed, again)] == [
        "cfclip-optimisation",
        "without-negatives",
        "again",
    ]
    assert changed.settings == {**named.settings, "negatives": "none"}
    assert changed.settings["lr"] == 0.25
    assert again.settings["objective"] == "global"
    assert named.seconds_of_training == changed.seconds_of_training == 0.0


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
        (GOOD.replace("styleclip-opt", "opt"), "method is 'optimisation', expected one of"),
        (GOOD.replace('{ negatives = "none" }', "3"), "settings is 3"),
        (GOOD + 'files = "runs"', "files is 'runs', expected a list"),
    ],
)
def test_bad_input(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_variants(variants_file(tmp_path, text))
    with pytest.raises(InputError, match="cannot read"):
        read_variants(tmp_path)


def test_a_setting_that_the_method_does_not_have(tiny_pack: Path, tmp_path: Path) -> None:
    variants = read_variants(variants_file(tmp_path, GOOD.replace("negatives =", "negative =")))
    with pytest.raises(InputError, match="unknown setting negative"):
        open_methods(Pack.open(tiny_pack), (), {}, variants=variants)
