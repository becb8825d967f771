"""The shipped prompts, and files of prompts that are none."""

import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from cfclip.errors import InputError
from cfclip.packs import Pack
from cfclip_benchmark.avatars import (
    TEST_TEMPLATES,
    TRAINING_TEMPLATES,
    AvatarEdit,
    Claim,
    is_held_out,
    read_prompts,
    vocabulary,
)
from cfclip_benchmark.avatars.attributes import TEST_SEED, sample_records

PROMPTS = read_prompts()
ENTRY = '[[{}]]\nfamily = "hair"\nprompt = "{} hair"\nwords = {{ hair_colour = "{}" }}\n'
GOOD = ENTRY.format("test", "green", "green") + ENTRY.format("validation", "red", "red")


def test_how_many_of_each_family() -> None:
    counts = Counter(edit.family for edit in PROMPTS.test)
    colours = {"hair": 4, "skin": 4, "brow": 4, "lip": 4}
    assert counts == {**colours, "excluded": 2, "reworded": 4, "pair": 2, "control": 6}
    named = {edit.prompt for edit in PROMPTS.test}
    assert {"green lipstick", "purple eyebrows", "a bearded person in a dress"} <= named
    assert {"blond hair", "a smile", "a beard"} <= named
    counts = Counter(edit.family for edit in PROMPTS.validation)
    assert counts == {"hair": 2, "skin": 2, "brow": 2, "lip": 2, "excluded": 1, "control": 2}


def test_settings_are_not_chosen_on_what_is_tested() -> None:
    claims = [{claim for edit in edits for claim in edit.words.items()} for edits in all_edits()]
    assert not claims[0] & claims[1]


def all_edits() -> tuple[tuple[AvatarEdit, ...], tuple[AvatarEdit, ...]]:
    return PROMPTS.of("test"), PROMPTS.of("validation")


def test_the_pack_knows_every_word_and_every_prompt_fits_its_templates() -> None:
    prompts = [edit.prompt for edits in all_edits() for edit in edits]
    assert set(re.findall("[a-z]+", " ".join(prompts))) <= set(vocabulary())
    pack = Pack.open("avatars")
    longest = max(pack.manifest.templates, key=len)
    pack.embedder().tokenize([longest.format(prompt) for prompt in prompts])


def test_reworded_prompts_are_in_templates_that_no_caption_used() -> None:
    for edit in PROMPTS.test:
        begins = [t for t in TEST_TEMPLATES if edit.prompt.startswith(t.removesuffix("{}"))]
        assert bool(begins) == (edit.family == "reworded")
        assert not set(begins) & set(TRAINING_TEMPLATES)


def test_no_caption_put_the_pairs_together() -> None:
    for edit in PROMPTS.test:
        claims = [Claim(*claim) for claim in edit.words.items()]
        held_out = [is_held_out(*pair) for pair in combinations(claims, 2)]
        assert any(held_out) == (edit.family == "pair")


def test_controls_are_of_the_natural_distribution() -> None:
    avatars = sample_records(300, "natural", TEST_SEED)
    for edit in PROMPTS.test:
        if edit.family == "control" and not set(edit.words) & {"hair_colour", "skin_colour"}:
            assert any(avatar in edit.true_answers(avatar) for avatar in avatars)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("family =", "is not TOML"),
        (ENTRY.format("test", "green", "green"), "validation: there are no prompts"),
        (
            GOOD + ENTRY.format("train", "blue", "blue"),
            "unknown field train; known are validation, test",
        ),
        (GOOD + ENTRY.format("test", "red", "red"), "has 'red-hair' twice"),
        (GOOD + ENTRY.format("test", "blue", "loud"), "test 2: no word 'loud' for hair_colour"),
        (GOOD.replace("hair_colour", "hat"), "no attribute 'hat'; known are hair, "),
        (GOOD.replace('"hair"', '"hat"'), "family is 'hat', expected one of hair, skin"),
        (GOOD.replace('"green hair"', "3"), "prompt is 3, expected a text"),
        (GOOD.replace('"green hair"', '" "'), "text is empty|no text|empty"),
        (GOOD.replace("words", "claims"), "unknown field claims; known are family, prompt, words"),
        (
            GOOD.replace('{ hair_colour = "green" }', "{}"),
            "words is empty, expected attribute = word",
        ),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "prompts.toml"
    file.write_text(content)
    with pytest.raises(InputError, match=message):
        read_prompts(file)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "prompts.toml"
    with pytest.raises(InputError, match="cannot read"):
        read_prompts(file)
    file.write_text(GOOD)
    prompts = read_prompts(file)
    assert [edit.prompt for edit in prompts.test] == ["green hair"]
    assert prompts.validation[0].words == {"hair_colour": "red"}
