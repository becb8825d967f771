import numpy as np
import pytest

from cfclip_benchmark.avatars import colours
from cfclip_benchmark.avatars.palettes import PARTS


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((0, 128, 0), (46.23, -51.70, 49.90)),
    ],
)
def test_lab_of_known_colours(rgb: tuple[int, int, int], lab: tuple[float, float, float]) -> None:
    assert colours.lab_from_rgb(rgb) == pytest.approx(lab, abs=0.02)


def test_lab_and_back() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, size=(500, 3))
    assert np.allclose(colours.rgb_from_lab(colours.lab_from_rgb(rgb)), rgb, atol=1e-3)


@pytest.mark.parametrize("part", PARTS)
def test_a_sampled_colour_carries_its_word_and_no_other_of_the_palette(part: str) -> None:
    rng = np.random.default_rng(1)
    words, palette = colours.colour_words(part), colours.palette_words(part)
    drawn = np.stack([colours.sample_colour(word, rng, part, 20) for word in words])
    lab = colours.lab_from_rgb(drawn).reshape(-1, 3)
    truth = colours.truth_table(lab, part).reshape(len(words), 20, len(words))
    codes = colours.class_codes(lab, part).reshape(len(words), 20)
    for index, word in enumerate(words):
        assert (truth[index, :, index] == 1).all(), word
        if word in palette:
            assert ((truth[index, :, : len(palette)] == 1).sum(axis=1) == 1).all(), word
            assert (codes[index] == index).all(), word


@pytest.mark.parametrize("part", PARTS)
def test_regions_are_not_tiny_and_their_representatives_lie_inside(part: str) -> None:
    for word in colours.colour_words(part):
        assert len(colours.colour_pool(word, part)) >= 150, word
    words = colours.colour_words(part)
    lab = colours.lab_from_rgb([colours.representative(word, part) for word in words])
    assert (np.diag(colours.truth_table(lab, part)) == 1).all()


@pytest.mark.parametrize(
    ("word", "rgb"),
    [
        ("green", (0, 100, 0)),
        ("green", (120, 180, 110)),
        ("blue", (100, 149, 237)),
        ("blue", (0, 0, 139)),
        ("purple", (128, 0, 128)),
        ("pink", (255, 182, 193)),
        ("brown", (101, 67, 33)),
        ("yellow", (255, 240, 100)),
        ("orange", (255, 140, 0)),
        ("red", (178, 24, 24)),
        ("grey", (128, 128, 128)),
        ("navy", (0, 0, 100)),
    ],
)
def test_what_people_call_by_a_word(word: str, rgb: tuple[int, int, int]) -> None:
    lab = colours.lab_from_rgb([rgb])
    assert colours.colour_truth(lab, word).item() == 1
    others = {"red", "green", "blue", "yellow", "black"} - {word, "blue" if word == "navy" else ""}
    assert all(colours.colour_truth(lab, other).item() == 0 for other in others)


def test_between_two_words_neither_is_certain() -> None:
    ends = colours.lab_from_rgb([(30, 80, 208), (128, 0, 128)])
    line = ends[0] + np.linspace(0, 1, 200)[:, None] * (ends[1] - ends[0])
    blue, purple = (colours.colour_truth(line, word) for word in ("blue", "purple"))
    assert blue[0] == 1
    assert purple[-1] == 1
    assert ((blue == -1) & (purple == -1)).any()
    assert not ((blue == 1) & (purple == 1)).any()


def test_natural_hair_is_not_held_against_its_kin() -> None:
    ginger = colours.lab_from_rgb([colours.representative("ginger", "hair")])
    assert colours.colour_truth(ginger, "orange", "hair").item() == -1
    assert colours.colour_truth(ginger, "blue", "hair").item() == 0


def test_truth_of_a_batch_is_that_of_its_rows() -> None:
    lab = colours.lab_from_rgb(np.random.default_rng(2).integers(0, 256, size=(20, 3)))
    table = colours.truth_table(lab, "skin")
    assert all(
        (colours.truth_table(lab[i : i + 1], "skin")[0] == table[i]).all() for i in range(20)
    )


def test_unknown_words_and_parts_are_named() -> None:
    with pytest.raises(KeyError, match="blond"):
        colours.colour_truth(np.zeros((1, 3)), "blond", "clothes")
    with pytest.raises(KeyError, match="nose"):
        colours.palette_words("nose")


@pytest.mark.parametrize("part", colours.PARTS)
def test_people_call_the_typical_colour_of_a_word_by_it(part: str) -> None:
    for word in colours.colour_words(part):
        lab = colours.lab_from_rgb([colours.representative(word, part)])
        assert colours.is_called(lab, word, part).all(), word


def test_what_is_nearly_black_or_grey_is_not_called_by_a_hue() -> None:
    rgb = [[128, 0, 128], [40, 10, 55], [150, 240, 255], [238, 244, 244]]
    lab = colours.lab_from_rgb(rgb)
    assert colours.is_called(lab, "purple", "skin").tolist() == [True, False, False, False]
    assert colours.is_called(lab, "turquoise", "skin").tolist() == [False, False, True, False]
    with pytest.raises(KeyError, match="no colour 'blond' for skin"):
        colours.is_called(lab, "blond", "skin")
