"""Which parts a text is about, by hand: embeddings are axes."""

import pytest
import torch
from tiny_models import tiny_generator
from tiny_parts import tiny_parts

from cfclip.errors import InputError
from cfclip.regions import ChosenRegion, choose_region, spoken_parts
from cfclip.settings import EditSettings

RED, BLUE, SMILE, FROWN, PERSON = torch.eye(5).split(1)
TEXTS = {"colour": torch.cat([RED, BLUE]), "mouth": torch.cat([SMILE, FROWN])}
OF_ASPECTS = {"colour": ("hair", "background"), "mouth": ("skin",), "voice": ()}


def chosen(settings: EditSettings, *texts: torch.Tensor) -> ChosenRegion:
    parts = tiny_parts(tiny_generator(), OF_ASPECTS)
    return choose_region(settings, parts, torch.stack(texts), PERSON, TEXTS)


def test_a_text_is_about_the_parts_of_its_aspects() -> None:
    parts = tiny_parts(tiny_generator(), OF_ASPECTS)
    assert spoken_parts(parts, BLUE, PERSON, TEXTS) == ("hair", "background")
    assert spoken_parts(parts, SMILE, PERSON, TEXTS) == ("skin",)
    both = torch.nn.functional.normalize(BLUE + SMILE)
    assert spoken_parts(parts, both, PERSON, TEXTS) == ("hair", "skin", "background")
    assert spoken_parts(parts, PERSON, PERSON, TEXTS) == ()
    assert spoken_parts(parts, BLUE, PERSON, {}) == ()


def test_several_texts_are_about_the_parts_of_each() -> None:
    region = chosen(EditSettings(region="parts"), BLUE, FROWN)
    assert region == ChosenRegion("parts", ("hair", "skin", "background"))


def test_a_text_about_no_part_is_about_what_changes() -> None:
    assert chosen(EditSettings(region="parts"), PERSON) == ChosenRegion("changed")
    named = EditSettings(region="parts", parts="skin, hair")
    assert chosen(named, PERSON) == ChosenRegion("parts", ("skin", "hair"))
    assert chosen(EditSettings(parts="hair"), BLUE) == ChosenRegion("parts", ("hair",))


def test_other_regions_ask_for_no_parts() -> None:
    for name in ("off", "changed"):
        settings = EditSettings(region=name)
        assert choose_region(settings, None, BLUE[None], PERSON, TEXTS) == ChosenRegion(name)
    with pytest.raises(InputError, match="confined to parts, but this pack has none; find them"):
        choose_region(EditSettings(region="parts"), None, BLUE[None], PERSON, TEXTS)
