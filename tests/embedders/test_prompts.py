import pytest
from open_clip import OPENAI_IMAGENET_TEMPLATES

from cfclip.embedders.prompts import (
    MAX_PROMPT_CHARACTERS,
    check_prompt,
    fill_templates,
    imagenet_templates,
)
from cfclip.errors import InputError


def test_templates_are_clips_but_for_the_plural_one():
    clip = [template("{}") for template in OPENAI_IMAGENET_TEMPLATES]
    assert list(imagenet_templates()) == [t for t in clip if t != "a photo of many {}."]
    assert len(imagenet_templates()) == 79


def test_filling_keeps_the_order_and_takes_braces_as_text():
    assert fill_templates(["a {}.", "{}"], "{x} cat") == ["a {x} cat.", "{x} cat"]


@pytest.mark.parametrize("templates", [[], ["no slot"], ["{} and {}"]])
def test_bad_templates(templates):
    with pytest.raises(InputError, match="template"):
        fill_templates(templates, "dog")


def test_a_prompt_is_cleaned_of_surplus_white_space():
    assert check_prompt(" blue\n dog\t ") == "blue dog"


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\u3000"])
def test_empty_prompts(text):
    with pytest.raises(InputError, match="the prompt is empty; describe the edit"):
        check_prompt(text)


INVISIBLE = {
    "zero-width space": "\u200b",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "joiners": "\u200c\u200d\u2060",
    "direction marks": "\u202e\u2066",
    "empty braille cell": "\u2800",
    "Hangul fillers": "\u115f\u1160\u3164\uffa0",
    "a mark without its letter": "\u0301",
    "variation selectors": "\ufe0f\U000e0100",
    "tags": "\U000e0041",
    "line separators": "\u2028\u2029\x85",
    "control characters": "\x00\x07",
    "all sorts, spaced": " \u200b \ufeff\t\u2800 ",
}


@pytest.mark.parametrize("text", INVISIBLE.values(), ids=INVISIBLE)
def test_a_prompt_that_shows_nothing_is_empty(text):
    with pytest.raises(InputError, match="the prompt is empty; describe the edit"):
        check_prompt(text)
    assert check_prompt(f"green{text}hair".replace("\x00", "").replace("\x07", ""))


@pytest.mark.parametrize("text", ["-", "?", "1", "\u7dd1", "\U0001f600", "\uf8ff", "e\u0301"])
def test_whatever_can_be_seen_is_a_prompt(text):
    assert check_prompt(text) == text


def test_too_long_prompts_name_length_limit_and_remedy():
    assert check_prompt("a" * MAX_PROMPT_CHARACTERS)
    with pytest.raises(InputError, match="1001 characters, the limit is 1000; describe"):
        check_prompt("a" * (MAX_PROMPT_CHARACTERS + 1))


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x7f", "\ud800"])
def test_characters_that_are_no_text(character):
    with pytest.raises(InputError, match=r"U\+[0-9A-F]{4} at position 6; remove it"):
        check_prompt(f"green{character} hair")


def test_a_prompt_must_be_text():
    with pytest.raises(InputError, match="the prompt is a int"):
        check_prompt(3)
