"""What the texts of the shipped pack speak of."""

import random

import pytest

from cfclip import Session
from cfclip.losses import spoken_aspects

PAIRS = 60
RIGHT = 0.9
"""Share of the pairs; 97 % of 400 were, when it was measured."""


@pytest.fixture(scope="module")
def session() -> Session:
    return Session.open("avatars")


def spoken(session: Session, prompt: str) -> set[str]:
    manifest, embedder = session.pack.manifest, session.embedder
    named = embedder.embed_aspects(tuple(manifest.aspects.values()), 1.0)
    texts = [
        embedder.embed_prompt(manifest.templates, text) for text in (prompt, manifest.source_text)
    ]
    said = spoken_aspects(*texts, named)
    return {
        name for name, each in zip(manifest.aspects, said, strict=True) if each.said is not None
    }


@pytest.mark.parametrize(
    ("prompt", "aspects"),
    [
        ("green lipstick", {"lip_colour"}),
        ("a smile", {"mouth"}),
        ("wide eyes", {"eyes"}),
        ("a portrait showing a person with green hair", {"hair_colour"}),
        ("pink hair and blue skin", {"hair_colour", "skin_colour"}),
        ("a beard and long hair", {"beard", "rear_hair"}),
        ("a person", set()),
    ],
)
def test_a_prompt_speaks_of_what_it_names(session: Session, prompt: str, aspects: set[str]) -> None:
    assert spoken(session, prompt) == aspects


def test_each_text_of_an_aspect_speaks_of_it_alone(session: Session) -> None:
    for aspect, texts in session.pack.manifest.aspects.items():
        for text in texts:
            assert spoken(session, text) == {aspect}, text


def test_most_pairs_speak_of_both(session: Session) -> None:
    aspects, draw = session.pack.manifest.aspects, random.Random(0)
    right = 0
    for _ in range(PAIRS):
        both = draw.sample(sorted(aspects), 2)
        prompt = " and ".join(draw.choice(aspects[each]) for each in both)
        right += spoken(session, prompt) == set(both)
    print(f"{right} of {PAIRS}")
    assert right >= RIGHT * PAIRS
