"""The settings that the page of results is made with."""

from pathlib import Path

from cfclip.editing import Session
from cfclip_benchmark import Editing, read_variants
from cfclip_benchmark.avatars import read_prompts

RECIPE = Path(__file__).parents[2] / "recipes" / "avatars"


def test_every_variant_opens_and_changes_something() -> None:
    variants = read_variants(RECIPE / "ablations.toml")
    session = Session.open("avatars")
    settings = [
        (variant.method, dict(Editing(variant, session, 0).method.settings)) for variant in variants
    ]
    assert all(settings.count(each) == 1 for each in settings)


def test_single_mappers_are_compared_on_prompts_of_the_benchmark() -> None:
    single, known = read_prompts(RECIPE / "single_prompts.toml"), read_prompts()
    for own, all_of_them in ((single.validation, known.validation), (single.test, known.test)):
        assert set(map(repr, own)) <= set(map(repr, all_of_them))
        assert [edit.family for edit in own] == ["hair", "skin", "brow", "lip"]


def test_their_prompts_are_of_the_benchmark_one_of_each_family() -> None:
    prompts = read_prompts(RECIPE / "ablation_prompts.toml").test
    known = read_prompts().test
    assert set(map(repr, prompts)) <= set(map(repr, known))
    families = [edit.family for edit in prompts]
    assert sorted(families) == ["brow", "excluded", "hair", "lip", "pair", "skin"]
