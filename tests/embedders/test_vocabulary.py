import pytest

from cfclip.embedders import unknown_words, vocabulary_warning

WORDS = {"a", "person", "with", "green", "gray", "hair", "eyebrows", "lipstick", "dress", "berry"}


@pytest.mark.parametrize(
    "prompt",
    [
        "A person, with GREEN hair!",
        "a person's hair",
        "a person\u2019s hair",
        "persons with dresses",
        "a person with eyebrow",
        "green-hair person",
        "berries",
        "  ...  ",
        "",
    ],
)
def test_known(prompt: str) -> None:
    assert unknown_words(prompt, WORDS) == []


def test_unknown_words_come_once_in_order_with_the_nearest() -> None:
    found = unknown_words("Zebra with grey hare and zebra-hair, GREY", WORDS)
    assert [word for word, _ in found] == ["zebra", "grey", "hare", "and"]
    assert dict(found)["grey"][0] == "gray"
    assert dict(found)["hare"] == ("hair",)
    assert dict(found)["zebra"] == ()


def test_other_scripts_and_digits_are_words() -> None:
    assert [word for word, _ in unknown_words("зелёные 緑 123", WORDS)] == ["зелёные", "緑", "123"]


def test_at_most_three_near_words() -> None:
    (found,) = unknown_words("cat", {"cart", "cast", "chat", "coat"})
    assert len(found[1]) == 3


def test_the_warning_is_one_line_or_none() -> None:
    assert vocabulary_warning([], "avatars") is None
    line = vocabulary_warning(unknown_words("a grean zebra", WORDS), "avatars")
    assert line == (
        "pack 'avatars' was not trained on 'grean' (nearest: green, gray), 'zebra'; "
        "they may have no effect"
    )
    assert vocabulary_warning([("x", ())], "p") == (
        "pack 'p' was not trained on 'x'; it may have no effect"
    )
