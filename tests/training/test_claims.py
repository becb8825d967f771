"""Which texts an open mapper learns, by hand."""

import pytest

from cfclip.errors import InputError
from cfclip.training.claims import LeftOut, open_texts, parse_left_out

ASPECTS = {"hair": ("red hair", "green hair"), "skin": ("red skin", "green skin"), "none": ()}
TEMPLATES = ("{}", "a picture of {}")


def test_every_claim_is_a_text_and_pairs_are_of_two_aspects() -> None:
    texts = open_texts(ASPECTS, "a person", TEMPLATES, pairs=100)
    assert [each.prompt for each in texts[:4]] == [
        "red hair",
        "green hair",
        "red skin",
        "green skin",
    ]
    assert {each.prompt for each in texts[4:]} == {
        *("red hair and red skin", "red hair and green skin"),
        *("green hair and red skin", "green hair and green skin"),
    }
    assert texts[0].claims == (("hair", "red hair"),)
    assert texts[0].wordings == (
        *("red hair", "a person with red hair", "a picture of a person with red hair"),
    )


def test_pairs_are_drawn_by_the_seed() -> None:
    few = [open_texts(ASPECTS, "a person", TEMPLATES, pairs=2, seed=seed) for seed in (0, 0, 1, 2)]
    assert few[0] == few[1]
    assert len(few[0]) == 6
    assert len({each[4:] for each in few}) > 1


def test_what_is_left_out_is_in_no_text_and_in_no_wording() -> None:
    left_out = parse_left_out(["green hair", " red hair + green skin ", ""], ASPECTS)
    texts = open_texts(ASPECTS, "a person", TEMPLATES, left_out, pairs=100)
    assert {each.prompt for each in texts} == {
        *("red hair", "red skin", "green skin", "red hair and red skin"),
    }
    assert not any("green hair" in wording for each in texts for wording in each.wordings)


def test_what_leaves_nothing_or_names_nothing() -> None:
    with pytest.raises(InputError, match="there is nothing to learn"):
        open_texts({"hair": ()}, "a person", TEMPLATES)
    with pytest.raises(InputError, match="'blue hair' is to be left out, but is no value"):
        parse_left_out(["red hair + blue hair"], ASPECTS)
    assert LeftOut().holds([("hair", "red hair")]) is False
